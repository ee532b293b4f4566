/// Times of policies and of the certified bound on instances that differ in a figure.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "kvplace/simulate/compare.h"
#include "kvplace/size/size.h"
#include "kvplace/solve/bound.h"
#include "size/search_progress.h"
#include "size/time_limit.h"
#include "solve/search/shared_gaps.h"

namespace kvplace {

/// About as many passes over the trace as a search for a bound takes as long as.
inline constexpr double kPassesOfBound = 10;

/// A policy, or the certified bound.
struct Contender {
  std::optional<PolicySpec> policy;  ///< none: the bound
};

/// What a contender takes on an instance.
struct Timed {
  Seconds total;
  double capacity_price_s_per_byte = 0;  ///< of the bound only, as ProvenBound has it
};

/// Remembers all that it has evaluated.
class Evaluator {
 public:
  /// REQUIRES: instances are of one trace and differ only in near capacity, link, batch and block bytes.
  Evaluator(const TraceReader& trace, const RunContext& context, TimeLimit& time_limit,
            std::string_view what = "sizing")
      : trace_(trace), time_limit_(time_limit), progress_(context.progress, trace.totals().reads, what) {
    context_ = {context.threads, &progress_, time_limit.interrupt()};
  }

  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  [[nodiscard]] Result<Instance> make(const InstanceSpec& spec) const {
    return Instance::make(spec, trace_.meta(), trace_.totals());
  }
  [[nodiscard]] const TraceReader& trace() const { return trace_; }
  [[nodiscard]] SearchProgress& progress() { return progress_; }

  struct Trial {
    const Contender* contender = nullptr;
    const Instance* instance = nullptr;
  };
  /// Each trial: policies in one common pass, bounds at once. The bound is that of a free start: no less than it for
  /// any start, and no more with more capacity. About `left` passes come after it (SearchProgress). An error of kind
  /// kInterrupted if it was stopped before all are known.
  [[nodiscard]] Result<std::vector<Timed>> times(std::span<const Trial> trials, double left);

  /// Time with everything near, and the perfect split, of each instance, in one pass.
  [[nodiscard]] Result<std::vector<Bounds>> elementary(std::span<const Instance* const> instances, double left);
  /// The former alone.
  [[nodiscard]] Result<std::vector<Seconds>> all_near(std::span<const Instance* const> instances, double left);

 private:
  /// Policy, near capacity, link in both directions, batch, bytes of a block in each layer.
  using Key = std::tuple<std::string, std::int64_t, double, double, std::uint32_t, std::int64_t>;

  [[nodiscard]] static Key key_of(const Trial& trial);
  Status replay_unknown(std::span<const Trial> trials, double left);
  Status bound_unknown(std::span<const Trial> trials, double left);
  [[nodiscard]] std::vector<const Trial*> unknown(std::span<const Trial> trials, bool of_policies) const;
  [[nodiscard]] Result<Timed> bound(const Instance& instance, const RunContext& context) const;

  const TraceReader& trace_;
  TimeLimit& time_limit_;
  SearchProgress progress_;
  RunContext context_;
  std::map<Key, Timed> known_;
  std::optional<SharedGaps> gaps_;  // of the last bounds
};

/// Tokens decoded / time.
[[nodiscard]] double tokens_per_second(const Instance& instance, Seconds total);

/// What was tried on an instance.
[[nodiscard]] SizeProbe probe_of(const Instance& instance, double value, Seconds total, bool reached);

}  // namespace kvplace
