// How fast synthetic traces are made, one core, written and compressed. Before it is timed, a trace is read back and
// its reads are counted: a generator that misses its budget has no speed.
#include <benchmark/benchmark.h>

#include <cmath>
#include <string>

#include "checked.h"
#include "kvplace/generate/generate.h"
#include "kvplace/generate/twin.h"
#include "kvplace/trace/reader.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

RunContext one_thread() {
  RunContext context;
  context.threads = 1;
  return context;
}

void generate(benchmark::State& state, const std::string& preset, std::uint32_t steps, std::uint32_t ranking_depth) {
  const testing::TempDir folder;
  const std::string path = folder.path("t.kvt");
  GeneratorConfig config = checked(load_generator(preset));
  config.steps = steps;
  config.ranking_depth = ranking_depth;
  const TraceTotals totals = checked(generate_trace(config, path, {}, one_thread()));
  std::uint64_t reads = 0;
  const TraceReader trace = checked(TraceReader::open(path));
  for (std::size_t i = 0; i < trace.num_chunks(); ++i) {
    reads += checked(trace.chunk(i)).num_reads();
  }
  const std::uint64_t per_step = std::uint64_t{config.layers} * config.budget.blocks;
  if (reads != totals.reads || (per_step > 0 && reads != per_step * steps)) {
    state.SkipWithError("the trace does not hold the reads it should");
  }
  for (auto _ : state) {
    checked(generate_trace(config, folder.path("timed.kvt"), {}, one_thread()));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(reads));
}

void fit_twin(benchmark::State& state) {
  const TraceReader trace = checked(TraceReader::open(KVPLACE_SOURCE_DIR "/data/smollm2-holmes-page16-k64.kvt"));
  for (auto _ : state) {
    benchmark::DoNotOptimize(checked(Twin::fit(trace, one_thread())));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(trace.totals().reads));
}

BENCHMARK_CAPTURE(generate, fang2025, std::string("fang2025-narrativeqa"), 512, 0)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(generate, fang2025_high, std::string("fang2025-narrativeqa-high"), 512, 0)
    ->Unit(benchmark::kMillisecond);
// The presets' own decode steps.
BENCHMARK_CAPTURE(generate, dsa_32k, std::string("dsa-32k"), 1024, 0)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(generate, dsa_128k, std::string("dsa-128k"), 1024, 0)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(generate, dsa_32k_ranked_to_4k, std::string("dsa-32k"), 64, 8192)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(generate, quest_64k, std::string("quest-64k"), 2048, 0)->Unit(benchmark::kMillisecond);
BENCHMARK(fit_twin)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvplace

BENCHMARK_MAIN();
