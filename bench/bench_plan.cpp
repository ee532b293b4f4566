// What each start of the planner gives and takes: its schedule's time before and after improvement of its gaps and
// after the descent block by block, as shares above the fastest schedule of the row, and the seconds that each took.
// Rows are of docs/results/bound.md, with others for the exclusive mode, a barrier per token and blocks of several
// sizes.
//   bench_plan [WORD...]    only the rows whose names have all words, like holmes or "450GB/s"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "checked.h"
#include "kvplace/generate/generate.h"
#include "kvplace/instance/resolve.h"
#include "kvplace/simulate/schedules.h"
#include "kvplace/solve/plan.h"
#include "solve/flow/flow_plan.h"
#include "solve/gap_plan/arrivals.h"
#include "solve/gap_plan/forward.h"
#include "solve/gap_plan/greedy.h"
#include "solve/gap_plan/improve.h"
#include "solve/gap_plan/write.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

struct Row {
  const char* trace;    ///< of data/; "experts": made, KV pages and experts of Mixtral
  double near;          ///< in multiples of the blocks read per step and layer
  const char* link;     ///< "far.link_read"
  const char* weights;  ///< per step
  const char* more;     ///< further options, KEY=VALUE, separated by blanks
};
constexpr const char* kExclusive = "options.mode=exclusive";
constexpr const char* kToken = "options.barrier=token";
constexpr Row kRows[] = {
    {"smollm2-austen-page16-k32-ranked", 1, "450GB/s", "0B", ""},
    {"smollm2-austen-page16-k32-ranked", 1, "55GB/s", "5MB", ""},
    {"smollm2-austen-page16-k32-ranked", 2, "55GB/s", "0B", "options.start=free"},
    {"smollm2-austen-token-k64-ranked", 2, "450GB/s", "0B", ""},
    {"smollm2-austen-token-k64-ranked", 1.5, "55GB/s", "20MB", ""},
    {"smollm2-docs-page16-k32-ranked", 1, "55GB/s", "0B", ""},
    {"smollm2-docs-page16-k32-ranked", 1.5, "450GB/s", "0B", ""},
    {"smollm2-docs-token-k64-ranked", 1.5, "450GB/s", "0B", ""},
    {"smollm2-holmes-page16-k32-ranked", 1, "450GB/s", "0B", "options.mirrored_reads=near"},
    {"smollm2-holmes-page16-k64", 1, "450GB/s", "0B", ""},
    {"smollm2-holmes-token-k64-ranked", 4, "450GB/s", "0B", ""},
    {"smollm2-source-page16-k32-ranked", 1, "450GB/s", "0B", ""},
    {"smollm2-source-page16-k32-ranked", 1, "55GB/s", "0B", "options.overlap=none"},
    {"smollm2-source-token-k64-ranked", 2, "450GB/s", "0B", ""},
    {"smollm2-source-page16-k32-ranked", 1, "450GB/s", "0B", kToken},
    {"smollm2-austen-page16-k32-ranked", 1.5, "55GB/s", "0B", kToken},
    {"smollm2-holmes-token-k64-ranked", 2, "450GB/s", "0B", kToken},
    {"smollm2-docs-token-k64-ranked", 1, "55GB/s", "0B", kToken},
    {"smollm2-docs-page16-k32-ranked", 1, "450GB/s", "0B", kExclusive},
    {"smollm2-holmes-page16-k32-ranked", 1.5, "55GB/s", "5MB", kExclusive},
    {"smollm2-source-token-k64-ranked", 2, "450GB/s", "0B", kExclusive},
    {"smollm2-austen-token-k64-ranked", 1.5, "55GB/s", "0B", "options.barrier=token options.mode=exclusive"},
    {"experts", 1.5, "55GB/s", "0B", "model.experts.bytes_per_expert=256KiB"},
    {"experts", 1.5, "450GB/s", "0B", "model.experts.bytes_per_expert=256KiB options.mode=exclusive"},
};

