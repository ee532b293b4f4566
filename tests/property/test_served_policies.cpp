// Every policy on random served batches: rules, room of requests that end, determinism, no peeking; and what is proven
// and planned of them.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "kvplace/bound/verify.h"
#include "kvplace/simulate/compare.h"
#include "kvplace/solve/bound.h"
#include "kvplace/solve/exact.h"
#include "support/random_served.h"

namespace kvplace {
namespace {

/// Counts what is near from decisions alone, and lets go of what ends.
class ServedRecount final : public DecisionObserver {
 public:
  explicit ServedRecount(const Instance& instance) : instance_(instance) {}

  Status on_start(std::span<const BlockIndex> initial_near) override {
    for (const BlockIndex block : initial_near) {
      near_.insert(block);
      bytes_ += instance_.block_bytes(block);
    }
    peak = near_.size();
    decisions.emplace_back();
    decisions.back().promote.assign(initial_near.begin(), initial_near.end());
    return {};
  }

  Status on_step(StepIndex step, LayerIndex layer, const Decision& decision) override {
    const ServedRequests& served = *instance_.layout().served;
    const auto ends_by = [&](BlockIndex block) {
      const BlockId id = instance_.id_of(block);
      return instance_.layout().kind(id) == BlockKind::kKvPage && instance_.layer_of(block) <= layer &&
             served.all()[served.request(id)].end_step <= step.value() + 1;
    };
    for (const std::uint32_t request : served.ending(step.value())) {
      for (const BlockId id : served.blocks_of(request)) {
        const BlockIndex block = instance_.index(layer, id);
        bytes_ -= near_.erase(block) > 0 ? instance_.block_bytes(block) : Bytes(0);
      }
    }
    for (const BlockIndex block : decision.evict) {
      right = right && near_.erase(block) == 1;
      bytes_ -= instance_.block_bytes(block);
    }
    for (const BlockIndex block : decision.promote) {
      right = right && !ends_by(block) && near_.insert(block).second;
      bytes_ += instance_.block_bytes(block);
    }
    right = right && bytes_ <= instance_.capacity() && std::none_of(near_.begin(), near_.end(), [&](BlockIndex b) {
              return instance_.layer_of(b) == layer && ends_by(b);
            });
    peak = std::max(peak, near_.size());
    decisions.push_back(decision);
    return {};
  }

  bool right = true;  ///< all decisions name what they may
  std::size_t peak = 0;
  std::vector<Decision> decisions;

