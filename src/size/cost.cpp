// The fastest configuration for a cost: how to divide the money between near capacity and link.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "size/search.h"
#include "size/variation.h"

namespace kvplace {
namespace {

constexpr int kParts = 16;       // of a policy's first division
constexpr int kRefinements = 4;  // of a policy's search, a division each
constexpr double kFinest = 1.0 / 256;
constexpr int kIntervals = 16;    // of the bound's first cover
constexpr int kBoundSplits = 16;  // intervals of the bound that are halved

/// Configurations by the share of the cost that near memory gets.
class Line {
 public:
  Line(const Instance& instance, const SizeOptions& options) : instance_(instance), options_(options) {
    const double block = static_cast<double>(instance.kv_block_bytes().value()) * instance.options().batch / kGiB;
    price_of_block_ = block * options.price_near_per_gib;
    const double all = std::ceil(static_cast<double>(competing_bytes(instance).value()) /
                                 static_cast<double>(instance.kv_block_bytes().value()));
    most_share_ = std::min(1.0, all * price_of_block_ / options.target.value);
  }

  /// Near capacity [blocks of one request] bought by a share, 0 to 1, of what is spent on near memory at most.
  [[nodiscard]] std::int64_t blocks(double share) const {
    // The largest share buys all blocks or all the money does, whatever rounding says.
    return static_cast<std::int64_t>(std::floor(share * most_share_ * options_.target.value / price_of_block_ + 1e-9));
  }
  /// What the rest of the cost buys [bytes/s].
  [[nodiscard]] double link(double share) const {
    const double left = options_.target.value - static_cast<double>(blocks(share)) * price_of_block_;
    return std::max(left, 0.0) / options_.price_link_per_gb_s * kGB;
  }
  /// Near capacity of one share with the link of another; none without a link.
  [[nodiscard]] std::optional<InstanceSpec> spec(double near_share, double link_share) const {
    const double rate = link(link_share);
    if (rate < 1) {
      return std::nullopt;
    }
    InstanceSpec spec = instance_.spec();
    set_capacity(spec, instance_.kv_block_bytes() * (blocks(near_share) * instance_.options().batch));
    scale_link(spec.hardware, rate / instance_.step_time().bandwidth(Channel::kFarLinkRead).value());
    return spec;
  }

