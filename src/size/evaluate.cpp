#include "size/evaluate.h"

#include "kvplace/bound/elementary.h"
#include "simulate/bounds_visitor.h"
#include "size/variation.h"

namespace kvplace {

double tokens_per_second(const Instance& instance, Seconds total) {
  const double tokens = static_cast<double>(instance.steps()) * instance.options().batch;
  return total.value() > 0 ? tokens / total.value() : 0;
}

Result<ProvenBound> Evaluator::bound(const Instance& instance) const {
  BoundOptions search;
  search.time_limit = options_.bound_time_limit;
  search.ascend = false;  // one of many probes
  KVPLACE_ASSIGN(bound, solve_bound(trace_, instance.with_start(Start::kFree), search, context_));
  if (bound.status == SearchStatus::kInterrupted || context_.stop_requested()) {
    return interrupted("stopped before the answer was known; nothing is written");
  }
  return bound;
}

Result<std::vector<Seconds>> Evaluator::times(std::span<const Trial> trials) const {
  std::vector<ReplayJob> jobs;
  for (const Trial& trial : trials) {
    if (trial.contender->policy) {
      jobs.push_back({trial.instance, *trial.contender->policy});
    }
  }
  std::vector<ReplayResult> results;
  if (!jobs.empty()) {
    KVPLACE_ASSIGN(replayed, replay_whole(trace_, jobs, context_));
    results = std::move(replayed);
  }
  std::vector<Seconds> times;
  auto next = results.begin();
  for (const Trial& trial : trials) {
    if (trial.contender->policy) {
      times.push_back((next++)->total);
    } else {
      KVPLACE_ASSIGN(proven, bound(*trial.instance));
      times.push_back(proven.verified.bound);
    }
  }
  return times;
}

Result<std::vector<Seconds>> Evaluator::all_near(std::span<const Instance* const> instances) const {
  std::vector<BoundsVisitor> bounds;
  bounds.reserve(instances.size());
  std::vector<TraceVisitor*> visitors;
  for (const Instance* instance : instances) {
    visitors.push_back(&bounds.emplace_back(*instance));
  }
  KVPLACE_TRY(replay_whole(trace_, {}, context_, visitors));
  std::vector<Seconds> times;
  for (const BoundsVisitor& visitor : bounds) {
    times.push_back(visitor.bounds().all_near);
  }
  return times;
}

SizeProbe Evaluator::probe(const Instance& instance, double value, Seconds total, bool reached) const {
  SizeProbe probe;
  probe.value = value;
  probe.near_bytes = instance.capacity().value() * instance.options().batch;
  probe.link_bytes_per_second = instance.step_time().bandwidth(Channel::kFarLinkRead).value();
  probe.batch = instance.options().batch;
  probe.total = total;
  probe.tokens_per_second = tokens_per_second(instance, total);
  probe.reached = reached;
  return probe;
}

}  // namespace kvplace
