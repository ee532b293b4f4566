// How fast traces decode and policies replay, on a bundled real trace; on one with rankings where a policy needs them.
// Before anything is timed, each policy's counts are compared with another way to get them; a wrong answer has no
// speed.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>

#include "checked.h"
#include "kvplace/hardware/hardware.h"
#include "kvplace/simulate/compare.h"
#include "kvplace/trace/statistics.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kNearBlocksPerLayer = 96;

struct Workload {
  TraceReader trace;
  Instance instance;
};

Workload load(const std::string& trace_name, std::uint32_t near_blocks_per_layer = kNearBlocksPerLayer) {
  TraceReader trace = checked(TraceReader::open(KVPLACE_SOURCE_DIR "/data/" + trace_name));
  InstanceSpec spec;
  spec.hardware = checked(load_hardware("fang2025"));
  spec.model = checked(load_model("smollm2-135m"));
  spec.options.near_blocks_per_layer = near_blocks_per_layer;
  Instance instance = checked(Instance::make(spec, trace.meta(), trace.totals()));
  return Workload{std::move(trace), std::move(instance)};
}

const Workload& workload() {
  static const Workload loaded = load("smollm2-holmes-page16-k64.kvt");
  return loaded;
}

/// For policies that need rankings.
const Workload& ranked_workload() {
  static const Workload loaded = load("smollm2-holmes-page16-k32-ranked.kvt");
  return loaded;
}

/// For the flagship with and without rankings beside LRU: near room for twice what a step reads.
const Workload& pages() {
  static const Workload loaded = load("smollm2-holmes-page16-k32-ranked.kvt", 64);
  return loaded;
}

const Workload& tokens() {
  static const Workload loaded = load("smollm2-holmes-token-k64-ranked.kvt", 128);
  return loaded;
}

const Workload& workload_of(const std::string& policy) {
  return checked(PolicyRegistry::instance().find(policy))->requires_ranking ? ranked_workload() : workload();
}

ReplayResult run(const std::string& policy, const Workload& on) {
  const ReplayJob job{&on.instance, checked(PolicyRegistry::instance().parse(policy))};
  RunContext context;
  context.threads = 1;
  return checked(replay(on.trace, std::span(&job, 1), context)).front();
}

void count_reads(benchmark::State& state, const Workload& of) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(of.trace.totals().reads));
}

void decode(benchmark::State& state, const Workload& on, ChunkParts parts) {
  const TraceReader& trace = on.trace;
  for (auto _ : state) {
    std::uint64_t reads = 0;
    for (std::size_t i = 0; i < trace.num_chunks(); ++i) {
      reads += checked(trace.chunk(i, parts)).num_reads();
    }
    if (reads != trace.totals().reads) {
      state.SkipWithError("the chunks do not add up to the trace");
    }
  }
  count_reads(state, on);
}

void replay_policy(benchmark::State& state, const std::string& policy, const Workload& on) {
  for (auto _ : state) {
    const ReplayResult result = run(policy, on);
    if (result.near_reads + result.far_reads != on.trace.totals().reads) {
      state.SkipWithError("reads are not served exactly once");
    }
  }
  count_reads(state, on);
}

void statistics(benchmark::State& state) {
  RunContext context;
  context.threads = 1;
  for (auto _ : state) {
    benchmark::DoNotOptimize(checked(compute_statistics(workload().trace, context)).overlap);
  }
  count_reads(state, workload());
}

/// LRU's far reads, counted from stack distances, bound those of the policy: they differ by ties within a step only.
bool lru_agrees_with_stack_distances() {
  const TraceStatistics statistics = checked(compute_statistics(workload().trace, {}));
  const ReplayResult lru = run("lru", workload());
  const double ratio = static_cast<double>(lru.far_reads) / static_cast<double>(lru.reads);
  for (std::size_t i = 0; i < statistics.lru.capacity_blocks.size(); ++i) {
    if (statistics.lru.capacity_blocks[i] == kNearBlocksPerLayer) {
      const double expected = statistics.lru.miss_ratio[i];
      std::printf("lru misses: %.5f replayed, %.5f by stack distances\n", ratio, expected);
      return ratio < expected * 1.1 && ratio > expected * 0.9;
    }
  }
  std::fprintf(stderr, "no stack distance figure at %u blocks\n", kNearBlocksPerLayer);
  return false;
}

}  // namespace
}  // namespace kvplace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (!kvplace::lru_agrees_with_stack_distances()) {
    std::fprintf(stderr, "lru's misses disagree: nothing is timed\n");
    return 1;
  }
  using kvplace::ChunkParts;
  const auto decode = [](const std::string& name, const kvplace::Workload& on, ChunkParts parts) {
    benchmark::RegisterBenchmark(name.c_str(), kvplace::decode, std::ref(on), parts)->Unit(benchmark::kMillisecond);
  };
  decode("decode", kvplace::workload(), ChunkParts::kAll);
  benchmark::RegisterBenchmark("statistics", kvplace::statistics)->Unit(benchmark::kMillisecond);
  for (const kvplace::PolicyInfo& info : kvplace::PolicyRegistry::instance().policies()) {
    if (info.search == nullptr) {
      benchmark::RegisterBenchmark(("replay/" + info.name).c_str(), kvplace::replay_policy, info.name,
                                   std::ref(kvplace::workload_of(info.name)))
          ->Unit(benchmark::kMillisecond);
    }
  }
  const std::pair<const char*, const kvplace::Workload&> ranked[] = {{"pages", kvplace::pages()},
                                                                     {"tokens", kvplace::tokens()}};
  for (const auto& [name, on] : ranked) {
    decode(std::string("decode/") + name, on, ChunkParts::kAll);
    decode(std::string("decode-without-rankings/") + name, on, ChunkParts::kWithoutRankings);
    for (const char* policy : {"lru", "kvplace", "kvplace-reads", "kvplace-budgets"}) {
      benchmark::RegisterBenchmark((std::string("replay-") + name + "/" + policy).c_str(), kvplace::replay_policy,
                                   policy, std::ref(on))
          ->Unit(benchmark::kMillisecond);
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  std::printf(
      "items_per_second counts reads, one thread, trace decoding included (and the pass from the end for oracles).\n"
      "pages, tokens: ranked traces, near room for twice what a step reads; only kvplace is told rankings.\n"
      "For scale: libCacheSim's README claims over 20M requests/s for a realistic trace replay (one thread).\n");
  return 0;
}
