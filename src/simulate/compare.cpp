#include "kvplace/simulate/compare.h"

#include <algorithm>
#include <cmath>

#include "simulate/bounds_visitor.h"

namespace kvplace {
namespace {

constexpr double kNegligible = 0.01;

/// The fastest and the slowest placement; ideals are none.
std::pair<Seconds, Seconds> range_of(const std::vector<ReplayResult>& results) {
  Seconds fastest(INFINITY);
  Seconds slowest(0);
  for (const ReplayResult& result : results) {
    if (result.information != Information::kIdeal) {
      fastest = std::min(fastest, result.total);
      slowest = std::max(slowest, result.total);
    }
  }
  return {fastest, slowest};
}

/// Of the policies that run in the one pass and fit the start, those that `wanted` wants.
template <class Wanted>
std::vector<PolicySpec> runnable_policies(const Instance& instance, Wanted wanted) {
  std::vector<PolicySpec> policies;
  const PolicyRegistry& registry = PolicyRegistry::instance();
  const bool free_start = instance.options().start == Start::kFree;
  for (const PolicyInfo& info : registry.policies()) {
    const bool fits_start = !free_start || info.information == Information::kOracle;
    if (info.runs_in_common_pass() && fits_start && wanted(info)) {
      policies.push_back(*registry.parse(info.name));
    }
  }
  return policies;
}

}  // namespace

bool Comparison::placement_does_not_matter() const {
  const auto [fastest, slowest] = range_of(results);
  return slowest.value() > 0 && slowest <= fastest * (1 + kNegligible);
}

bool Comparison::nothing_to_gain() const {
  return placement_does_not_matter() && range_of(results).second <= bounds.perfect_split * (1 + kNegligible);
}

Manifest make_manifest(const TraceReader& trace) {
  Manifest manifest = make_manifest();
  manifest.inputs.emplace_back(trace.path(), trace.totals().digest);
  return manifest;
}

std::vector<PolicySpec> default_policies(const Instance& instance) {
  return runnable_policies(instance, [](const PolicyInfo& info) { return info.by_default && !info.requires_ranking; });
}

Result<std::vector<PolicySpec>> named_policies(std::span<const std::string> texts, const TraceMeta& meta,
                                               const Instance& instance) {
  if (texts.empty()) {
    return default_policies(instance);
  }
  std::vector<PolicySpec> policies;
  for (const std::string& text : texts) {
    if (text == "all") {
      const std::vector<PolicySpec> all = runnable_policies(
          instance, [&meta](const PolicyInfo& info) { return meta.has_ranking || !info.requires_ranking; });
      policies.insert(policies.end(), all.begin(), all.end());
    } else {
      KVPLACE_ASSIGN(policy, PolicyRegistry::instance().parse(text));
      policies.push_back(std::move(policy));
    }
  }
  return policies;
}

Result<Comparison> compare(const TraceReader& trace, const Instance& instance, std::span<const PolicySpec> policies,
                           const RunContext& context) {
  std::vector<ReplayJob> jobs;
  for (const PolicySpec& policy : policies) {
    jobs.push_back({&instance, policy});
  }
  BoundsVisitor bounds(instance);
  TraceVisitor* const visitors[] = {&bounds};
  KVPLACE_ASSIGN(results, replay(trace, jobs, context, visitors));
  Comparison comparison;
  comparison.manifest = make_manifest(trace);
  comparison.bounds = bounds.bounds();
  comparison.complete = std::all_of(results.begin(), results.end(), [](const ReplayResult& r) { return r.complete; });
  std::erase_if(results, [](const ReplayResult& r) { return r.steps == 0; });
  comparison.results = std::move(results);
  return comparison;
}

}  // namespace kvplace
