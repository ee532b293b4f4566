// A synthetic trace of 3e8 reads - 32 layers, 10,239 decode steps, pages of 16 tokens behind a prompt of 31,299 - and
// six policies over it in one pass: time and peak memory. Takes a minute or two; the trace goes to TMPDIR.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "checked.h"
#include "kvplace/hardware/hardware.h"
#include "kvplace/simulate/compare.h"
#include "kvplace/trace/writer.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

double peak_memory_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

constexpr std::uint32_t kLayers = 32;
constexpr std::uint32_t kPromptTokens = 31'299;
constexpr std::uint32_t kPageTokens = 16;
constexpr double kShareRead = 0.4;
constexpr double kShareChanging = 0.03;  // of the pages read, replaced from step to step

/// Each layer reads a set of pages of which a few are replaced in every step.
TraceTotals write_synthetic(const std::string& path, std::uint32_t steps) {
  TraceMeta meta;
  meta.layers = kLayers;
  meta.layout = {0, 1, kPageTokens, kPromptTokens};
  meta.model = "llama-3.1-8b-mha";
  meta.source = "synthetic: sets of pages, a few of which change per step";
  TraceWriter writer = checked(TraceWriter::create(path, meta));
  std::mt19937_64 random(1);
  const auto below = [&random](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  std::vector<std::vector<bool>> is_read(kLayers);
  std::vector<BlockId> reads;
  for (std::uint32_t step = 0; step < steps; ++step) {
    const std::uint32_t page = (kPromptTokens + step) / kPageTokens;
    const std::size_t pages = page + 1;
    const auto wanted = static_cast<std::size_t>(kShareRead * static_cast<double>(pages));
    for (std::uint32_t layer = 0; layer < kLayers; ++layer) {
      std::vector<bool>& set = is_read[layer];
      set.resize(pages, false);
      const auto changes = static_cast<std::size_t>(kShareChanging * static_cast<double>(wanted));
      auto count = static_cast<std::size_t>(std::count(set.begin(), set.end(), true));
      for (std::size_t dropped = 0; dropped < changes && count > changes;) {
        const std::size_t p = below(pages);
        if (set[p]) {
          set[p] = false;
          --count;
          ++dropped;
        }
      }
      set[page] = true;
      count = static_cast<std::size_t>(std::count(set.begin(), set.end(), true));
      while (count < wanted) {
        const std::size_t p = below(pages);
        count += set[p] ? 0u : 1u;
        set[p] = true;
      }
      reads.clear();
      for (std::size_t p = 0; p < pages; ++p) {
        if (set[p]) {
          reads.emplace_back(static_cast<std::uint32_t>(p));
        }
      }
      const BlockId appended(page);
      StepView record;
      record.step = StepIndex(step);
      record.layer = LayerIndex(layer);
      record.reads = reads;
      record.appended = std::span(&appended, 1);
      checked(writer.add(record));
    }
  }
  return checked(writer.finish());
}

int run(std::uint32_t steps) {
  const testing::TempDir folder;
  const std::string path = folder.path("long.kvt");
  Clock::time_point begin = Clock::now();
  const TraceTotals totals = write_synthetic(path, steps);
  std::printf("written: %.3g reads in %u decode steps, %.1f MiB, %.1f s\n", static_cast<double>(totals.reads),
              totals.steps, static_cast<double>(std::filesystem::file_size(path)) / (1 << 20), seconds_since(begin));
  const TraceReader trace = checked(TraceReader::open(path));
  InstanceSpec spec;
  spec.hardware = checked(load_hardware("fang2025"));
  spec.model = checked(load_model("llama-3.1-8b-mha"));
  const Instance instance = checked(Instance::make(spec, trace.meta(), trace.totals()));
  std::vector<PolicySpec> policies;
  for (const char* name : {"static", "reactive", "lru", "lru-global", "clock", "belady-global"}) {
    policies.push_back(checked(PolicyRegistry::instance().parse(name)));
  }
  const double before = peak_memory_mib();
  begin = Clock::now();
  const Comparison comparison = checked(compare(trace, instance, policies, {}));
  const double seconds = seconds_since(begin);
  std::printf("compared: %zu policies in %.1f s = %.3g reads/s of one policy; peak memory %.0f MiB (%.0f MiB before)\n",
              policies.size(), seconds,
              static_cast<double>(totals.reads) * static_cast<double>(policies.size()) / seconds, peak_memory_mib(),
              before);
  for (const ReplayResult& result : comparison.results) {
    std::printf("  %-14s %9.3f s modelled, %5.2f %% of reads near\n", result.policy.name.c_str(), result.total.value(),
                100.0 * static_cast<double>(result.near_reads) / static_cast<double>(result.reads));
  }
  return 0;
}

}  // namespace
}  // namespace kvplace

int main(int argc, char** argv) {
  constexpr std::uint32_t kSteps = 10'239;
  return kvplace::run(argc > 1 ? static_cast<std::uint32_t>(std::strtoul(argv[1], nullptr, 10)) : kSteps);
}
