// What each part of the search for a bound gives and takes, on the bundled trace or on TRACE with options as KEY=VALUE,
// like
//   bench_bound T.kvt hardware=h100-sxm-pcie5 options.near_blocks_per_layer=96
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <vector>

#include "checked.h"
#include "kvplace/instance/resolve.h"
#include "kvplace/solve/bound.h"
#include "solve/search/window_search.h"

namespace {

using namespace kvplace;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Bytes per second that one core reads from memory.
double read_bandwidth() {
  const std::vector<std::uint64_t> memory(std::size_t{1} << 25, 1);
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    const double begin = now();
    const std::uint64_t sum = std::accumulate(memory.begin(), memory.end(), std::uint64_t{0});
    const double seconds = now() - begin;
    if (sum == memory.size()) {
      best = std::max(best, static_cast<double>(memory.size() * sizeof(std::uint64_t)) / seconds);
    }
  }
  return best;
}

int run(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : KVPLACE_SOURCE_DIR "/data/smollm2-holmes-page16-k64.kvt";
  std::vector<ConfigEntry> entries;
  if (argc <= 2) {
    entries = {{"hardware", "h100-sxm-pcie5", "bench"},
               {"options.near_blocks_per_layer", "96", "bench"},
               {"options.weight_bytes_per_step", "0", "bench"}};
  }
  for (int i = 2; i < argc; ++i) {
    entries.push_back(checked(parse_assignment(argv[i])));
  }
  const TraceReader trace = checked(TraceReader::open(path));
  const Instance instance =
      checked(Instance::make(checked(resolve_spec(entries, trace.meta())), trace.meta(), trace.totals()));
  const double cells = static_cast<double>(instance.num_blocks()) * instance.steps();

  double begin = now();
  const GapClasses classes = checked(build_gap_classes(trace, instance, [] { return false; }, {}));
  std::printf("%s\n%.3g reads, %.3g cells (decode step, block), %.3g classes of gaps, found in %.2f s\n\n",
              path.substr(path.find_last_of('/') + 1).c_str(), static_cast<double>(trace.totals().reads), cells,
              static_cast<double>(classes.num_classes), now() - begin);
  GapDual dual(instance, classes, 0);
  const std::vector<std::size_t> far = window_forms(dual);
  if (far.empty()) {
    std::printf("a miss costs nothing in any form: the perfect split is all there is\n");
    return 0;
  }
  std::size_t split = far.front();
  for (std::size_t f = 0; f < dual.forms().size(); ++f) {
    if (std::abs(dual.forms()[f].miss) < std::abs(dual.forms()[split].miss) && dual.forms()[f].near_read > 0) {
      split = f;
    }
  }
  std::printf("%-44s %14s %10s\n", "prices", "bound s", "seconds");
  const auto row = [&](const char* name, const auto& search) {
    const double start = now();
    const double value = search();
    std::printf("%-44s %14.9f %10.3f\n", name, value, now() - start);
  };
  DualPrices plain;
  plain.mixture.assign(dual.groups().num_groups() * dual.forms().size(), 0);
  for (std::size_t group = 0; group < dual.groups().num_groups(); ++group) {
    plain.mixture[group * dual.forms().size() + split] = 1;
  }
  plain.rows.assign(dual.groups().num_steps(), 0);
  row("split form everywhere, rows free", [&] { return dual(plain); });
  const bool free_start = instance.options().start == Start::kFree;
  for (const std::size_t form : far) {
    const std::string name = "windows, far form " + std::to_string(form);
    row(name.c_str(),
        [&] { return dual(best_windows(dual, classes, free_start, {form, dual.forms()[form].miss}).prices); });
  }
  for (const std::vector<double>& scales : window_scales(dual, far.front())) {
    if (!scales.empty()) {
      const std::string name = "windows for whole blocks, " + std::to_string(scales.size()) + " scales";
      row(name.c_str(), [&] {
        const WindowKind kind{far.front(), dual.forms()[far.front()].miss, scales};
        return dual(best_windows(dual, classes, free_start, kind).prices);
      });
    }
  }
  ProvenBound proven;
  for (const bool ascend : {false, true}) {
    row(ascend ? "all of it, certified and verified" : "without the ascent, certified and verified", [&] {
      BoundOptions options;
      options.ascend = ascend;
      proven = checked(solve_bound(trace, instance, options, {}));
      return proven.verified.bound.value();
    });
  }

  double fastest = INFINITY;  // of evaluations on one thread
  const DualPrices prices =
      best_windows(dual, classes, free_start, {far.front(), dual.forms()[far.front()].miss}).prices;
  const double expected = dual(prices);
  GapDual alone(instance, classes, 1);
  for (int i = 0; i < 5; ++i) {
    begin = now();
    const double value = alone(prices);
    fastest = std::min(fastest, now() - begin);
    if (value != expected) {
      std::fprintf(stderr, "bench_bound: one thread gives another value\n");
      return 1;
    }
  }
  std::printf("\n%-44s %14s %10.4f\n", "one evaluation, one thread", "", fastest);
  begin = now();
  const VerifiedBound verified = checked(verify(trace, proven.certificate, {1, nullptr, nullptr}));
  const double verify_seconds = now() - begin;
  const double roof = read_bandwidth() * 8;
  std::printf("\ncells per second and core: search %.3g, verifier %.3g; a core reads %.3g access bits per second\n",
              cells / fastest, cells / verify_seconds, roof);
  return verified.bound_exact == proven.verified.bound_exact ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv); }