/// A schedule to start from, and what becomes of it. Times are those of replays.
struct Draft {
  std::string name;
  double seconds = 0;   ///< to make and improve it
  double before = 0;    ///< improvement
  double improved = 0;  ///< as before where there are no gaps to improve
  double descended = 0;
  double descent_seconds = 0;
};

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

class Bench {
 public:
  Bench(const TraceReader& trace, const Instance& instance) : trace_(trace), instance_(instance) {}

  std::vector<Draft> run() {
    if (can_plan(instance_)) {
      plan_gaps();
    }
    if (!can_plan(instance_) || instance_.options().mode == Mode::kExclusive) {
      record_policies();
    }
    return std::move(drafts_);
  }

 private:
  /// All drafts of plan_schedule(), wherever they fit; flows around the best plan so far, too.
  void plan_gaps() {
    const PlanCost cost = checked(PlanCost::make(trace_, instance_, {}));
    const std::vector<GapClass> gaps =
        list_gaps(checked(build_gap_classes(trace_, instance_, [] { return false; }, {})),
                  static_cast<double>(instance_.mean_kv_block_bytes().value()));
    const std::int64_t capacity = instance_.capacity().value() / instance_.mean_kv_block_bytes().value();
    const bool free_start = instance_.options().start == Start::kFree;
    double best = INFINITY;
    std::vector<GroupCounts> around(cost.num_groups());
    const auto consider = [&](const char* name, const auto& make) {
      Draft draft;
      draft.name = name;
      double begin = now();
      PlanDraft plan = make();
      draft.seconds = now() - begin;
      draft.before = write(plan);
      begin = now();
      const double total = improve_plan(cost, capacity, plan, [](double) { return false; }, nullptr).total;
      draft.seconds += now() - begin;
      draft.improved = write(plan);
      if (total < best) {
        best = total;
        around = plan.counts;
      }
      descend(std::move(draft));
    };
    const auto by_arrivals = [&](std::optional<std::vector<Arrival>> arrivals) {
      return checked(draft_arrivals(trace_, instance_, cost, std::move(arrivals).value(), {}));
    };
    const auto never = [] { return false; };
    consider("greedy", [&] { return by_arrivals(greedy_arrivals(gaps, cost, capacity, free_start, never)); });
    const NextReads next_reads = checked(NextReads::build(trace_, {}, CountedReads::kNotNearByRule));
    consider("forward", [&] { return checked(draft_plan(trace_, instance_, cost, next_reads, {})); });
    if (!flow_fits(instance_, gaps)) {
      return;
    }
    const auto flow = [&](const std::vector<GroupCounts>& counts) {
      return by_arrivals(flow_arrivals(gaps, StepCosts(cost, counts), capacity, free_start, {}, never, nullptr));
    };
    consider("flow", [&] { return flow(std::vector<GroupCounts>(cost.num_groups())); });
    for (double before = INFINITY; best < before * (1 - 0.0005);) {
      before = best;
      consider("flow around best", [&] { return flow(std::vector<GroupCounts>(around)); });
    }
  }

  void record_policies() {
    for (const char* name : {"belady", "belady-global", "belady-balanced", "static"}) {
      Draft draft;
      draft.name = name;
      const double begin = now();
      const PolicySpec policy = checked(PolicyRegistry::instance().parse(name));
      draft.before = checked(record_schedule(trace_, instance_, policy, path(), {})).total.value();
      draft.improved = draft.before;
      draft.seconds = now() - begin;
      descend(std::move(draft));
    }
  }

  [[nodiscard]] std::string path() const { return folder_.path("draft.kvs"); }
  [[nodiscard]] double total_of(const std::string& schedule) const {
    return checked(replay_schedule(trace_, schedule, instance_, {})).result.total.value();
  }
  [[nodiscard]] double write(const PlanDraft& plan) const {
    checked(write_plan(trace_, instance_, plan, path(), {}));
    return total_of(path());
  }
  void descend(Draft draft) {
    const std::string polished = folder_.path("polished.kvs");
    const double begin = now();
    checked(polish_schedule(trace_, instance_, {Seconds(3600), Seconds(0)}, path(), polished, {}));
    draft.descent_seconds = now() - begin;
    draft.descended = total_of(polished);
    drafts_.push_back(std::move(draft));
  }

