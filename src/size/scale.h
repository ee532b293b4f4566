/// The configurations that a search goes through, numbered so that a higher number is more of what reaches the target.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

#include "kvplace/size/size.h"
#include "size/bracket.h"
#include "size/evaluate.h"

namespace kvplace {

/// No search tries more requests.
inline constexpr std::int64_t kMostBatch = std::int64_t{1} << 20;

struct Scale {
  std::int64_t least = 0;
  std::int64_t most = 0;
  Bracket::From from = Bracket::From::kEnds;
  double tolerance = 0;  ///< of Bracket; 0 where the scale itself has it
  RangeEnd end = RangeEnd::kEverythingNear;
  std::function<InstanceSpec(std::int64_t)> spec;
  std::function<double(std::int64_t)> value;                            ///< in the unit of Find
  std::function<double(std::int64_t)> position;                         ///< of Bracket
  std::int64_t bytes_of_request = 0;                                    ///< near, of one number; 0 if it is none
  std::int64_t first = 0;                                               ///< of Bracket
  std::int64_t stride = 1;                                              ///< of Bracket
  std::function<std::int64_t(std::int64_t, std::int64_t times)> lower;  ///< so many strides below a number; or none

  [[nodiscard]] Bracket::Range bracket() const { return {least, most, from, tolerance, position, first, stride}; }
  [[nodiscard]] SizeRange range() const {
    return {std::min(value(least), value(most)), std::max(value(least), value(most)), end};
  }
};

/// Errors: bad input if the instance leaves nothing to search for.
[[nodiscard]] Result<Scale> make_scale(const Evaluator& evaluator, const Instance& instance,
                                       const SizeOptions& options);

/// Batches from `least` on for a near capacity that all requests share.
[[nodiscard]] Scale batch_scale(const Evaluator& evaluator, const Instance& instance, std::int64_t least);

}  // namespace kvplace
