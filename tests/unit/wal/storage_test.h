/*
 * Running storage tests: each test function runs in a fiber of a one-core runtime, in a fresh
 * directory. CHECK records and goes on (no FATAL assertion on a fiber: it would jump off the
 * stack).
 */
#ifndef TESTS_UNIT_STORAGE_TEST_H
#define TESTS_UNIT_STORAGE_TEST_H

#include "core/io.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char test_directory[64];

#define CHECK(condition)                                                                           \
    CU_assertImplementation((condition), __LINE__, #condition, __FILE__, "", CU_FALSE)
#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        err_t check_err_ = (call);                                                                 \
        if (check_err_ != ERR_OK)                                                                  \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, err_diag()->message);    \
        CHECK(check_err_ == ERR_OK);                                                               \
    } while (0)
#define CHECK_ERR(call, code) CHECK((call) == (code))

SUSPENDS static void test_entry(void *arg)
{
    void (**fn)(void) = arg;
    (*fn)();
    core_stop_all();
}

static void test_on_core(void (*fn)(void))
{
    (void)snprintf(test_directory, sizeof(test_directory), "/tmp/percore_test_XXXXXX");
    if (mkdtemp(test_directory) == NULL)
        abort();
    struct core_options options = {.core_count = 1};
    CHECK(core_run(&options, test_entry, &fn) == ERR_OK);
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", test_directory);
    CHECK(system(command) == 0);
}

#define ON_CORE(name)                                                                              \
    SUSPENDS static void name(void);                                                               \
    static void name##_on_core(void)                                                               \
    {                                                                                              \
        test_on_core(name);                                                                        \
    }                                                                                              \
    SUSPENDS static void name(void)

struct test_case {
    const char *name;
    void (*fn)(void);
};
#define TEST(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
#define CORE_TEST(name)                                                                            \
    {                                                                                              \
#name, name##_on_core                                                                      \
    }

/* The named cases only, when names are given. */
static int test_main(const char *suite, const struct test_case *cases, size_t count, int argc,
                     char **argv)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    CU_pSuite s = CU_add_suite(suite, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        bool wanted = argc < 2;
        for (int a = 1; a < argc; a++)
            wanted |= strcmp(argv[a], cases[i].name) == 0;
        if (wanted)
            (void)CU_add_test(s, cases[i].name, cases[i].fn);
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    int failures = (int)CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures == 0 ? 0 : 1;
}

/* Small deterministic generator (splitmix64). */
static inline uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Plain file access behind the server's back. */
static inline void test_file_write(const char *path, const void *bytes, size_t len, uint64_t at)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(pwrite(fd, bytes, len, (off_t)at) == (ssize_t)len);
    close(fd);
}

static inline void test_file_read(const char *path, void *bytes, size_t len, uint64_t at)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(pread(fd, bytes, len, (off_t)at) == (ssize_t)len);
    close(fd);
}

#endif
