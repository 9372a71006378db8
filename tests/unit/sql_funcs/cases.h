/* Runs a table of cases: {"set", setting, 0, value, ""}, {"type", type, typmod, text, expected} or
 * {"call", signature, 0, arguments ('~' between, '^' between rows), expected}. */
#ifndef TESTS_UNIT_SQL_FUNCS_CASES_H
#define TESTS_UNIT_SQL_FUNCS_CASES_H

#include "sql/types/timezone.h"
#include "tests/unit/core/unit.h"
#include "tests/unit/sql_funcs/evaluate.h"

struct test_case {
    const char *kind;
    const char *subject;
    int32_t typmod;
    const char *text;
    const char *expected;
};

static void case_set(const char *name, const char *value)
{
    if (strcmp(name, "zone") == 0)
        test_env.zone = time_zone_find(value);
    else if (strcmp(name, "style") == 0)
        test_env.date_style = atoi(value);
    else if (strcmp(name, "order") == 0)
        test_env.date_order = atoi(value);
    else if (strcmp(name, "interval") == 0)
        test_env.interval_style = atoi(value);
}

static void run_cases(const struct test_case *cases, size_t count)
{
    struct arena *mem = arena_new();
    test_env.now_us = INT64_C(700000000000000);
    for (size_t i = 0; i < count; i++) {
        const struct test_case *c = &cases[i];
        const char *got;
        if (strcmp(c->kind, "set") == 0) {
            case_set(c->subject, c->text);
            continue;
        }
        if (strcmp(c->kind, "type") == 0) {
            got = evaluate_type(mem, c->subject, c->typmod, c->text);
        } else {
            char *arguments = arena_strdup(mem, c->text);
            for (char *p = arguments; *p != 0; p++)
                *p = *p == '~' ? 0x1f : *p == '^' ? 0x1e : *p;
            got = evaluate(mem, c->subject, arguments);
        }
        if (strcmp(got, c->expected) != 0)
            fprintf(stderr, "%s %s '%s': got '%s', expected '%s'\n", c->kind, c->subject, c->text,
                    got, c->expected);
        CHECK(strcmp(got, c->expected) == 0);
        arena_reset(mem);
    }
    arena_free(mem);
}

#endif
