/* Failed assertions: say where, show how we got there, end the process; the log recovers it. */
#include "core/base.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void assert_failed(const char *file, int line, const char *condition)
{
    static __thread bool is_failing; /* an assertion inside the backtrace must not loop */
    if (!is_failing) {
        is_failing = true;
        void *frames[48];
        fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
        fflush(stderr);
        int count = backtrace(frames, (int)ARRAY_LEN(frames));
        backtrace_symbols_fd(frames, count, STDERR_FILENO);
    }
    abort();
}
