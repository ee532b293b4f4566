// Batches: what they take, what bounds them, from which on tiering pays.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "advise/adviser.h"
#include "kvplace/solve/bound.h"

namespace kvplace {
namespace {

constexpr double kAlike = 1.001;  // the simpler of two that take as long
constexpr double kMostSecondsOfBound = 5;

}  // namespace

std::vector<std::uint32_t> Adviser::batches() const {
  const std::uint32_t groups = setup_->room().groups();
  std::set<std::uint32_t> all{batch()};
  for (const double factor : {0.25, 0.5, 2.0, 4.0}) {
    const auto of_groups = static_cast<std::uint32_t>(std::ceil(batch() * factor / groups));
    all.insert(std::max(1u, of_groups) * groups);
  }
  return {all.begin(), all.end()};
}

Result<Adviser::Found> Adviser::add(Bench& bench, const Setup& setup, std::uint32_t n) {
  Found found;
  KVPLACE_ASSIGN(near, setup.all_near(bench, n));
  KVPLACE_ASSIGN(engine, setup.engine(bench, n));
  KVPLACE_ASSIGN(policies, setup.policies(bench, n));
  found.all_near = std::move(near);
  found.engine = std::move(engine);
  found.policies = std::move(policies);
  return found;
}

const Estimate* Adviser::fastest(const Bench& bench, const std::vector<Estimate>& estimates) {
  const auto best = std::min_element(estimates.begin(), estimates.end(), [&](const Estimate& a, const Estimate& b) {
    return a.speed(bench).step_s < b.speed(bench).step_s;
  });
  return best == estimates.end() ? nullptr : &*best;
}

Status Adviser::time_points() {
  bench_ = std::make_unique<Bench>(context_);
  for (const std::uint32_t n : batches()) {
    KVPLACE_ASSIGN(found, add(*bench_, *setup_, n));
    found_.push_back(std::move(found));
    AdvicePoint point;
    point.batch = n;
    KVPLACE_ASSIGN(plan, setup_->room().plan(n));
    point.experts_near = plan.experts_near;
    point.buffer_blocks = plan.fit == FarHolds::kNothing ? 0 : setup_->buffer_blocks(plan);
    advice_.points.push_back(point);
  }
  if (advice_.requests_all_near > 0) {
    KVPLACE_ASSIGN(most, setup_->all_near(*bench_, advice_.requests_all_near));
    most_all_near_ = std::move(most);
  }
  KVPLACE_TRY(run(*bench_, kPassesAfterPoints));
  for (std::size_t i = 0; i < found_.size(); ++i) {
    AdvicePoint& point = advice_.points[i];
    const Found& found = found_[i];
    if (found.all_near) {
      point.all_near = found.all_near->speed(*bench_);
    }
    const Estimate* spender = nullptr;
    if (const Estimate* best = fastest(*bench_, found.policies)) {
      point.best = best->speed(*bench_);
      spender = best;
    }
    // What is wholly near, and an engine's own split, are placements as well.
    for (const std::optional<Estimate>* other : {&found.all_near, &found.engine}) {
      if (*other && (!point.best || (*other)->speed(*bench_).step_s <= point.best->step_s * kAlike)) {
        point.best = (*other)->speed(*bench_);
        point.best->policy = point.best->policy.empty() ? "all near" : point.best->policy;
      }
    }
    if (found.engine) {
      point.engine = found.engine->speed(*bench_);
      point.engine_buffer_blocks = found.engine->buffer_blocks;
      spender = &*found.engine;
    }
    if (spender != nullptr) {
      point.spent = spender->spent(*bench_);
    }
  }
  if (most_all_near_) {
    advice_.most_all_near = most_all_near_->speed(*bench_);
  }
  return {};
}

Status Adviser::prove_points() {
  std::vector<std::size_t> order(advice_.points.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return (advice_.points[a].batch == batch()) > (advice_.points[b].batch == batch());
  });
  double points_left = static_cast<double>(order.size());
  for (const std::size_t i : order) {
    const double share = seconds_left() / points_left--;
    if (found_[i].policies.empty()) {
      continue;
    }
    const std::size_t at = found_[i].policies.front().parts.front().at;
    progress_.begin_part(kPassesOfBound, kPassesOfBound * points_left);
    BoundOptions search;
    search.claim = advice_.spec.engine.whole_requests ? Claim::kAny : Claim::kStep;
    search.time_limit = Seconds(std::clamp(share, 0.5, kMostSecondsOfBound));
    search.ascend = false;
    // A split of experts has them near from the start.
    const bool any_start = advice_.points[i].experts_near < 1;
    const Instance machine = bench_->instance(at).for_bounds();
    KVPLACE_ASSIGN(proven, solve_bound(*bench_->trace(at), any_start ? machine.with_start(Start::kFree) : machine,
                                       search, context_));
    progress_.end_part();
    if (context_.stop_requested()) {
      return interrupted("stopped before there was an answer");
    }
    const double bound = bench_->step_of(at, proven.verified.bound);
    // A split of experts is of mean routing, and what is all near writes nothing to far: they may be below it.
    if (bound <= advice_.points[i].best->step_s) {
      advice_.points[i].bound_step_s = bound;
    }
  }
  return {};
}

