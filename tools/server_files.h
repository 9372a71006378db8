/* The data directory's own files: lock, configuration, hba rules; used before and after the cores
 * run. */
#ifndef TOOLS_SERVER_FILES_H
#define TOOLS_SERVER_FILES_H

#include "core/arena.h"

/* Makes DIR when absent, locks it against a second server, and writes configuration files into an
 * empty one. *is_new: it has no database yet (empty, or a first start that did not finish). */
err_t files_prepare(const char *directory, const char *auth_method, bool *is_new);
/* Reads DIR/percore.conf and DIR/percore.auto.conf into the server's settings. */
err_t files_load_config(const char *directory);
/* A whole small file, NUL-terminated. */
err_t files_read(const char *path, struct arena *mem, char **text);

#endif
