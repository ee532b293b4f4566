// The fastest configuration for a cost: how to divide the money between near capacity and link.
#include <algorithm>
#include <cmath>
#include <map>

#include "size/search.h"
#include "size/variation.h"

namespace kvplace {
namespace {

constexpr int kParts = 16;        // of the first division
constexpr int kRefinements = 2;   // of a policy's search, each around the best so far
constexpr int kBoundSplits = 16;  // intervals of the bound that are halved

/// Configurations by the share of the cost that near memory gets.
class Line {
 public:
  Line(const Instance& instance, const SizeOptions& options) : instance_(instance), options_(options) {
    const double block = static_cast<double>(instance.kv_block_bytes().value()) * instance.options().batch / kGiB;
    price_of_block_ = block * options.price_near_per_gib;
    const std::int64_t all = kv_bytes_of_request(instance).value() / instance.kv_block_bytes().value();
    most_share_ = std::min(1.0, static_cast<double>(all) * price_of_block_ / options.target.value);
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

const SizeProbe* fastest(const Probes& probes) {
  const SizeProbe* best = nullptr;
  for (const auto& [share, probe] : probes) {
    if (best == nullptr || probe.total < best->total) {
      best = &probe;
    }
  }
  return best;
}

/// Replays all policies at shares they have not been tried at.
Status try_shares(const Evaluator& evaluator, const Line& line, std::span<const Contender* const> policies,
                  std::span<const std::vector<double>> shares, std::span<Probes* const> probes) {
  struct Planned {
    std::size_t policy;
    double share;
  };
  std::vector<Planned> planned;
  std::vector<Instance> instances;
  for (std::size_t p = 0; p < policies.size(); ++p) {
    for (const double share : shares[p]) {
      const std::optional<InstanceSpec> spec = line.spec(share, share);
      if (spec && !probes[p]->contains(share)) {
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
  KVPLACE_ASSIGN(times, evaluator.times(trials));
  for (std::size_t i = 0; i < planned.size(); ++i) {
    const double near = static_cast<double>(instances[i].capacity().value()) * instances[i].options().batch;
    probes[planned[i].policy]->emplace(planned[i].share, evaluator.probe(instances[i], near, times[i], true));
  }
  return {};
}

/// Shares between the neighbours of the fastest.
std::vector<double> around_fastest(const Probes& probes) {
  const SizeProbe* best = fastest(probes);
  std::vector<double> shares;
  for (auto it = probes.begin(); it != probes.end(); ++it) {
    if (&it->second == best) {
      const double low = it == probes.begin() ? it->first : std::prev(it)->first;
      const double high = std::next(it) == probes.end() ? it->first : std::next(it)->first;
      for (int i = 1; i < kParts / 2; ++i) {
        shares.push_back(low + (high - low) * i / (kParts / 2.0));
      }
    }
  }
  return shares;
}

Search search_of(const Probes& probes) {
  Search search;
  for (const auto& [share, probe] : probes) {
    search.probes.push_back(probe);
  }
  if (const SizeProbe* best = fastest(probes)) {
    search.answer = *best;
  }
  for (SizeProbe& probe : search.probes) {
    probe.reached = search.answer && probe.total == search.answer->total;
  }
  return search;
}

/// No division of the cost is faster than the least, over a cover of all shares by intervals, of the bound with the
/// near capacity of an interval's upper end and the link of its lower end: both are at least what any share in it buys.
Result<Search> search_bound(const Evaluator& evaluator, const Line& line) {
  struct Interval {
    double low;
    double high;
    SizeProbe probe;
  };
  std::vector<Interval> intervals;
  const Contender bound;
  const auto add = [&](double low, double high) -> Status {
    const std::optional<InstanceSpec> spec = line.spec(high, low);
    if (!spec) {
      return {};  // no link at all: nothing can be read from far, nor new KV be written there
    }
    KVPLACE_ASSIGN(instance, evaluator.make(*spec));
    const Evaluator::Trial trial{&bound, &instance};
    KVPLACE_ASSIGN(times, evaluator.times(std::span(&trial, 1)));
    const double near = static_cast<double>(instance.capacity().value()) * instance.options().batch;
    intervals.push_back({low, high, evaluator.probe(instance, near, times.front(), false)});
    return {};
  };
  for (int i = 0; i < kParts; ++i) {
    KVPLACE_TRY(add(i / double{kParts}, (i + 1) / double{kParts}));
  }
  for (int split = 0; split < kBoundSplits && !intervals.empty(); ++split) {
    const auto least = std::min_element(intervals.begin(), intervals.end(), [](const Interval& a, const Interval& b) {
      return a.probe.total < b.probe.total;
    });
    const Interval halved = *least;
    const double middle = (halved.low + halved.high) / 2;
    if (line.blocks(middle) == line.blocks(halved.low) || line.blocks(middle) == line.blocks(halved.high)) {
      break;
    }
    intervals.erase(least);
    KVPLACE_TRY(add(halved.low, middle));
    KVPLACE_TRY(add(middle, halved.high));
  }
  Probes probes;
  for (const Interval& interval : intervals) {
    probes.emplace(interval.low, interval.probe);
  }
  return search_of(probes);
}

}  // namespace

InstanceSpec spec_of(const Instance& instance, const SizeProbe& probe) {
  InstanceSpec spec = instance.spec();
  set_capacity(spec, Bytes(probe.near_bytes));
  scale_link(spec.hardware,
             probe.link_bytes_per_second / instance.step_time().bandwidth(Channel::kFarLinkRead).value());
  return spec;
}

Result<std::vector<Search>> search_cost(const Evaluator& evaluator, const Instance& instance,
                                        const SizeOptions& options, std::span<const Contender> contenders) {
  const Line line(instance, options);
  std::vector<const Contender*> policies;
  for (const Contender& contender : contenders) {
    if (contender.policy) {
      policies.push_back(&contender);
    }
  }
  std::vector<Probes> probes(policies.size());
  std::vector<Probes*> pointers;
  std::vector<std::vector<double>> shares(policies.size());
  for (std::size_t p = 0; p < policies.size(); ++p) {
    pointers.push_back(&probes[p]);
    for (int i = 0; i <= kParts; ++i) {
      shares[p].push_back(i / double{kParts});
    }
  }
  for (int round = 0; round <= kRefinements; ++round) {
    KVPLACE_TRY(try_shares(evaluator, line, policies, shares, pointers));
    for (std::size_t p = 0; p < policies.size(); ++p) {
      shares[p] = around_fastest(probes[p]);
    }
  }
  std::vector<Search> searches;
  auto next = probes.begin();
  for (const Contender& contender : contenders) {
    if (contender.policy) {
      searches.push_back(search_of(*next++));
    } else {
      KVPLACE_ASSIGN(bound, search_bound(evaluator, line));
      searches.push_back(std::move(bound));
    }
  }
  return searches;
}

}  // namespace kvplace
