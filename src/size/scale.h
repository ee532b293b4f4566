/// The configurations that a search goes through, numbered so that a higher number is more of what reaches the target.
#pragma once

#include <cstdint>
#include <functional>

#include "kvplace/size/size.h"
#include "size/bracket.h"

namespace kvplace {

struct Scale {
  std::int64_t least = 0;
  std::int64_t most = 0;
  Bracket::From from = Bracket::From::kEnds;
  double tolerance = 0;  ///< of Bracket; 0 where the scale itself has it
  std::function<InstanceSpec(std::int64_t)> spec;
  std::function<double(std::int64_t)> value;  ///< in the unit of Find
};

/// Errors: bad input if the instance leaves nothing to search for.
[[nodiscard]] Result<Scale> make_scale(const Instance& instance, const SizeOptions& options);

/// Batches from `least` on for a near capacity that all requests share.
[[nodiscard]] Scale batch_scale(const Instance& instance, std::int64_t least);

/// The most requests whose KV the far tier holds, at least 1.
[[nodiscard]] std::int64_t most_requests(const Instance& instance);

}  // namespace kvplace
