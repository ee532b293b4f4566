/// The parts of find_size().
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "size/evaluate.h"
#include "size/scale.h"

namespace kvplace {

inline constexpr double kGiB = 0x1p30;  ///< bytes
inline constexpr double kGB = 1e9;

/// Whether an instance reaches what is asked for, and by how much not: `excess` as for Bracket.
struct Verdict {
  bool reached = false;
  double excess = 0;
};
using Judge = std::function<Verdict(const Instance& instance, Seconds total)>;
/// Prepares a Judge for the instances of the next round, if it has to know them beforehand.
using Prepare = std::function<Status(std::span<const Instance* const>)>;

struct Search {
  std::vector<SizeProbe> probes;  ///< in ascending order of value
  std::optional<SizeProbe> answer;
  std::optional<SizeProbe> neighbour;
  std::optional<std::int64_t> number;  ///< of the answer on the scale
  bool open = false;                   ///< it was stopped before its end
};

/// One bracket search per contender: those of policies in step, so that each round's replays share a pass; then the
/// bound's, which begins where the first policy reaches the target. Stopped, it returns the brackets so far. About
/// `after` passes over the trace come after it (SearchProgress).
[[nodiscard]] Result<std::vector<Search>> search_all(Evaluator& evaluator, const Scale& scale,
                                                     std::span<const Contender> contenders, const Prepare& prepare,
                                                     const Judge& judge, double after);

/// An answer whose worth is to be measured.
struct Answered {
  const Contender* contender = nullptr;
  Instance instance;
  Seconds total;
};

/// What a little more is worth at each answer. An error of kind kInterrupted if it was stopped.
[[nodiscard]] Result<std::vector<SizeWorth>> measure_worth(Evaluator& evaluator, std::span<const Answered> answers,
                                                           double after);

/// The fastest configurations for a cost: an answer per contender. Stopped, it returns those so far.
[[nodiscard]] Result<std::vector<Search>> search_cost(Evaluator& evaluator, const Instance& instance,
                                                      const SizeOptions& options, std::span<const Contender> contenders,
                                                      double after);

/// The instance that a probe of search_cost() stands for.
[[nodiscard]] InstanceSpec spec_of(const Instance& instance, const SizeProbe& probe);

/// About as many passes over the trace as measure_worth() takes.
[[nodiscard]] double passes_of_worth(std::span<const Contender> contenders);

}  // namespace kvplace
