// Google Benchmark for the benchmarks in C (micro.h): the only C++ of the project.
#include <benchmark/benchmark.h>

#include "perf/micro.h"

namespace
{

void run_one(benchmark::State &state, const struct micro *m)
{
    constexpr int64_t batch = 16;
    while (state.KeepRunningBatch(batch))
        m->run(batch);
    if (m->bytes != 0)
        state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(m->bytes));
    state.SetLabel(std::string("expected ") + m->expected);
}

} // namespace

extern "C" int micro_init(int *argc, char **argv)
{
    benchmark::Initialize(argc, argv);
    return !benchmark::ReportUnrecognizedArguments(*argc, argv);
}

extern "C" void micro_run_all(const struct micro *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct micro *m = &list[i];
        auto *b =
            benchmark::RegisterBenchmark(m->name, [m](benchmark::State &s) { run_one(s, m); });
        if (m->waits)
            b->UseRealTime();
    }
    static benchmark::ConsoleReporter reporter(benchmark::ConsoleReporter::OO_Tabular);
    benchmark::RunSpecifiedBenchmarks(&reporter);
    benchmark::ClearRegisteredBenchmarks();
}
