/*
 * Helpers of the unit tests of the core: CHECK for use on fibers (records and goes on: CUnit's
 * fatal asserts would jump off the fiber's stack), and running a test body in a fiber of core 0.
 */
#ifndef TESTS_UNIT_CORE_UNIT_H
#define TESTS_UNIT_CORE_UNIT_H

#include "core/core.h"
#include "core/io.h"

#include <CUnit/Basic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_int unit_failures;
static const char *volatile unit_failed_at;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            atomic_fetch_add(&unit_failures, 1);                                                   \
            fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #condition);          \
        }                                                                                          \
    } while (0)
#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        err_t check_err_ = (call);                                                                 \
        if (check_err_ != ERR_OK) {                                                                \
            atomic_fetch_add(&unit_failures, 1);                                                   \
            fprintf(stderr, "%s:%d: %s: %s %s\n", __FILE__, __LINE__, #call,                       \
                    err_sqlstate(check_err_), err_diag()->message);                                \
        }                                                                                          \
    } while (0)

static void (*unit_body)(void);

static void unit_entry(void *arg)
{
    (void)arg;
    if (core_id() != 0)
        return;
    unit_body();
    core_stop_all();
}

static void unit_run_options(const struct core_options *options, void (*body)(void))
{
    unit_body = body;
    atomic_store(&unit_failures, 0);
    err_t e = core_run(options, unit_entry, NULL);
    if (e != ERR_OK)
        fprintf(stderr, "core_run: %s\n", err_diag()->message);
    CU_ASSERT_EQUAL(e, ERR_OK);
    CU_ASSERT_EQUAL(atomic_load(&unit_failures), 0);
}

__attribute__((unused)) static void unit_run(uint32_t cores, void (*body)(void))
{
    struct core_options options = {.core_count = cores, .busy_poll_us = 0};
    unit_run_options(&options, body);
}

struct unit_test {
    const char *name;
    void (*fn)(void);
};

__attribute__((unused)) static int unit_main(const char *suite_name, const struct unit_test *tests,
                                             size_t count)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
    for (size_t i = 0; i < count; i++)
        CU_add_test(suite, tests[i].name, tests[i].fn);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed == 0 ? 0 : 1;
}

#endif
