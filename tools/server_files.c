/*
 * The data directory:
 *
 *   PG_VERSION       "15"; written last when a directory is initialised: without it the rest is no
 * database percore.conf     settings          percore.auto.conf  ALTER SYSTEM pg_hba.conf      who
 * may connect   percore.pid        lock file of the running server shards and logs
 * (shard/README.md)
 */
#include "tools/server_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/settings.h"

enum { PATH_BYTES_MAX = 4096, FILE_BYTES_MAX = 1 << 20 };

static const char default_config[] =
    "# Percore configuration; PostgreSQL's syntax, names and units.\n"
    "# Changes take effect on SIGHUP, those marked (start) at the next start.\n"
    "\n"
    "#listen_addresses = '127.0.0.1'       # (start) addresses, '*' = all\n"
    "#port = 5432                          # (start)\n"
    "#max_connections = 100000             # (start)\n"
    "#shared_buffers = 128MB               # (start) all shards together\n"
    "#max_wal_size = 1GB\n"
    "#checkpoint_timeout = 5min\n"
    "#synchronous_commit = on\n"
    "#cores = 'auto'                       # (start) CPUs for core threads: 'auto' or '0-7,16'\n"
    "#numa.policy = 'local'                # (start)\n"
    "#node0.shared_buffers = '16GB'        # (start) per NUMA node\n";

static err_t files_error(const char *what, const char *path)
{
    int error = errno;
    err_t code = error == ENOSPC   ? ERR_DISK_FULL
                 : error == ENOENT ? ERR_UNDEFINED_FILE
                 : error == EACCES ? ERR_INSUFFICIENT_PRIVILEGE
                                   : ERR_IO_ERROR;
    return err_raise(code, "could not %s \"%s\": %s", what, path, strerror(error));
}

static err_t files_write(const char *directory, const char *name, const char *text)
{
    char path[PATH_BYTES_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "path is too long");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return files_error("create file", path);
    size_t len = strlen(text);
    bool ok = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    err_t e = ok ? ERR_OK : files_error("write file", path);
    close(fd);
    return e;
}

static bool files_exists(const char *directory, const char *name)
{
    char path[PATH_BYTES_MAX];
    struct stat st;
    return snprintf(path, sizeof(path), "%s/%s", directory, name) < (int)sizeof(path) &&
           stat(path, &st) == 0;
}

/* Entries other than our own configuration and lock; -1 when it can't be read. */
static int files_foreign(const char *directory)
{
    DIR *d = opendir(directory);
    if (!d)
        return -1;
    int count = 0;
    struct dirent *entry;
    while ((entry = readdir(d))) {
        const char *n = entry->d_name;
        if (n[0] != '.' && strncmp(n, "percore.", 8) != 0 && strcmp(n, "pg_hba.conf") != 0 &&
            strncmp(n, "shard", 5) != 0 && strcmp(n, "control") != 0 &&
            strcmp(n, "lost+found") != 0 && strcmp(n, "pg_temp") != 0)
            count++;
    }
    closedir(d);
    return count;
}

/* The lock is the open file's, so it ends with the process, however that ends. */
static err_t files_lock(const char *directory)
{
    char path[PATH_BYTES_MAX];
    if (snprintf(path, sizeof(path), "%s/percore.pid", directory) >= (int)sizeof(path))
        return err_raise(ERR_INVALID_PARAMETER_VALUE, "path is too long");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return files_error("open lock file", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err_t e = err_raise(ERR_LOCK_FILE_EXISTS, "lock file \"%s\" already exists", path);
        err_hint("Is another percore running in data directory \"%s\"?", directory);
        close(fd);
        return e;
    }
    char text[32];
    int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len)
        return files_error("write lock file", path);
    return ERR_OK; /* kept open for the process's life */
}

static err_t files_write_hba(const char *directory, const char *method)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "# TYPE  DATABASE  USER  ADDRESS        METHOD\n"
             "local   all       all                  %s\n"
             "host    all       all   127.0.0.1/32   %s\n"
             "host    all       all   ::1/128        %s\n",
             method, method, method);
    return files_write(directory, "pg_hba.conf", text);
}

err_t files_prepare(const char *directory, const char *auth_method, bool *is_new)
{
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return files_error("create directory", directory);
    *is_new = !files_exists(directory, "PG_VERSION");
    int foreign = files_foreign(directory);
    if (foreign < 0)
        return files_error("read directory", directory);
    if (*is_new && foreign > 0)
        return err_raise(ERR_OBJECT_NOT_IN_PREREQUISITE_STATE,
                         "directory \"%s\" is not empty and holds no database", directory);
    TRY(files_lock(directory));
    if (!files_exists(directory, "percore.conf"))
        TRY(files_write(directory, "percore.conf", default_config));
    if (!files_exists(directory, "pg_hba.conf"))
        TRY(files_write_hba(directory, auth_method));
    return ERR_OK;
}

err_t files_read(const char *path, struct arena *mem, char **text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return files_error("open file", path);
    char *buffer = arena_alloc(mem, FILE_BYTES_MAX + 1);
    size_t len = 0;
    err_t e = ERR_OK;
    for (;;) {
        ssize_t n = read(fd, buffer + len, FILE_BYTES_MAX - len);
        if (n < 0)
            e = files_error("read file", path);
        if (n <= 0)
            break;
        len += (size_t)n;
        if (len == FILE_BYTES_MAX) {
            e = err_raise(ERR_PROGRAM_LIMIT_EXCEEDED, "file \"%s\" is too large", path);
            break;
        }
    }
    close(fd);
    buffer[len] = '\0';
    *text = buffer;
    return e;
}

err_t files_load_config(const char *directory)
{
    static const char *const names[] = {"percore.conf", "percore.auto.conf"};
    struct arena *mem = arena_new();
    err_t e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < ARRAY_LEN(names); i++) {
        char path[PATH_BYTES_MAX];
        char *text;
        if (!files_exists(directory, names[i]))
            continue;
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        e = files_read(path, mem, &text);
        if (e == ERR_OK)
            e = settings_load_text(path, text, false);
    }
    arena_free(mem);
    return e;
}