 private:
  const Instance& instance_;
  const SizeOptions& options_;
  double price_of_block_ = 0;
  double most_share_ = 1;
};

using Probes = std::map<double, SizeProbe>;  // by share

Probes::const_iterator fastest(const Probes& probes) {
  return std::min_element(probes.begin(), probes.end(),
                          [](const auto& a, const auto& b) { return a.second.total < b.second.total; });
}

/// Replays all policies at shares they have not been tried at.
Status try_shares(Evaluator& evaluator, const Line& line, std::span<const Contender* const> policies,
                  std::span<const std::vector<double>> shares, std::span<Probes> probes, double left) {
  struct Planned {
    std::size_t policy;
    double share;
  };
  std::vector<Planned> planned;
  std::vector<Instance> instances;
  for (std::size_t p = 0; p < policies.size(); ++p) {
    for (const double share : shares[p]) {
      const std::optional<InstanceSpec> spec = line.spec(share, share);
      if (spec && !probes[p].contains(share)) {
        KVPLACE_ASSIGN(instance, evaluator.make(*spec));
        instances.push_back(std::move(instance));
        planned.push_back({p, share});
      }
    }
  }
  std::vector<Evaluator::Trial> trials;
  for (std::size_t i = 0; i < planned.size(); ++i) {
    trials.push_back({policies[planned[i].policy], &instances[i]});
  }
  if (trials.empty()) {
    return {};
  }
  KVPLACE_ASSIGN(times, evaluator.times(trials, left));
  for (std::size_t i = 0; i < planned.size(); ++i) {
    const double near = static_cast<double>(instances[i].capacity().value()) * instances[i].options().batch;
    probes[planned[i].policy].emplace(planned[i].share, probe_of(instances[i], near, times[i].total, true));
  }
  return {};
}

/// Where a division may be faster than the fastest tried: at the lowest point of the parabola through it and its
/// neighbours. None if that is as good as tried.
std::optional<double> next_share(const Probes& probes) {
  if (probes.size() < 2) {
    return std::nullopt;
  }
  const auto best = fastest(probes);
  const double share = best->first;
  const bool first = best == probes.begin();
  const bool last = std::next(best) == probes.end();
  const double to_low = first ? 0 : share - std::prev(best)->first;
  const double to_high = last ? 0 : std::next(best)->first - share;
  double move = to_low > to_high ? -to_low / 2 : to_high / 2;
  if (!first && !last) {
    const double low_slope = (std::prev(best)->second.total - best->second.total) / Seconds(to_low);
    const double high_slope = (std::next(best)->second.total - best->second.total) / Seconds(to_high);
    if (low_slope + high_slope > 0) {
      move = (low_slope * to_high - high_slope * to_low) / (low_slope + high_slope) / 2;
    }
  }
  if (std::abs(move) < kFinest) {  // there: look to the side where less is known
    move = to_low > to_high ? -kFinest : kFinest;
  }
  return std::max(to_low, to_high) > 2 * kFinest ? std::optional(share + move) : std::nullopt;
}

Search search_of(const Probes& probes) {
  Search search;
  for (const auto& [share, probe] : probes) {
    search.probes.push_back(probe);
  }
  if (!probes.empty()) {
    search.answer = fastest(probes)->second;
  }
  for (SizeProbe& probe : search.probes) {
    probe.reached = search.answer && probe.total == search.answer->total;
  }
  return search;
}

/// No division of the cost is faster than the least, over a cover of all shares by intervals, of the bound with the
/// near capacity of an interval's upper end and the link of its lower end: both are at least what any share in it buys.
/// An interval has the perfect split, which no bound is below, until it could be the fastest: then it is evaluated.
class BoundCover {
 public:
  BoundCover(Evaluator& evaluator, const Line& line, double after)
      : evaluator_(evaluator), line_(line), after_(after) {}

  Status run() {
    std::vector<std::pair<double, double>> parts;
    for (int i = 0; i < kIntervals; ++i) {
      parts.emplace_back(i / double{kIntervals}, (i + 1) / double{kIntervals});
    }
    KVPLACE_ASSIGN(cover, with_perfect_split(parts, kBoundSplits));
    intervals_ = std::move(cover);
    for (int split = 0; !intervals_.empty(); ++split) {
      KVPLACE_TRY(evaluate_fastest(kBoundSplits - split));
      const auto fastest = std::min_element(intervals_.begin(), intervals_.end(), is_faster);
      const double middle = (fastest->low + fastest->high) / 2;
      if (split == kBoundSplits || line_.blocks(middle) == line_.blocks(fastest->low) ||
          line_.blocks(middle) == line_.blocks(fastest->high)) {
        break;
      }
      KVPLACE_ASSIGN(final, no_split_tells_more(*fastest, kBoundSplits - split));
      if (final) {
        break;
      }
      KVPLACE_ASSIGN(halves,
                     with_perfect_split(std::array{std::pair(fastest->low, middle), std::pair(middle, fastest->high)},
                                        kBoundSplits - split));
      intervals_.erase(fastest);
      intervals_.insert(intervals_.end(), halves.begin(), halves.end());
    }
    return {};
  }

  [[nodiscard]] Probes probes() const {
    Probes probes;
    for (const Interval& interval : intervals_) {
      probes.emplace(interval.low, interval.probe);
    }
    return probes;
  }

 private:
  struct Interval {
    double low = 0;
    double high = 0;
    Instance instance;
    SizeProbe probe;
    bool evaluated = false;
  };

  /// Of those that are as fast the one with the fastest link.
  static bool is_faster(const Interval& a, const Interval& b) {
    return std::pair(a.probe.total, a.low) < std::pair(b.probe.total, b.low);
  }