 private:
  const Instance& instance_;
  std::set<BlockIndex> near_;
  Bytes bytes_;
};

struct ServedRun {
  ReplayResult result;
  bool right = false;
  std::size_t peak = 0;
  std::vector<Decision> decisions;
};

ServedRun run_served(const std::string& path, const InstanceSpec& spec, const PolicySpec& policy,
                     unsigned threads = 1) {
  const TraceReader trace = TraceReader::open(path).value();
  const Instance instance = Instance::make(spec, trace.meta(), trace.totals()).value();
  ServedRecount recount(instance);
  const ReplayJob job{&instance, policy, nullptr, &recount};
  RunContext context;
  context.threads = threads;
  const auto results = replay(trace, std::span(&job, 1), context);
  RC_LOG() << (results ? std::string() : results.error().message);
  const ReplayResult& result = results.value().front();
  return {result, recount.right, recount.peak, recount.decisions};
}

testing::RandomServedInstance drawn_batch(std::uint32_t steps = 24) {
  return testing::RandomServedInstance({.steps = steps, .prompt_tokens = 30, .near_blocks = 30, .unlike = true}, 8);
}

void draw_copies(InstanceSpec& spec) {
  spec.options.copies = testing::drawn(rc::gen::element(Copies::kStep, Copies::kBackground));
  if (spec.options.start == Start::kFree) {
    spec.options.start = Start::kEmpty;  // for policies that are no oracles, too
  }
}

std::vector<PolicySpec> policies_without_ranking() {
  std::vector<PolicySpec> policies;
  for (const PolicyInfo& info : PolicyRegistry::instance().policies()) {
    if (!info.requires_ranking) {
      policies.push_back(
          PolicyRegistry::instance().parse(info.search != nullptr ? info.name + ":iterations=3" : info.name).value());
    }
  }
  return policies;
}

RC_GTEST_PROP(ServedPolicies, KeepTheRulesAndNothingOfRequestsThatEnded, ()) {
  testing::RandomServedInstance random = drawn_batch();
  draw_copies(random.spec);
  for (const PolicySpec& policy : policies_without_ranking()) {
    RC_LOG() << policy.text();
    const ServedRun run = run_served(random.path, random.spec, policy);
    RC_ASSERT(run.right);
    const ReplayResult& r = run.result;
    RC_ASSERT(r.near_reads + r.far_reads == r.reads);
    const double tokens = static_cast<double>(random.trace().totals().tokens());
    RC_ASSERT(std::abs(r.tokens_per_second * r.total.value() - tokens) <= 1e-9 * tokens);
    RC_ASSERT(r.token_times.has_value() && r.token_times->p50 <= r.token_times->p99);
    const PolicyInfo& info = *PolicyRegistry::instance().find(policy.name).value();
    if (info.information == Information::kIdeal || info.search != nullptr) {
      continue;  // there are no decisions, or they are not told
    }
    RC_ASSERT(run.decisions.size() == 1 + std::size_t{random.served.layers} * random.trace().totals().steps);
    RC_ASSERT(r.peak_near_blocks == run.peak);
    std::uint64_t promoted = 0;
    std::uint64_t evicted = 0;
    for (const Decision& decision : run.decisions) {
      promoted += decision.promote.size();
      evicted += decision.evict.size();
    }
    RC_ASSERT(r.evictions == evicted);  // what ends is none
    RC_ASSERT(r.promotions <= promoted);
  }
}

RC_GTEST_PROP(ServedPolicies, AreDeterministicForAnyNumberOfThreads, ()) {
  testing::RandomServedInstance random = drawn_batch(10);
  draw_copies(random.spec);
  for (const PolicySpec& policy : policies_without_ranking()) {
    RC_LOG() << policy.text();
    const ServedRun one = run_served(random.path, random.spec, policy, 1);
    const ServedRun four = run_served(random.path, random.spec, policy, 4);
    RC_ASSERT(one.result.total == four.result.total && one.decisions.size() == four.decisions.size());
    for (std::size_t i = 0; i < one.decisions.size(); ++i) {
      RC_ASSERT(one.decisions[i].promote == four.decisions[i].promote);
      RC_ASSERT(one.decisions[i].evict == four.decisions[i].evict);
    }
  }
}

using Names = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

/// By (layer, id): a prefix has fewer blocks per layer.
Names names_of(const std::vector<BlockIndex>& blocks, std::uint32_t per_layer) {
  Names names;
  for (const BlockIndex block : blocks) {
    names.emplace_back(block.value() / per_layer, block.value() % per_layer);
  }
  return names;
}

/// The batch as it was up to a decode step: those that run end with it. Ids stay, as they are in order of birth. Only
/// the last step is another, as more ends with it and nothing arrives.
RC_GTEST_PROP(ServedPolicies, APrefixGivesAPrefixOfTheDecisions, ()) {
  testing::RandomServedInstance random = drawn_batch();
  draw_copies(random.spec);
  const auto table = random.served.table();
  RC_PRE(table->steps() > 1u);
  const std::uint32_t cut = testing::drawn(rc::gen::inRange(1u, table->steps()));
  testing::RandomServed first = random.served;
  std::erase_if(first.requests, [&](const ServedRequest& r) { return r.first_step >= cut; });
  for (ServedRequest& request : first.requests) {
    request.end_step = std::min(request.end_step, cut);
  }
  const Segment all = testing::random_segment(random.served);
  Segment prefix(StepIndex(0), first.layers);
  for (std::uint32_t step = 0; step < cut; ++step) {
    for (std::uint32_t layer = 0; layer < first.layers; ++layer) {
      const StepView v = all.view(step, layer);
      prefix.add(v.reads, {}, {}, v.read_bytes);
    }
  }
  const std::string path = testing::write_trace(random.folder.path("p.kvt"), first.meta(), prefix);
  const std::uint32_t whole_blocks = random.trace().totals().blocks_per_layer;
  const std::uint32_t prefix_blocks = TraceReader::open(path).value().totals().blocks_per_layer;
  for (const PolicySpec& policy : policies_without_ranking()) {
    const PolicyInfo& info = *PolicyRegistry::instance().find(policy.name).value();
    const bool knows_the_future = info.information == Information::kOracle || info.information == Information::kIdeal;
    // Of a buffer for each request the most that run are known beforehand: the slots.
    if (knows_the_future || info.search != nullptr ||
        (info.buffer_per_request && first.table()->most_running() != table->most_running())) {
      continue;
    }
    RC_LOG() << policy.text() << " cut " << cut;
    const ServedRun whole = run_served(random.path, random.spec, policy);
    const ServedRun part = run_served(path, random.spec, policy);
    const std::uint32_t horizon =
        info.information == Information::kLookahead
            ? std::get<std::unique_ptr<LookaheadPolicy>>(info.make(policy.parameters))->horizon()
            : 0;
    const std::size_t same = cut - 1 > horizon ? (cut - 1 - horizon) * std::size_t{first.layers} : 0;
    for (std::size_t i = 0; i < 1 + same; ++i) {
      RC_ASSERT(names_of(whole.decisions[i].promote, whole_blocks) ==
                names_of(part.decisions[i].promote, prefix_blocks));
      RC_ASSERT(names_of(whole.decisions[i].evict, whole_blocks) == names_of(part.decisions[i].evict, prefix_blocks));
    }
  }
}

/// Bytes that a replay may lose as it splits mirrored reads in whole ones.
double lost_by_splits(const Instance& instance) {
  double byte = 0;
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    byte += 1 / instance.step_time().bandwidth(static_cast<Channel>(c)).value();
  }
  return instance.options().mirrored_reads == MirroredReads::kNear ? 0 : byte * instance.steps() * instance.layers();
}

RC_GTEST_PROP(ServedPolicies, NoneIsFasterThanWhatIsProven, ()) {
  testing::RandomServedInstance random = drawn_batch(9);
  const bool free = random.spec.options.start == Start::kFree;
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  const ProvenBounds proven = solve_bounds(trace, instance, {}, {}).value();
  const VerifiedBound step = verify(trace, proven.step.certificate, {}).value();
  const VerifiedBound any = verify(trace, proven.any.certificate, {}).value();
  RC_ASSERT(step.bound_exact == proven.step.verified.bound_exact);
  RC_ASSERT(any.bound <= step.bound);
  for (const PolicySpec& policy : policies_without_ranking()) {
    const PolicyInfo& info = *PolicyRegistry::instance().find(policy.name).value();
    if (info.information == Information::kIdeal || (free && info.information != Information::kOracle)) {
      continue;
    }
    RC_LOG() << policy.text();
    const ReplayResult r = run_served(random.path, random.spec, policy).result;
    RC_ASSERT(r.total.value() >= step.bound.value() * (1 - 1e-12));
    if (random.spec.options.overlap == Overlap::kFull) {
      InstanceSpec late = random.spec;
      late.options.copies = Copies::kBackground;
      RC_ASSERT(run_served(random.path, late, policy).result.total.value() >= any.bound.value() * (1 - 1e-12));
    }
  }
}

/// Placements at the start and after each step; what ends leaves by itself.
class ServedPlacements final : public DecisionSource {
 public:
  ServedPlacements(const Instance& instance, const std::vector<std::vector<BlockIndex>>& placements)
      : instance_(instance), placements_(placements) {}

