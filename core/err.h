/*
 * Errors are values. err_t is an enum made from the SQLSTATE table; 0 means fine. The cold
 * err_raise() stores message and fields once in the running fiber's diagnostics and returns the
 * code; TRY passes it on. "Not found" is a result, not an error.
 */
#ifndef CORE_ERR_H
#define CORE_ERR_H

#include "core/base.h"

#if defined(__clang__)
#define ERR_MUST_CHECK __attribute__((warn_unused_result))
#else
#define ERR_MUST_CHECK
#endif

enum ERR_MUST_CHECK err {
    ERR_OK = 0,
#define SQLSTATE(name, code) ERR_##name,
#include "core/sqlstate.def"
#undef SQLSTATE
    ERR_COUNT
};
typedef enum err err_t;

#define TRY(call)                                                                                  \
    do {                                                                                           \
        err_t try_err_ = (call);                                                                   \
        if (UNLIKELY(try_err_ != ERR_OK))                                                          \
            return try_err_;                                                                       \
    } while (0)

/* For cleanup paths where a first error is already being reported. */
#define ERR_IGNORE(call)                                                                           \
    do {                                                                                           \
        if ((call) != ERR_OK) {                                                                    \
        }                                                                                          \
    } while (0)

enum { DIAG_TEXT_BYTES_MAX = 8192 };

/* What an ErrorResponse carries. Strings live in the diag's own text; NULL = absent. */
struct diag {
    err_t code;
    int32_t position;          /* 1-based character in the query text; 0 = none */
    int32_t internal_position; /* in internal_query */
    const char *message;
    const char *detail;
    const char *hint;
    const char *context;
    const char *internal_query;
    const char *schema_name;
    const char *table_name;
    const char *column_name;
    const char *datatype_name;
    const char *constraint_name;
    const char *file; /* where it was raised, without directories */
    int line;
    const char *routine;
    uint32_t text_bytes;
    char text[DIAG_TEXT_BYTES_MAX];
};

/* Begin a new error in the running fiber: code and message. Returns code. */
#define err_raise(code, ...) err_raise_at(__FILE__, __LINE__, __func__, code, __VA_ARGS__)
COLD err_t err_raise_at(const char *file, int line, const char *routine, err_t code,
                        const char *format, ...) PRINTF_LIKE(5, 6);
/* Add a field to the error just raised:
 *   err_t e = err_raise(ERR_X, "..."); err_detail("..."); return e; */
COLD void err_detail(const char *format, ...) PRINTF_LIKE(1, 2);
COLD void err_hint(const char *format, ...) PRINTF_LIKE(1, 2);
COLD void err_context(const char *format, ...) PRINTF_LIKE(1, 2); /* appended, a line each */
COLD void err_position(int32_t character);                        /* kept if one is set already */
COLD void err_object(const char *schema, const char *table, const char *column,
                     const char *datatype, const char *constraint); /* NULL = leave */
COLD void err_internal_query(const char *text, int32_t position);

/* The running fiber's last error. Valid until the next err_raise in this fiber. Never NULL. */
const struct diag *err_diag(void);
/* Put a copy of an error into the running fiber (used when a reply brings one from another core).
 */
COLD err_t err_adopt(const struct diag *from);
COLD void diag_copy(struct diag *to, const struct diag *from);

const char *err_sqlstate(err_t code); /* five characters */
/* "feature x is not supported yet" as 0A000. */
#define err_not_built(...) err_raise(ERR_FEATURE_NOT_SUPPORTED, __VA_ARGS__)

#ifdef __clang_analyzer__ /* it cannot see into err_raise_at: what is raised is what was given */
#undef err_raise
#define err_raise(code, ...)                                                                       \
    ((void)err_raise_at(__FILE__, __LINE__, __func__, code, __VA_ARGS__), (code))
#endif

#endif
