#include "size/evaluate.h"

#include <algorithm>
#include <set>

#include "base/parallel.h"
#include "simulate/bounds_visitor.h"
#include "size/variation.h"

namespace kvplace {
double tokens_per_second(const Instance& instance, Seconds total) {
  const double tokens = instance.tokens_decoded(instance.steps());
  return total.value() > 0 ? tokens / total.value() : 0;
}

SizeProbe probe_of(const Instance& instance, double value, Seconds total, bool reached) {
  SizeProbe probe;
  probe.value = value;
  probe.near_bytes = instance.capacity().value() * instance.options().batch;
  probe.link_bytes_per_second = instance.step_time().bandwidth(Channel::kFarLinkRead).value();
  probe.batch = instance.all_requests();
  probe.total = total;
  probe.tokens_per_second = tokens_per_second(instance, total);
  probe.reached = reached;
  return probe;
}

Evaluator::Key Evaluator::key_of(const Trial& trial) {
  const Instance& instance = *trial.instance;
  return {trial.contender->policy ? trial.contender->policy->text() : std::string(),
          instance.capacity().value(),
          instance.step_time().bandwidth(Channel::kFarLinkRead).value(),
          instance.step_time().bandwidth(Channel::kFarLinkWrite).value(),
          instance.all_requests(),
          instance.kv_row_bytes().value()};
}

std::vector<const Evaluator::Trial*> Evaluator::unknown(std::span<const Trial> trials, bool of_policies) const {
  std::vector<const Trial*> found;
  std::set<Key> keys;
  for (const Trial& trial : trials) {
    const Key key = key_of(trial);
    if (trial.contender->policy.has_value() == of_policies && !known_.contains(key) && keys.insert(key).second) {
      found.push_back(&trial);
    }
  }
  return found;
}

Status Evaluator::replay_unknown(std::span<const Trial> trials, double left) {
  const std::vector<const Trial*> wanted = unknown(trials, true);
  if (wanted.empty()) {
    return {};
  }
  std::vector<ReplayJob> jobs;
  for (const Trial* trial : wanted) {
    jobs.push_back({trial->instance, *trial->contender->policy});
  }
  progress_.begin_part(static_cast<double>(jobs.size()), left);
  KVPLACE_ASSIGN(results, replay_whole(trace_, jobs, context_));
  progress_.end_part();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    known_[key_of(*wanted[i])] = {results[i].total};
  }
  return {};
}

Result<Timed> Evaluator::bound(const Instance& instance, const RunContext& context) const {
  constexpr Seconds kNoLimit(1e9);  // the whole search's is the context's interrupt
  BoundOptions search;
  search.claim = covering_claim(instance.options());
  search.time_limit = kNoLimit;
  search.ascend = false;  // one of many probes
  KVPLACE_ASSIGN(bound,
                 solve_bound(trace_, instance.with_start(Start::kFree), search, context, gaps_ ? &*gaps_ : nullptr));
  if (bound.status != SearchStatus::kConverged) {
    return interrupted("stopped before the answer was known; nothing is written");
  }
  return Timed{bound.verified.bound, bound.capacity_price_s_per_byte};
}

Status Evaluator::bound_unknown(std::span<const Trial> trials, double left) {
  const std::vector<const Trial*> wanted = unknown(trials, false);
  if (wanted.empty()) {
    return {};
  }
  RunContext context = context_;
  if (wanted.size() > 1) {
    context.progress = nullptr;  // it takes no calls from several threads
    context.threads = static_cast<unsigned>(std::max<std::size_t>(1, num_threads(context_.threads) / wanted.size()));
  }
  progress_.begin_part(kPassesOfBound * static_cast<double>(wanted.size()), left);
  const Instance first = wanted.front()->instance->with_start(Start::kFree);
  if (!gaps_ || !gaps_->fit(first)) {
    gaps_.reset();  // there is room for one
    KVPLACE_ASSIGN(gaps, share_gaps(trace_, first, context));
    gaps_ = std::move(gaps);
  }
  std::vector<Timed> times(wanted.size());
  KVPLACE_TRY(run_parallel(wanted.size(), context_.threads, [&](std::size_t i) -> Status {
    KVPLACE_ASSIGN(timed, bound(*wanted[i]->instance, context));
    times[i] = timed;
    return {};
  }));
  progress_.end_part();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    known_[key_of(*wanted[i])] = times[i];
  }
  return {};
}

Result<std::vector<Timed>> Evaluator::times(std::span<const Trial> trials, double left) {
  time_limit_.look();
  KVPLACE_TRY(replay_unknown(trials, left + kPassesOfBound * static_cast<double>(unknown(trials, false).size())));
  KVPLACE_TRY(bound_unknown(trials, left));
  std::vector<Timed> times;
  for (const Trial& trial : trials) {
    times.push_back(known_.at(key_of(trial)));
  }
  return times;
}

Result<std::vector<Bounds>> Evaluator::elementary(std::span<const Instance* const> instances, double left) {
  time_limit_.look();
  std::vector<BoundsVisitor> visitors;
  visitors.reserve(instances.size());
  std::vector<TraceVisitor*> pointers;
  for (const Instance* instance : instances) {
    pointers.push_back(&visitors.emplace_back(*instance));
  }
  progress_.begin_part(1, left);
  KVPLACE_TRY(replay_whole(trace_, {}, context_, pointers));
  progress_.end_part();
  std::vector<Bounds> bounds;
  for (const BoundsVisitor& visitor : visitors) {
    bounds.push_back(visitor.bounds());
  }
  return bounds;
}

Result<std::vector<Seconds>> Evaluator::all_near(std::span<const Instance* const> instances, double left) {
  KVPLACE_ASSIGN(bounds, elementary(instances, left));
  std::vector<Seconds> times;
  for (const Bounds& of_instance : bounds) {
    times.push_back(of_instance.all_near);
  }
  return times;
}

}  // namespace kvplace