  const TraceReader& trace_;
  const Instance& instance_;
  const testing::TempDir folder_;
  std::vector<Draft> drafts_;
};

/// KV pages of 16 tokens and experts, of which a layer reads 2 of 8.
std::string make_experts(const testing::TempDir& folder) {
  GeneratorConfig config = checked(load_generator("quest-64k"));
  config.model = "mixtral-8x7b";
  config.layers = 8;
  config.prompt_tokens = 8192;
  config.steps = 512;
  config.budget = {32, 0};
  config.experts = checked(load_generator("mixtral-experts")).experts;
  const std::string path = folder.path("experts.kvt");
  checked(generate_trace(config, path, {}, {}));
  return path;
}

std::string name_of(const Row& row) {
  std::ostringstream name;
  name << row.trace << ", " << row.near << " x, " << row.link << ", " << row.weights;
  std::istringstream more(row.more);
  for (std::string option; more >> option;) {
    name << ", " << option.substr(option.find('.') + 1);
  }
  return name.str();
}

void run(const Row& row, const std::string& name, const std::string& path) {
  const TraceReader trace = checked(TraceReader::open(path));
  const TraceTotals& totals = trace.totals();
  const double reads = static_cast<double>(totals.reads) / (static_cast<double>(totals.steps) * trace.meta().layers);
  std::vector<ConfigEntry> entries;
  const auto set = [&entries](const std::string& text) { entries.push_back(checked(parse_assignment(text))); };
  set("options.near_blocks_per_layer=" + std::to_string(std::lround(row.near * std::round(reads))));
  set(std::string("hardware.far.link_read=") + row.link);
  set(std::string("options.weight_bytes_per_step=") + row.weights);
  const bool exclusive = std::string_view(row.more).find("mode=exclusive") != std::string_view::npos;
  set(std::string("options.mirrored_reads=") + (exclusive ? "near" : "split"));
  std::istringstream more(row.more);
  for (std::string option; more >> option;) {
    set(option);
  }
  const Instance instance = checked(Instance::make(checked(resolve_spec(entries, trace.meta())), trace.meta(), totals));
  const std::vector<Draft> drafts = Bench(trace, instance).run();
  const double best = std::min_element(drafts.begin(), drafts.end(), [](const Draft& a, const Draft& b) {
                        return a.descended < b.descended;
                      })->descended;
  std::printf("\n%s: %.9f s\n", name.c_str(), best);
  for (const Draft& draft : drafts) {
    const auto above = [best](double time) { return 100 * (time / best - 1); };
    std::printf("  %-16s %8.3f %% %8.3f %% %8.3f %% %8.1f s %8.1f s\n", draft.name.c_str(), above(draft.before),
                above(draft.improved), above(draft.descended), draft.seconds, draft.descent_seconds);
  }
  std::fflush(stdout);
}

}  // namespace
}  // namespace kvplace

int main(int argc, char** argv) {
  using namespace kvplace;
  const testing::TempDir folder;
  const std::string experts = make_experts(folder);
  std::printf("above the row's fastest, and seconds:\n  %-16s %10s %10s %10s %10s %10s\n", "draft", "drafted",
              "improved", "descended", "the plan", "descent");
  for (const Row& row : kRows) {
    const std::string name = name_of(row);
    if (std::all_of(argv + 1, argv + argc, [&](const char* word) { return name.find(word) != std::string::npos; })) {
      const bool made = row.trace == std::string_view("experts");
      run(row, name, made ? experts : KVPLACE_SOURCE_DIR "/data/" + std::string(row.trace) + ".kvt");
    }
  }
  return 0;
}
