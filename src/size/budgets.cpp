#include "kvplace/size/budgets.h"

#include <algorithm>
#include <cmath>

#include "kvplace/base/parse.h"
#include "kvplace/simulate/replay.h"
#include "kvplace/size/allocate.h"
#include "kvplace/size/miss_curve.h"
#include "size/variation.h"

namespace kvplace {
namespace {

using Blocks = std::vector<std::uint32_t>;

constexpr int kLruRounds = 3;

class BudgetSearch {
 public:
  BudgetSearch(std::span<const BudgetTrace> traces, std::span<const BudgetTrace> held_out, const BudgetOptions& options,
               const RunContext& context)
      : traces_(traces), held_out_(held_out), options_(options), context_(context) {}

  Result<LayerBudgets> run() {
    KVPLACE_TRY(check());
    budgets_.policy = options_.policy;
    budgets_.manifest = make_manifest();
    KVPLACE_TRY(measure_curves());
    for (std::size_t i = 0; i < traces_.size(); ++i) {
      budgets_.from_each.push_back(best_for([i](std::size_t other) { return other == i; }));
    }
    budgets_.blocks = best_for([](std::size_t) { return true; });
    measure_spread();
    for (std::size_t i = 0; i < traces_.size(); ++i) {
      KVPLACE_TRY(check_on(traces_[i], i));
    }
    fall_back();
    for (const BudgetTrace& trace : held_out_) {
      KVPLACE_TRY(check_on(trace, std::nullopt));
    }
    return std::move(budgets_);
  }

 private:
  Status check() {
    if (traces_.empty()) {
      return bad_input("budgets are made from a trace: name at least one");
    }
    const Instance& first = *traces_.front().instance;
    if (!first.has_like_layers() && !first.experts_alone()) {
      return bad_input("budgets divide blocks of one size, but layers of " +
                       (first.spec().model ? first.spec().model->name : std::string("the model")) +
                       " differ in the KV of a token: give --block-bytes");
    }
    budgets_.block_bytes = first.mean_kv_block_bytes();
    budgets_.total_blocks = static_cast<std::uint64_t>(first.capacity().value() / budgets_.block_bytes.value());
    if (budgets_.total_blocks == 0) {
      return bad_input("the near capacity of a request, " + format_bytes(first.capacity()) +
                       ", holds no block: give a larger --total");
    }
    for (const std::span<const BudgetTrace> group : {traces_, held_out_}) {
      for (const BudgetTrace& trace : group) {
        const Instance& instance = *trace.instance;
        KVPLACE_TRY(check_miss_curves(*trace.trace, options_.policy));
        KVPLACE_TRY(check_fits(options_.policy, *trace.trace, instance));
        if (instance.layers() != first.layers() || instance.mean_kv_block_bytes() != first.mean_kv_block_bytes()) {
          return bad_input(trace.trace->path() + ": has " + std::to_string(instance.layers()) +
                           " layers and blocks of " + format_bytes(instance.mean_kv_block_bytes()) + ", but " +
                           traces_.front().trace->path() + " has " + std::to_string(first.layers()) + " and " +
                           format_bytes(first.mean_kv_block_bytes()) +
                           ": budgets are for traces of one model and block size");
        }
        if (instance.capacity() != first.capacity()) {
          return bad_input(trace.trace->path() + ": has another near capacity than " + traces_.front().trace->path() +
                           ": give the total as a size or as blocks per layer");
        }
      }
    }
    return {};
  }

  /// The curves of `lru` are exact at a reference only: first at equal budgets, then at the budgets that these give.
  Status measure_curves() {
    const std::uint32_t layers = traces_.front().instance->layers();
    Blocks reference(layers, static_cast<std::uint32_t>(budgets_.total_blocks / layers));
    const int rounds = options_.policy.name == "lru" ? kLruRounds : 1;
    for (int round = 0; round < rounds; ++round) {
      std::vector<std::vector<LayerMissCurve>> measured;
      for (const BudgetTrace& trace : traces_) {
        KVPLACE_ASSIGN(curves,
                       measure_miss_curves(*trace.trace, *trace.instance, options_.policy, reference, context_));
        measured.push_back(std::move(curves));
      }
      curves_ = std::move(measured);
      reference = best_for([](std::size_t) { return true; });
    }
    return {};
  }

  /// Made from the traces whose index `used` accepts.
  template <class Used>
  [[nodiscard]] Blocks best_for(const Used& used) const {
    std::vector<LayerMissCurve> envelopes;
    for (std::uint32_t layer = 0; layer < traces_.front().instance->layers(); ++layer) {
      std::vector<const LayerMissCurve*> curves;
      for (std::size_t i = 0; i < curves_.size(); ++i) {
        if (used(i)) {
          curves.push_back(&curves_[i][layer]);
        }
      }
      envelopes.push_back(lower_envelope(sum_of(curves)));
    }
    return allocate(envelopes, budgets_.total_blocks, options_.least_blocks);
  }

