// How close planned schedules come to certified lower bounds: five instances of two real traces, given as arguments
// (tokens, blocks of 1152 bytes; pages of 18432 bytes). Without arguments there is nothing to measure.
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "checked.h"
#include "kvplace/instance/resolve.h"
#include "kvplace/simulate/schedules.h"
#include "kvplace/solve/plan.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

struct Case {
  int trace;
  const char* block_bytes;
  const char* near_blocks;
  const char* link;
  double bound;  ///< seconds, certified; inclusive, split reads, free start, no weights, no new KV
};
constexpr Case kCases[] = {{1, "1152", "1024", "55GB/s", 0.059810},
                           {1, "1152", "2048", "55GB/s", 0.014842},
                           {2, "18432", "100", "450GB/s", 0.269057},
                           {2, "18432", "150", "450GB/s", 0.102472},
                           {2, "18432", "200", "450GB/s", 0.065280}};

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

void run(const Case& c, const std::string& trace_path) {
  const TraceReader trace = checked(TraceReader::open(trace_path));
  std::vector<ConfigEntry> entries;
  const auto set = [&entries](const char* key, const char* text) { entries.push_back({key, text, "bench_plan"}); };
  set("options.block_bytes", c.block_bytes);
  set("options.near_blocks_per_layer", c.near_blocks);
  set("hardware.far.link_read", c.link);
  set("options.weight_bytes_per_step", "0");
  set("options.new_kv", "false");
  set("options.mirrored_reads", "split");
  set("options.start", "free");
  const InstanceSpec spec = checked(resolve_spec(entries, trace.meta()));
  const Instance instance = checked(Instance::make(spec, trace.meta(), trace.totals()));
  const testing::TempDir folder;
  const std::string path = folder.path("plan.kvs");
  const double begin = cpu_seconds();
  const PlanSummary plan = checked(plan_schedule(trace, instance, {}, path, {}));
  const double planning = cpu_seconds() - begin;
  const double replayed = checked(replay_schedule(trace, path, instance, {})).result.total.value();
  std::printf("%-6s %s near blocks per layer: bound %.6f s, planned %.6f s, replayed %.6f s, gap %.2f %%, cpu %.1f s\n",
              c.trace == 1 ? "tokens" : "pages", c.near_blocks, c.bound, plan.predicted.value(), replayed,
              100 * (replayed / c.bound - 1), planning);
}

}  // namespace
}  // namespace kvplace

int main(int argc, char** argv) {
  for (const kvplace::Case& c : kvplace::kCases) {
    if (c.trace < argc) {
      kvplace::run(c, argv[c.trace]);
    }
  }
  return 0;
}