  void set_time(Interval& interval, Seconds total) const {
    const double near = static_cast<double>(interval.instance.capacity().value()) * interval.instance.options().batch;
    interval.probe = probe_of(interval.instance, near, total, false);
  }

  [[nodiscard]] double passes_left(int splits) const { return 2 * kPassesOfBound * splits + after_; }

  Result<std::vector<Interval>> with_perfect_split(std::span<const std::pair<double, double>> parts, int splits_left) {
    constexpr double kBelow = 1e-9;  // a certificate may be so much below the perfect split
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
      set_time(intervals[i], bounds[i].perfect_split * (1 - kBelow));
    }
    return intervals;
  }

  /// An interval whose bound is no more than the perfect split, which is that of the division at its upper end as well:
  /// if that has no other bound, an interval with that division is as fast however narrow it is.
  Result<bool> no_split_tells_more(const Interval& interval, int splits_left) {
    constexpr double kRounding = 1e-9;
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

  /// Until the fastest is one that was evaluated; two at once, whatever the number of threads.
  Status evaluate_fastest(int splits_left) {
    constexpr std::size_t kAtOnce = 2;
    while (true) {
      std::sort(intervals_.begin(), intervals_.end(), is_faster);
      if (intervals_.front().evaluated) {
        return {};
      }
      std::vector<Interval*> wanted;
      std::vector<Evaluator::Trial> trials;
      for (Interval& interval : intervals_) {
        if (interval.evaluated || wanted.size() == kAtOnce) {
          break;  // those behind may never be wanted
        }
        wanted.push_back(&interval);
        trials.push_back({&bound_, &interval.instance});
      }
      KVPLACE_ASSIGN(times, evaluator_.times(trials, passes_left(splits_left)));
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        set_time(*wanted[i], times[i].total);
        wanted[i]->evaluated = true;
      }
    }
  }

  Evaluator& evaluator_;
  const Line& line_;
  double after_;
  const Contender bound_{};
  std::vector<Interval> intervals_;
};

}  // namespace

InstanceSpec spec_of(const Instance& instance, const SizeProbe& probe) {
  InstanceSpec spec = instance.spec();
  set_capacity(spec, Bytes(probe.near_bytes));
  scale_link(spec.hardware,
             probe.link_bytes_per_second / instance.step_time().bandwidth(Channel::kFarLinkRead).value());
  return spec;
}

Result<std::vector<Search>> search_cost(Evaluator& evaluator, const Instance& instance, const SizeOptions& options,
                                        std::span<const Contender> contenders, double after) {
  const Line line(instance, options);
  std::vector<const Contender*> policies;
  for (const Contender& contender : contenders) {
    if (contender.policy) {
      policies.push_back(&contender);
    }
  }
  std::vector<Probes> probes(policies.size());
  std::vector<double> grid;
  for (int i = 0; i <= kParts; ++i) {
    grid.push_back(i / double{kParts});
  }
  std::vector<std::vector<double>> shares(policies.size(), grid);
  BoundCover cover(evaluator, line, after);
  Status status;
  for (int round = 0; round <= kRefinements && status; ++round) {
    const double rounds = static_cast<double>(policies.size()) * (kRefinements - round);
    status = try_shares(evaluator, line, policies, shares, probes,
                        rounds + kPassesOfBound * (kIntervals + 2 * kBoundSplits) + after);
    for (std::size_t p = 0; p < policies.size(); ++p) {
      const std::optional<double> share = next_share(probes[p]);
      shares[p].assign(share ? 1 : 0, share.value_or(0));
    }
  }
  if (status) {
    status = cover.run();
  }
  if (!status && status.error().kind != ErrorKind::kInterrupted) {
    return tl::unexpected(std::move(status).error());
  }
  std::vector<Search> searches;
  auto next = probes.begin();
  for (const Contender& contender : contenders) {
    searches.push_back(search_of(contender.policy ? *next++ : cover.probes()));
    searches.back().open = !status;
  }
  return searches;
}

}  // namespace kvplace
