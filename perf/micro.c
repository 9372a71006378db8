/* perf/micro: all micro-benchmarks. Options are Google Benchmark's. */
#include "perf/micro.h"

int main(int argc, char **argv)
{
    if (!micro_init(&argc, argv))
        return 2;
    return micro_core_main() != 0 || micro_sql_main() != 0;
}
