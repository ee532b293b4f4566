/// Times of policies and of the certified bound on instances that differ in a figure.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "kvplace/size/size.h"
#include "kvplace/solve/bound.h"

namespace kvplace {

/// A policy, or the certified bound.
struct Contender {
  std::optional<PolicySpec> policy;  ///< none: the bound
};

class Evaluator {
 public:
  Evaluator(const TraceReader& trace, const SizeOptions& options, const RunContext& context)
      : trace_(trace), options_(options), context_(context) {}

  [[nodiscard]] Result<Instance> make(const InstanceSpec& spec) const {
    return Instance::make(spec, trace_.meta(), trace_.totals());
  }

  struct Trial {
    const Contender* contender = nullptr;
    const Instance* instance = nullptr;
  };
  /// Total time of each trial: policies in one common pass, bounds one after another. The bound is that of a free
  /// start: no less than it for any start, and no more with more capacity.
  [[nodiscard]] Result<std::vector<Seconds>> times(std::span<const Trial> trials) const;
  [[nodiscard]] Result<ProvenBound> bound(const Instance& instance) const;

  /// Time with everything near, of each instance, in one pass.
  [[nodiscard]] Result<std::vector<Seconds>> all_near(std::span<const Instance* const> instances) const;

  /// A probe with its times filled in.
  [[nodiscard]] SizeProbe probe(const Instance& instance, double value, Seconds total, bool reached) const;

 private:
  const TraceReader& trace_;
  const SizeOptions& options_;
  const RunContext& context_;
};

/// Decode steps x batch / time.
[[nodiscard]] double tokens_per_second(const Instance& instance, Seconds total);

}  // namespace kvplace
