#include "size/cost_cover.h"

#include <algorithm>
#include <array>
#include <optional>

namespace kvplace {
namespace {

constexpr int kIntervals = 16;      // of the first cover
constexpr int kBoundSplits = 16;    // intervals that are halved
constexpr double kRounding = 1e-9;  // a certificate may be so much below the perfect split

}  // namespace

Status CostCover::run() {
  std::vector<std::pair<double, double>> parts;
  for (int i = 0; i < kIntervals; ++i) {
    parts.emplace_back(i / double{kIntervals}, (i + 1) / double{kIntervals});
  }
  KVPLACE_ASSIGN(cover, with_perfect_split(parts, kBoundSplits));
  intervals_ = std::move(cover);
  for (int split = 0; !intervals_.empty(); ++split) {
    KVPLACE_TRY(evaluate_fastest(kBoundSplits - split));
    const auto narrowed = fastest();
    const double middle = (narrowed->low + narrowed->high) / 2;
    if (split == kBoundSplits || line_.blocks(middle) == line_.blocks(narrowed->low) ||
        line_.blocks(middle) == line_.blocks(narrowed->high)) {
      break;
    }
    KVPLACE_ASSIGN(final, no_split_tells_more(*narrowed, kBoundSplits - split));
    if (final) {
      break;
    }
    KVPLACE_ASSIGN(halves,
                   with_perfect_split(std::array{std::pair(narrowed->low, middle), std::pair(middle, narrowed->high)},
                                      kBoundSplits - split));
    intervals_.erase(narrowed);
    intervals_.insert(intervals_.end(), halves.begin(), halves.end());
  }
  return {};
}

Seconds CostCover::bound_at(double share) const {
  Seconds bound;
  for (const Interval& interval : intervals_) {
    if (interval.low <= share && share <= interval.high) {
      bound = std::max(bound, interval.probe.total);
    }
  }
  return bound;
}

Seconds CostCover::least() const {
  const auto least = std::min_element(intervals_.begin(), intervals_.end(), is_faster);
  return least == intervals_.end() ? Seconds() : least->probe.total;
}

Probes CostCover::probes() const {
  Probes probes;
  for (const Interval& interval : intervals_) {
    probes.emplace(interval.low, interval.probe);
  }
  return probes;
}

void CostCover::set_time(Interval& interval, Seconds total) {
  const double near = static_cast<double>(interval.instance.capacity().value()) * interval.instance.options().batch;
  interval.probe = probe_of(interval.instance, near, total, false);
}

double CostCover::passes_left(int splits) const { return 2 * kPassesOfBound * splits + after_; }

Result<std::vector<CostCover::Interval>> CostCover::with_perfect_split(std::span<const std::pair<double, double>> parts,
                                                                       int splits_left) {
  std::vector<Interval> intervals;
  std::vector<const Instance*> instances;
  intervals.reserve(parts.size());
  for (const auto& [low, high] : parts) {
    if (const std::optional<InstanceSpec> spec = line_.spec(high, low)) {
      KVPLACE_ASSIGN(instance, evaluator_.make(*spec));
      intervals.push_back({low, high, std::move(instance), {}});
      instances.push_back(&intervals.back().instance);
    }  // no link at all: nothing can be read from far, nor new KV be written there
  }
  if (instances.empty()) {
    return intervals;
  }
  KVPLACE_ASSIGN(bounds, evaluator_.elementary(instances, passes_left(splits_left)));
  for (std::size_t i = 0; i < intervals.size(); ++i) {
    set_time(intervals[i], bounds[i].perfect_split * (1 - kRounding));
  }
  return intervals;
}

Result<bool> CostCover::no_split_tells_more(const Interval& interval, int splits_left) {
  const std::optional<InstanceSpec> spec = line_.spec(interval.high, interval.high);
  if (!spec) {
    return false;
  }
  KVPLACE_ASSIGN(division, evaluator_.make(*spec));
  const Instance* const instance = &division;
  KVPLACE_ASSIGN(split, evaluator_.elementary(std::span(&instance, 1), passes_left(splits_left)));
  const Seconds enough = interval.probe.total * (1 + 2 * kRounding);
  if (split.front().perfect_split > enough) {
    return false;
  }
  const Evaluator::Trial trial{&bound_, instance};
  KVPLACE_ASSIGN(times, evaluator_.times(std::span(&trial, 1), passes_left(splits_left)));
  return times.front().total <= enough;
}

void CostCover::inherit(Interval& interval, const Interval& from, double capacity_price_s_per_byte) {
  if (interval.evaluated) {
    return;
  }
  const auto more = static_cast<double>((interval.instance.capacity() - from.instance.capacity()).value());
  const double faster = std::max(1.0, interval.probe.link_bytes_per_second / from.probe.link_bytes_per_second);
  const Seconds least = (from.probe.total - Seconds(capacity_price_s_per_byte * more)) * ((1 - kRounding) / faster);
  set_time(interval, std::max(interval.probe.total, least));
}

std::vector<CostCover::Interval>::iterator CostCover::fastest() {
  return std::min_element(intervals_.begin(), intervals_.end(), [](const Interval& a, const Interval& b) {
    return a.evaluated != b.evaluated ? a.evaluated : is_faster(a, b);
  });
}

Status CostCover::evaluate_fastest(int splits_left) {
  constexpr std::size_t kAtOnce = 2;
  while (true) {
    std::sort(intervals_.begin(), intervals_.end(), is_faster);
    const auto found = fastest();
    std::vector<Interval*> may_be_faster;
    for (Interval& interval : intervals_) {
      const bool faster = !found->evaluated || interval.probe.total * (1 + 2 * kRounding) < found->probe.total;
      if (!interval.evaluated && faster) {
        may_be_faster.push_back(&interval);
      }
    }
    std::sort(may_be_faster.begin(), may_be_faster.end(),
              [](const Interval* a, const Interval* b) { return a->low < b->low; });
    std::vector<Interval*> wanted;
    std::vector<Evaluator::Trial> trials;
    for (std::size_t i = 1; i <= std::min(kAtOnce, may_be_faster.size()); ++i) {
      wanted.push_back(may_be_faster[i * may_be_faster.size() / (kAtOnce + 1)]);
      trials.push_back({&bound_, &wanted.back()->instance});
    }
    if (wanted.empty()) {
      found->probe.total = intervals_.front().probe.total;
      return {};
    }
    KVPLACE_ASSIGN(times, evaluator_.times(trials, passes_left(splits_left)));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      set_time(*wanted[i], times[i].total);
      wanted[i]->evaluated = true;
      for (Interval& interval : intervals_) {
        inherit(interval, *wanted[i], times[i].capacity_price_s_per_byte);
      }
    }
  }
}

}  // namespace kvplace
