/// Names, parameters and makers of policies. A policy is one file in src/policy/policies/ that defines
/// `void kvplace::register_policy_<file name>(PolicyRegistry&)`.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/parameters.h"
#include "kvplace/base/result.h"
#include "kvplace/policy/policy.h"

namespace kvplace {

enum class Information : std::uint8_t { kCausal, kRanked, kLookahead, kOracle, kIdeal };

/// A policy as a user names it: "sa-guided:w=5,r=0.5". The name with its parameters is a versioned identity: a change
/// of behaviour changes the name.
struct PolicySpec {
  std::string name;
  Parameters parameters;

  /// The text form, with all parameters.
  [[nodiscard]] std::string text() const;
  /// The text form with those parameters that are not at their defaults.
  [[nodiscard]] std::string label() const;
};

/// Gives the total time of a policy on the instance at hand.
using Evaluate = std::function<Result<Seconds>(const PolicySpec&)>;

struct PolicyInfo {
  std::string name;
  std::string doc;     ///< one line
  std::string source;  ///< paper and section, or system
  Information information = Information::kCausal;
  std::vector<ParameterInfo> parameters;
  /// Null for a policy that is found by search or planned.
  AnyPolicy (*make)(const Parameters& parameters) = nullptr;
  /// Finds the best member of a family of policies on the whole instance. Null for all others.
  Result<PolicySpec> (*search)(const Parameters& parameters, std::uint64_t seed, const Evaluate& evaluate) = nullptr;
  /// True: neither made nor searched for; the replay asks the planner (kvplace/solve/plan.h) for a whole schedule.
  bool planned = false;
  /// True: has a buffer per layer of Instance::layer_capacity(), so that options.layer_shares change what it does.
  bool buffer_per_layer = false;
  bool buffer_per_request = false;  ///< each request has its own: compared by default where requests come and go
  /// True: of no use on a trace without rankings, so the replay refuses one.
  bool requires_ranking = false;
  /// True: what it decides depends on how fast the machine is (Instance::step_time(), input.loads). Else one run serves
  /// machines that differ in speed alone.
  bool uses_times = false;
  /// False: compare runs it only if it, or all policies, are asked for.
  bool by_default = true;

  /// Runs in the one pass over the trace that serves all such policies.
  [[nodiscard]] bool runs_in_common_pass() const { return make != nullptr; }
};

class PolicyRegistry {
 public:
  /// All policies of the library, sorted by name.
  [[nodiscard]] static const PolicyRegistry& instance();

  /// A look-ahead policy gets the parameter `accuracy`.
  void add(PolicyInfo info);
  [[nodiscard]] std::span<const PolicyInfo> policies() const { return policies_; }
  /// Errors with the nearest name.
  [[nodiscard]] Result<const PolicyInfo*> find(std::string_view name) const;
  /// "NAME" or "NAME:key=value,...": fills in defaults, checks ranges; errors name the range or the nearest key.
  [[nodiscard]] Result<PolicySpec> parse(std::string_view text) const;

 private:
  std::vector<PolicyInfo> policies_;
};

/// "causal", "ranked", "lookahead", "oracle", "ideal".
[[nodiscard]] std::string to_text(Information information);

}  // namespace kvplace
