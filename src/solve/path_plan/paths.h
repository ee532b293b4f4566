/// A schedule as paths: when each block is near. Boundaries are numbered 0 ... K: boundary r is before step r, K the
/// end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kvplace/instance/schedule.h"

namespace kvplace {

/// Near at the boundaries first ... last: it came in step first - 1 and leaves in step last, unless that is its last
/// boundary (Instance::last_boundary), with which it is gone.
struct NearTime {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  bool operator==(const NearTime&) const = default;
};

struct PlanPaths {
  std::vector<std::vector<NearTime>> by_block;  ///< in order of time, disjoint
};

/// Of a stored schedule of `instance`. O(moves) memory.
[[nodiscard]] Result<PlanPaths> read_paths(const std::string& path, const Instance& instance);
[[nodiscard]] Status write_paths(const PlanPaths& paths, const Instance& instance, const ScheduleMeta& meta,
                                 const std::string& path);

}  // namespace kvplace