  Result<std::vector<BlockIndex>> initial_near() override { return placements_.front(); }
  Status next(StepIndex, LayerIndex, Decision& decision) override {
    const auto& before = placements_[step_];
    const auto& after = placements_[step_ + 1];
    std::set_difference(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(decision.evict));
    std::erase_if(decision.evict, [&](BlockIndex block) { return instance_.last_boundary(block) == step_; });
    std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(decision.promote));
    ++step_;
    return {};
  }

 private:
  const Instance& instance_;
  const std::vector<std::vector<BlockIndex>>& placements_;
  std::uint32_t step_ = 0;
};

RC_GTEST_PROP(ServedPolicies, TheExactOptimumReplaysAndLiesBetween, ()) {
  testing::RandomServedInstance random(
      {.layers = 2, .steps = 5, .prompt_tokens = 4, .reads = 4, .near_blocks = 5, .unlike = true}, 3);
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  ExactOptions options;
  options.milp = true;
  const ExactSolution exact = solve_exact(trace, instance, options, {}).value();
  RC_PRE(exact.lp_optimal && exact.milp_optimal);
  const double milp = exact.milp->value();
  RC_ASSERT(exact.lp.value() <= milp * (1 + 1e-8));
  ServedPlacements schedule(instance, exact.schedule);
  ReplayJob job;
  job.instance = &instance;
  job.schedule = &schedule;
  RunContext context;
  context.threads = 1;
  const double taken = replay(trace, std::span(&job, 1), context).value().front().total.value();
  RC_LOG() << "milp " << milp << " replayed " << taken;
  RC_ASSERT(std::abs(taken - milp) <= 1e-8 * milp + lost_by_splits(instance));
  const ProvenBounds proven = solve_bounds(trace, instance, {}, {}).value();
  RC_ASSERT(proven.step.verified.bound.value() <= milp * (1 + 1e-8));
  const PolicySpec planned = PolicyRegistry::instance().parse("planned").value();
  RC_ASSERT(run_served(random.path, random.spec, planned).result.total.value() >= milp * (1 - 1e-8));
}

}  // namespace
}  // namespace kvplace
