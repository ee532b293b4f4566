/// A plan while it is made. Boundaries are numbered 0 ... K: boundary r is before step r = t * layers + l, K the end.
#pragma once

#include <cstdint>
#include <numeric>
#include <vector>

#include "solve/gap_plan/cost.h"
#include "trace/chunk_spool.h"

namespace kvplace {

/// The time of a block from its birth or a read to its next read that is not near by rule, if it is not near all the
/// time. Its one decision is the boundary from which on it is near: `from`: held; `to` + 1: never, its read is a miss;
/// between: promoted in the step before.
struct Gap {
  static constexpr std::uint32_t kNone = 0xffffffff;

  std::uint32_t block = 0;
  std::uint32_t from = 0;  ///< the boundary behind the read or birth; 0 for blocks of the start
  std::uint32_t to = 0;    ///< the step of the next read
  std::uint32_t arrive = 0;
  std::uint32_t previous = kNone;  ///< the block's gap that ends where this begins, if it is on the list
  std::uint32_t next = kNone;      ///< the one that begins where this ends, if it is on the list
  bool next_is_held = false;       ///< else: the block is held over that gap
  bool begins_with_miss = false;   ///< if `previous` is not on the list
  bool may_hold = true;            ///< false: the given start has it far

  [[nodiscard]] bool held() const { return arrive == from; }
  [[nodiscard]] bool missed() const { return arrive > to; }
};

struct PlanDraft {
  explicit PlanDraft(ChunkSpool spool) : held_spool(std::move(spool)) {}

  /// Turns what was noted of each boundary, how many more are near there than before, into how many are.
  void sum_occupancy() {
    std::partial_sum(occupancy.begin(), occupancy.end(), occupancy.begin());
    occupancy.pop_back();
  }

  std::vector<GroupCounts> counts;      ///< by group
  std::vector<Gap> gaps;                ///< not held when the draft was made, in order of `to`, up to a limit
  std::vector<std::int32_t> occupancy;  ///< blocks near at each boundary, those near to no purpose left out
  ChunkSpool held_spool;                ///< per chunk and read: 1 if the gap that ends there is held
  std::uint64_t held = 0;               ///< gaps
  std::uint64_t missed = 0;
  std::uint64_t prefetched = 0;
};

}  // namespace kvplace
