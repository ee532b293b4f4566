/// Decode steps of a deployment, by replay of a workload that stands for it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "advise/room.h"
#include "kvplace/generate/workload.h"
#include "kvplace/simulate/replay.h"
#include "kvplace/simulate/spent.h"

namespace kvplace {

/// A trace, and how many layers of the model each of its layers stands for.
struct Stand {
  const TraceReader* trace = nullptr;
  double scale = 1;
  double tokens = 0;  ///< KV read by a step of a layer and request; 0: experts
};

/// What is decoded, of which one replay gives the time.
struct Case {
  InstanceSpec spec;
  std::string policy;
  std::uint32_t batch = 1;  ///< tokens of a step
  double extra_s = 0;       ///< of a step, that the instance does not know
};

/// Several of them in one pass over a trace.
class Bench {
 public:
  explicit Bench(const RunContext& context) : context_(context) {}

  /// A case's time is in time() after run(). An error if its instance cannot be made.
  [[nodiscard]] Result<std::size_t> add(const Stand& stand, const Case& a_case);
  [[nodiscard]] Status run();
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] const RunContext& context() const { return context_; }

  [[nodiscard]] const Instance& instance(std::size_t at) const { return entries_[at].instance; }
  [[nodiscard]] const TraceReader* trace(std::size_t at) const { return entries_[at].stand.trace; }
  [[nodiscard]] Speed speed(std::size_t at) const;
  /// A decode step of the deployment, from the time of all of the trace's.
  [[nodiscard]] double step_of(std::size_t at, Seconds total) const;
  /// What that time is spent on; `link` is all that is waited for beyond near memory and overheads.
  [[nodiscard]] Spent spent(std::size_t at) const;

 private:
  struct Entry {
    Stand stand;
    Case the_case;
    Instance instance;
    ReplayResult result;
    bool done = false;
  };

  const RunContext& context_;
  std::deque<Entry> entries_;
};

}  // namespace kvplace
