/* Date and time functions and number and date formatting against PostgreSQL's results. */
#include "tests/unit/sql_funcs/cases.h"

static const struct test_case call_cases[] = {
#include "tests/unit/sql_funcs/datetime_cases.def"
};
static const struct test_case format_cases[] = {
#include "tests/unit/sql_funcs/formatting_cases.def"
};
static void body_calls(void)
{
    run_cases(call_cases, ARRAY_LEN(call_cases));
}
static void body_formats(void)
{
    run_cases(format_cases, ARRAY_LEN(format_cases));
}
static void calls(void)
{
    unit_run(1, body_calls);
}
static void formats(void)
{
    unit_run(1, body_formats);
}
int main(void)
{
    static const struct unit_test tests[] = {{"calls", calls}, {"formats", formats}};
    return unit_main("datetime_functions", tests, ARRAY_LEN(tests));
}