Status Adviser::run(Bench& bench, double left) {
  progress_.begin_part(static_cast<double>(bench.size()), left);
  Status done = bench.run();
  progress_.end_part();
  return done;
}

Result<double> Adviser::engine_step(std::uint32_t n) {
  Bench bench(context_);
  KVPLACE_ASSIGN(engine, setup_->engine(bench, n));
  if (!engine) {
    return INFINITY;
  }
  KVPLACE_TRY(run(bench, kPassesAfterBatches));
  return engine->speed(bench).step_s;
}

template <class Holds>
Result<std::optional<std::uint32_t>> Adviser::least(std::uint32_t low, std::uint32_t high, const Holds& holds) {
  const std::uint32_t groups = setup_->room().groups();
  low /= groups;
  high /= groups;
  if (high <= low) {
    return std::nullopt;
  }
  KVPLACE_ASSIGN(reached, holds(high * groups));
  if (!reached) {
    return std::nullopt;
  }
  while (high - low > 1 && !time_is_up()) {
    const std::uint32_t middle = low + (high - low) / 2;
    KVPLACE_ASSIGN(there, holds(middle * groups));
    (there ? high : low) = middle;
  }
  advice_.complete = advice_.complete && high - low <= 1;
  return high * groups;
}

Status Adviser::find_batches() {
  const bool of_kv = advice_.fit == FarHolds::kKv || advice_.fit == FarHolds::kNothing;
  if (of_kv && setup_->tiers_kv() && advice_.requests_tiered > advice_.requests_all_near) {
    if (!advice_.most_all_near) {
      advice_.crossover_batch = setup_->room().groups();  // nothing fits without
    } else {
      const double enough = advice_.most_all_near->tokens_per_second;
      const auto pays = [&](std::uint32_t n) -> Result<bool> {
        KVPLACE_ASSIGN(step, engine_step(n));
        return n / step > enough;
      };
      // The speed may fall again where little is left near of each request: some batches between are tried as well.
      std::uint32_t low = advice_.requests_all_near;
      while (low < advice_.requests_tiered && !advice_.crossover_batch && !time_is_up()) {
        const std::uint32_t groups = setup_->room().groups();
        const std::uint32_t next = (low + std::max(groups, low / 2)) / groups * groups;
        const std::uint32_t high = std::min(next, advice_.requests_tiered);
        KVPLACE_ASSIGN(found, least(low, high, pays));
        advice_.crossover_batch = found;
        low = high;
      }
      advice_.complete = advice_.complete && (advice_.crossover_batch || low >= advice_.requests_tiered);
    }
  }
  if (options_.target) {
    const double most = 1 / *options_.target;
    const std::uint32_t groups = setup_->room().groups();
    const std::uint32_t high = std::max(advice_.requests_all_near, advice_.requests_tiered) + groups;
    const auto too_slow = [&](std::uint32_t n) -> Result<bool> {
      KVPLACE_ASSIGN(step, engine_step(n));
      return step > most;
    };
    KVPLACE_ASSIGN(found, least(0, high, too_slow));
    advice_.target_batch = found ? *found - groups : 0;
  }
  return {};
}

}  // namespace kvplace
