#include "kvplace/simulate/compare.h"

#include <algorithm>

#include "kvplace/bound/certificate.h"
#include "kvplace/simulate/schedules.h"
#include "simulate/bounds_visitor.h"

namespace kvplace {
namespace {

constexpr const char* kStatic = "static";

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

const ProvenBound* Comparison::covering() const {
  const std::optional<ProvenBound>& bound = covers == Claim::kAny ? proven_any : proven;
  return bound ? &*bound : nullptr;
}

Seconds Comparison::lower_bound() const {
  const ProvenBound* const bound = covering();
  return bound != nullptr ? bound->verified.bound : bounds.perfect_split;
}

std::optional<std::pair<Seconds, Seconds>> Comparison::placements() const {
  std::optional<std::pair<Seconds, Seconds>> range;
  for (const ReplayResult& result : results) {
    if (result.information != Information::kIdeal) {
      range = range ? std::pair(std::min(range->first, result.total), std::max(range->second, result.total))
                    : std::pair(result.total, result.total);
    }
  }
  return range;
}

std::optional<bool> Comparison::placement_matters() const {
  if (!complete || !static_time || static_time->value() <= 0) {
    return std::nullopt;
  }
  const auto [fastest, slowest] = placements().value_or(std::pair(*static_time, *static_time));
  const Seconds most = std::max(slowest, *static_time);
  if (most <= lower_bound() * (1 + kSameTime)) {
    return false;
  }
  return most > std::min(fastest, *static_time) * (1 + kSameTime) ? std::optional(true) : std::nullopt;
}

Manifest make_manifest(const TraceReader& trace) {
  Manifest manifest = make_manifest();
  manifest.inputs.emplace_back(trace.path(), trace.totals().digest);
  return manifest;
}

std::vector<PolicySpec> default_policies(const Instance& instance) {
  const bool served = instance.layout().served != nullptr;
  return runnable_policies(instance, [served](const PolicyInfo& info) {
    return (info.by_default || (served && info.buffer_per_request)) && !info.requires_ranking;
  });
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
  // Whether placement matters is a matter of what moving nothing costs, whichever policies are compared.
  const bool free_start = instance.options().start == Start::kFree;
  const Instance unmoved = free_start ? instance.with_start(Start::kRecent) : instance;
  const auto asked = std::find_if(policies.begin(), policies.end(), [](const auto& p) { return p.name == kStatic; });
  if (asked == policies.end()) {
    jobs.push_back({&unmoved, {kStatic, {}}});
  }
  BoundsVisitor bounds(instance);
  TraceVisitor* const visitors[] = {&bounds};
  KVPLACE_ASSIGN(results, replay(trace, jobs, context, visitors));
  const ReplayResult& of_static = results[static_cast<std::size_t>(asked - policies.begin())];
  Comparison comparison;
  comparison.manifest = make_manifest(trace);
  comparison.bounds = bounds.bounds();
  comparison.covers = covering_claim(instance.options());
  if (of_static.complete) {
    comparison.static_time = of_static.total;
  }
  comparison.complete = std::all_of(results.begin(), results.end(), [](const ReplayResult& r) { return r.complete; });
  if (asked == policies.end()) {
    results.pop_back();
  }
  std::erase_if(results, [](const ReplayResult& r) { return r.steps == 0; });
  comparison.results = std::move(results);
  return comparison;
}

Result<Comparison> make_comparison(const TraceReader& trace, const Instance& instance, const CompareOptions& options,
                                   const RunContext& context) {
  const bool stores = !options.schedule_path.empty();
  if (stores && options.policies.size() != 1) {
    return bad_input("--schedule-out stores one policy's schedule: name it with one --policy");
  }
  for (const PolicySpec& policy : options.policies) {
    KVPLACE_TRY(check_fits(policy, trace, instance));
  }
  if (options.bound) {
    KVPLACE_TRY(bound_numbers(instance.for_bounds(), trace));
  }
  Status stored;
  if (stores) {
    const Result<ReplayResult> recorded =
        record_schedule(trace, instance, options.policies.front(), options.schedule_path, context);
    if (!recorded && recorded.error().kind != ErrorKind::kFailed) {
      return tl::unexpected(recorded.error());
    }
    stored = recorded ? Status() : tl::unexpected(recorded.error());
  }
  KVPLACE_ASSIGN(comparison, compare(trace, instance, options.policies, context));
  comparison.outputs = std::move(stored);
  if (options.bound && comparison.complete) {
    KVPLACE_ASSIGN(proven, solve_bounds(trace, instance.for_bounds(), {}, context));
    comparison.proven = std::move(proven.step);
    comparison.proven_any = std::move(proven.any);
  }
  return comparison;
}

}  // namespace kvplace
