/// What a certificate's prices make a block's moves and transfers cost, in whole ticks (docs/certificate.md, "The cost
/// of a path"). Which channels a transfer loads stands here again, not taken from instance/step_time.h on purpose: a
/// mistake there would else be in the search and in what checks it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "bound/int128.h"
#include "kvplace/base/result.h"
#include "kvplace/bound/certificate.h"
#include "kvplace/trace/trace.h"

namespace kvplace {

/// Ticks per unit moved in a step, by direction, and per unit that is near after it.
struct StepPrices {
  std::int64_t near = 0;
  std::int64_t far_read = 0;
  std::int64_t far_write = 0;
  std::int64_t row = 0;
};

/// The least costs of a block's moves over one or more steps, for each side it starts on and ends on.
struct Moves {
  std::int64_t far_to_far = 0;
  std::int64_t far_to_near = 0;
  std::int64_t near_to_far = 0;
  std::int64_t near_to_near = 0;
};

/// Moves of expert blocks and of KV pages.
struct MovesByKind {
  Moves expert;
  Moves page;
};

/// The moves of `first`, then those of `second`.
[[nodiscard]] MovesByKind then(const MovesByKind& first, const MovesByKind& second);

/// REQUIRES: check_prices() found nothing wrong. Refers to the certificate.
class PathCosts {
 public:
  explicit PathCosts(const Certificate& certificate)
      : c_(certificate),
        exclusive_(certificate.numbers.mode == Mode::kExclusive),
        split_(certificate.numbers.mirrored_reads == MirroredReads::kSplit),
        page_units_(certificate.numbers.kv_block_bytes / certificate.unit_bytes),
        expert_units_(certificate.numbers.expert_block_bytes / certificate.unit_bytes),
        new_kv_units_(certificate.numbers.new_kv_bytes / certificate.unit_bytes) {}

  [[nodiscard]] const Certificate& certificate() const { return c_; }
  [[nodiscard]] std::int64_t page_units() const { return page_units_; }
  [[nodiscard]] std::int64_t expert_units() const { return expert_units_; }

  [[nodiscard]] StepPrices prices(std::uint32_t step, std::uint32_t layer) const;

  /// Per unit read of a block that is near.
  [[nodiscard]] std::int64_t near_read(const StepPrices& p) const {
    return split_ ? std::min(p.near, p.far_read) : p.near;
  }
  /// Of one appended block, beside what inclusive mode writes to both sides anyway.
  [[nodiscard]] std::int64_t new_kv_near(const StepPrices& p) const { return exclusive_ ? new_kv_units_ * p.near : 0; }
  [[nodiscard]] std::int64_t new_kv_far(const StepPrices& p) const {
    return exclusive_ ? new_kv_units_ * p.far_write : 0;
  }

  /// What a block may do in a step, and staying near after it.
  [[nodiscard]] MovesByKind moves(std::uint32_t step, std::uint32_t layer) const;

  /// Bytes that a step moves whatever the placement, of the whole batch. Errors if they reach 2^63.
  [[nodiscard]] Result<std::array<Int128, kNumChannels>> fixed_bytes(Int128 bytes_read_by_rule,
                                                                     std::size_t num_appended) const;

 private:
  [[nodiscard]] std::size_t row(std::uint32_t step, std::uint32_t layer) const {
    return std::size_t{step} * c_.numbers.layers + layer;
  }
  [[nodiscard]] const std::array<std::uint64_t, kNumChannels>& channel_prices(std::uint32_t step,
                                                                              std::uint32_t layer) const {
    return c_.channel_prices[layers_per_group(c_.numbers) > 1 ? step : row(step, layer)];
  }

  const Certificate& c_;
  bool exclusive_;
  bool split_;
  std::int64_t page_units_;
  std::int64_t expert_units_;
  std::int64_t new_kv_units_;
};

}  // namespace kvplace
