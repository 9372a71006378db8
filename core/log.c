/* The server's log: one line per write(2) to stderr, so that lines of several cores never mix. */
#include "core/core_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINE_BYTES_MAX = 2048 };

static const char *const level_names[] = {
    [LOG_DEBUG] = "DEBUG", [LOG_INFO] = "INFO", [LOG_NOTICE] = "NOTICE", [LOG_WARNING] = "WARNING",
    [LOG_ERROR] = "ERROR", [LOG_LOG] = "LOG",   [LOG_FATAL] = "FATAL",   [LOG_PANIC] = "PANIC",
};

static void write_all(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, bytes, len);
        if (n <= 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

void log_write(enum log_level level, const char *format, ...)
{
    char line[LOG_LINE_BYTES_MAX];
    int64_t now = core_wall_us();
    time_t seconds = (time_t)(now / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    int at = snprintf(line, sizeof(line), "%04d-%02d-%02d %02d:%02d:%02d.%03d UTC ",
                      tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                      tm.tm_sec, (int)(now / 1000 % 1000));
    if (runner.core != NULL)
        at += snprintf(line + at, sizeof(line) - (size_t)at, "[core %u] ", runner.core->id);
    else
        at += snprintf(line + at, sizeof(line) - (size_t)at, "[main] ");
    at += snprintf(line + at, sizeof(line) - (size_t)at, "%s:  ", level_names[level]);
    va_list args;
    va_start(args, format);
    int want = vsnprintf(line + at, sizeof(line) - (size_t)at - 1, format, args);
    va_end(args);
    if (want > 0)
        at += want;
    if ((size_t)at > sizeof(line) - 2)
        at = (int)sizeof(line) - 2;
    line[at++] = '\n';
    write_all(line, (size_t)at);
}

void log_diag(enum log_level level, const struct diag *d)
{
    log_write(level, "%s: %s", err_sqlstate(d->code), d->message != NULL ? d->message : "");
    if (d->detail != NULL)
        log_write(level, "DETAIL:  %s", d->detail);
    if (d->hint != NULL)
        log_write(level, "HINT:  %s", d->hint);
    if (d->context != NULL)
        log_write(level, "CONTEXT:  %s", d->context);
}