  void measure_spread() {
    const auto num_traces = static_cast<double>(traces_.size());
    for (std::size_t layer = 0; layer < budgets_.blocks.size(); ++layer) {
      double sum = 0;
      for (const Blocks& blocks : budgets_.from_each) {
        sum += blocks[layer];
      }
      const double mean = sum / num_traces;
      double squares = 0;
      for (const Blocks& blocks : budgets_.from_each) {
        squares += (blocks[layer] - mean) * (blocks[layer] - mean);
      }
      budgets_.mean_blocks.push_back(mean);
      budgets_.deviation_blocks.push_back(std::sqrt(squares / num_traces));
    }
  }

  /// `index`: of a trace that the budgets were made from.
  Status check_on(const BudgetTrace& trace, std::optional<std::size_t> index) {
    budgets_.manifest.inputs.emplace_back(trace.trace->path(), trace.trace->totals().digest);
    std::vector<Blocks> candidates{Blocks(), budgets_.equal_are_better ? Blocks() : budgets_.blocks};
    candidates.insert(candidates.end(), budgets_.from_each.begin(), budgets_.from_each.end());
    const bool leaves_others = index && traces_.size() > 1;
    if (leaves_others) {
      candidates.push_back(best_for([&](std::size_t other) { return other != *index; }));
    }
    KVPLACE_ASSIGN(outcomes, replay_with(trace, candidates));
    BudgetCheck check;
    check.file = trace.trace->path();
    check.held_out = !index;
    check.reads = trace.trace->totals().reads;
    check.equal = outcomes[0];
    check.found = outcomes[1];
    check.from_each.assign(outcomes.begin() + 2, outcomes.begin() + 2 + static_cast<std::ptrdiff_t>(traces_.size()));
    if (index) {
      check.own = check.from_each[*index];
    }
    if (leaves_others) {
      check.others = outcomes.back();
    }
    budgets_.checks.push_back(std::move(check));
    return {};
  }

  /// Empty candidates stand for equal budgets.
  Result<std::vector<BudgetOutcome>> replay_with(const BudgetTrace& trace, std::span<const Blocks> candidates) const {
    std::vector<Instance> instances;
    instances.reserve(candidates.size());
    for (const Blocks& blocks : candidates) {
      InstanceSpec spec = trace.instance->spec();
      spec.options.layer_shares.assign(blocks.begin(), blocks.end());
      if (std::all_of(blocks.begin(), blocks.end(), [](std::uint32_t b) { return b == 0; })) {
        spec.options.layer_shares.clear();
      }
      KVPLACE_ASSIGN(instance, Instance::make(spec, trace.trace->meta(), trace.trace->totals()));
      instances.push_back(std::move(instance));
    }
    std::vector<ReplayJob> jobs;
    for (const Instance& instance : instances) {
      jobs.push_back({&instance, options_.policy});
    }
    KVPLACE_ASSIGN(results, replay_whole(*trace.trace, jobs, context_));
    std::vector<BudgetOutcome> outcomes;
    for (const ReplayResult& result : results) {
      outcomes.push_back({result.far_reads, result.total});
    }
    return outcomes;
  }

  void fall_back() {
    BudgetOutcome equal;
    BudgetOutcome found;
    for (const BudgetCheck& check : budgets_.checks) {
      equal.far_reads += check.equal.far_reads;
      equal.total += check.equal.total;
      found.far_reads += check.found.far_reads;
      found.total += check.found.total;
    }
    if (found.far_reads <= equal.far_reads && found.total <= equal.total) {
      return;
    }
    budgets_.equal_are_better = true;
    const auto layers = static_cast<std::uint32_t>(budgets_.blocks.size());
    budgets_.blocks.assign(layers, static_cast<std::uint32_t>(budgets_.total_blocks / layers));
    for (BudgetCheck& check : budgets_.checks) {
      check.found = check.equal;
    }
  }

  std::span<const BudgetTrace> traces_;
  std::span<const BudgetTrace> held_out_;
  const BudgetOptions& options_;
  const RunContext& context_;
  std::vector<std::vector<LayerMissCurve>> curves_;  // [trace][layer]
  LayerBudgets budgets_;
};

}  // namespace

Result<LayerBudgets> find_budgets(std::span<const BudgetTrace> traces, std::span<const BudgetTrace> held_out,
                                  const BudgetOptions& options, const RunContext& context) {
  return BudgetSearch(traces, held_out, options, context).run();
}

}  // namespace kvplace
