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

/// Tells whether an instance that took `total` reaches what is asked for.
using Reaches = std::function<bool(const Instance& instance, Seconds total)>;
/// Prepares `Reaches` for the instances of the next round, if it has to know them beforehand.
using Prepare = std::function<Status(std::span<const Instance* const>)>;

struct Search {
  std::vector<SizeProbe> probes;  ///< in ascending order of value
  std::optional<SizeProbe> answer;
  std::optional<SizeProbe> neighbour;
  std::optional<std::int64_t> number;  ///< of the answer on the scale
};

/// One bracket search per contender, all in step, so that each round's replays share a pass.
[[nodiscard]] Result<std::vector<Search>> search_all(const Evaluator& evaluator, const Scale& scale,
                                                     std::span<const Contender> contenders, const Prepare& prepare,
                                                     const Reaches& reaches);

/// What a little more is worth on `instance`, where the contender takes `total`.
[[nodiscard]] Result<SizeWorth> measure_worth(const TraceReader& trace, const Evaluator& evaluator,
                                              const Contender& contender, const Instance& instance, Seconds total);

/// The fastest configurations for a cost: an answer per contender.
[[nodiscard]] Result<std::vector<Search>> search_cost(const Evaluator& evaluator, const Instance& instance,
                                                      const SizeOptions& options,
                                                      std::span<const Contender> contenders);

/// The instance that a probe of search_cost() stands for.
[[nodiscard]] InstanceSpec spec_of(const Instance& instance, const SizeProbe& probe);

}  // namespace kvplace
