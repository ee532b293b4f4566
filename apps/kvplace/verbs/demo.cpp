#include <fmt/core.h>

#include <filesystem>
#include <memory>

#include "app.h"
#include "kvplace/instance/resolve.h"
#include "kvplace/simulate/compare.h"
#include "tables.h"

namespace kvplace::cli {
namespace {

constexpr const char* kDemoTrace = "smollm2-holmes-page16-k64.kvt";

/// A machine and a capacity at which placement matters on the bundled trace.
const std::vector<ConfigEntry> kDemoInstance{
    {"hardware", "h100-sxm-pcie5", "demo"},
    {"options.near_blocks_per_layer", "96", "demo"},
    {"options.weight_bytes_per_step", "0", "demo"},
};

VerbResult run(unsigned threads) {
  KVPLACE_ASSIGN(path, bundled_data(kDemoTrace));
  KVPLACE_ASSIGN(trace, TraceReader::open(path));
  KVPLACE_ASSIGN(spec, resolve_spec(kDemoInstance, trace.meta()));
  KVPLACE_ASSIGN(instance, Instance::make(spec, trace.meta(), trace.totals()));
  const CompareOptions options{default_policies(instance), true, {}};
  KVPLACE_ASSIGN(comparison, make_comparison(trace, instance, options, run_context(threads)));
  std::string text =
      "SmolLM2-135M reading a Sherlock Holmes story (a captured trace, see data/README.md): in each of 30 layers "
      "every\n"
      "new token attends to the 64 pages of 16 tokens that matter most, and near memory holds only some of all "
      "pages.\n\n";
  text += describe(trace, instance) + "\n" + table(comparison, instance, terminal_width());
  // The column is named by what there is to compare with.
  const char* column = comparison.proven ? "x bound is the time over the certified bound"
                                         : "x split is the time over the perfect split, every step's reads divided "
                                           "best between near and far (x bound,\nover a certified bound, is shown by a "
                                           "demo that is not interrupted)";
  text += fmt::format(
      "\nRead it so: {}; hit % are reads served near; util % is the share "
      "of\n"
      "both sides' bandwidth in use; the bottleneck is the slowest channel and its share of steps.\n"
      "Next, with more near memory: kvplace compare {} --hardware h100-sxm-pcie5 --weight-bytes-per-step 0 "
      "--near-blocks-per-layer 128\n",
      column, std::filesystem::proximate(path).string());
  KVPLACE_TRY(print(text));
  const bool proven = comparison.proven && comparison.proven->status == SearchStatus::kConverged;
  return comparison.complete && proven ? kDone : kLimitReached;
}

}  // namespace

void add_demo(App& app) {
  auto threads = std::make_shared<unsigned>(0);
  CLI::App* verb = app.add_verb("demo", "The main job on the bundled real trace", [threads] { return run(*threads); });
  add_threads_flag(*verb, *threads);
  add_quiet_flag(*verb);
}

}  // namespace kvplace::cli
