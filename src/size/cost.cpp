// The fastest configuration for a cost: how to divide the money between near capacity and link.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "size/cost_cover.h"

namespace kvplace {
namespace {

constexpr int kParts = 16;       // of a policy's first division
constexpr int kRefinements = 4;  // of a policy's search, a division each
constexpr double kFinest = 1.0 / 256;

Probes::const_iterator fastest(const Probes& probes) {
  return std::min_element(probes.begin(), probes.end(),
                          [](const auto& a, const auto& b) { return a.second.total < b.second.total; });
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

/// What a policy's search knows of divisions, by share.
struct Divisions {
  Probes probes;                    ///< replayed
  std::map<double, Seconds> times;  ///< of these, and bounds of shares that no replay at can be the fastest

  void add(double share, const SizeProbe& probe) {
    probes.emplace(share, probe);
    times[share] = probe.total;
  }
};

/// Replays all policies at shares they have not been tried at.
Status try_shares(Evaluator& evaluator, const CostLine& line, std::span<const Contender* const> policies,
                  std::span<const std::vector<double>> shares, std::span<Divisions> divisions, double left) {
  struct Planned {
    std::size_t policy;
    double share;
  };
  std::vector<Planned> planned;
  std::vector<Instance> instances;
  for (std::size_t p = 0; p < policies.size(); ++p) {
    for (const double share : shares[p]) {
      const std::optional<InstanceSpec> spec = line.spec(share, share);
      if (spec && !divisions[p].probes.contains(share)) {
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
    divisions[planned[i].policy].add(planned[i].share, probe_of(instances[i], near, times[i].total, true));
  }
  return {};
}

/// Where a division may be faster than the fastest tried: at the lowest point of the parabola through it and its
/// neighbours. None if that is as good as tried.
std::optional<double> next_share(const std::map<double, Seconds>& times) {
  if (times.size() < 2) {
    return std::nullopt;
  }
  const auto best =
      std::min_element(times.begin(), times.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  const double share = best->first;
  const bool first = best == times.begin();
  const bool last = std::next(best) == times.end();
  const double to_low = first ? 0 : share - std::prev(best)->first;
  const double to_high = last ? 0 : std::next(best)->first - share;
  double move = to_low > to_high ? -to_low / 2 : to_high / 2;
  if (!first && !last) {
    const double low_slope = (std::prev(best)->second - best->second) / Seconds(to_low);
    const double high_slope = (std::next(best)->second - best->second) / Seconds(to_high);
    if (low_slope + high_slope > 0) {
      move = (low_slope * to_high - high_slope * to_low) / (low_slope + high_slope) / 2;
    }
  }
  if (std::abs(move) < kFinest) {  // there: look to the side where less is known
    move = to_low > to_high ? -kFinest : kFinest;
  }
  return std::max(to_low, to_high) > 2 * kFinest ? std::optional(share + move) : std::nullopt;
}

/// The grid's shares that a policy may be the fastest at: no bound there is above its fastest so far. The others'
/// bounds are kept.
std::vector<double> shares_left(const CostCover& cover, Divisions& divisions, Seconds limit) {
  std::vector<double> left;
  for (int i = 0; i <= kParts; ++i) {
    const double share = i / double{kParts};
    const Seconds bound = cover.bound_at(share);
    if (bound <= limit) {
      left.push_back(share);
    } else {
      divisions.times.emplace(share, bound);
    }
  }
  return left;
}

/// A grid of shares for each policy, then where its fastest may be.
Status search_policies(Evaluator& evaluator, const CostLine& line, std::span<const Contender* const> policies,
                       const CostCover& cover, std::span<Divisions> divisions, double after) {
  constexpr double kFirst = 1.25;  // times the least bound: most policies reach that somewhere
  std::vector<std::vector<double>> shares(policies.size());
  const auto try_all = [&](int refinements) {
    return try_shares(evaluator, line, policies, shares, divisions,
                      refinements * static_cast<double>(policies.size()) + after);
  };
  for (std::size_t p = 0; p < policies.size(); ++p) {
    shares[p] = shares_left(cover, divisions[p], cover.least() * kFirst);
  }
  KVPLACE_TRY(try_all(kRefinements));
  for (std::size_t p = 0; p < policies.size(); ++p) {
    const Probes& probes = divisions[p].probes;
    shares[p] = shares_left(cover, divisions[p], probes.empty() ? Seconds(1e300) : fastest(probes)->second.total);
  }
  KVPLACE_TRY(try_all(kRefinements));
  for (int refinement = kRefinements; refinement > 0; --refinement) {
    for (std::size_t p = 0; p < policies.size(); ++p) {
      const std::optional<double> share = next_share(divisions[p].times);
      shares[p].assign(share ? 1 : 0, share.value_or(0));
    }
    KVPLACE_TRY(try_all(refinement - 1));
  }
  return {};
}

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
  const CostLine line(instance, options);
  std::vector<const Contender*> policies;
  for (const Contender& contender : contenders) {
    if (contender.policy) {
      policies.push_back(&contender);
    }
  }
  CostCover cover(evaluator, line, after + (kParts + kRefinements) * static_cast<double>(policies.size()));
  Status status = cover.run();
  std::vector<Divisions> divisions(policies.size());
  if (status) {
    status = search_policies(evaluator, line, policies, cover, divisions, after);
  }
  if (!status && status.error().kind != ErrorKind::kInterrupted) {
    return tl::unexpected(std::move(status).error());
  }
  std::vector<Search> searches;
  auto next = divisions.begin();
  for (const Contender& contender : contenders) {
    searches.push_back(search_of(contender.policy ? (next++)->probes : cover.probes()));
    searches.back().open = !status;
  }
  return searches;
}

}  // namespace kvplace
