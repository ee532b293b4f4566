/// What a certificate's prices make a block's moves and transfers cost, in whole ticks (docs/certificate.md, "The cost
/// of a path"). Which channels a transfer loads stands here again, not taken from instance/step_time.h on purpose: a
/// mistake there would else be in the search and in what checks it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

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
  std::int64_t new_kv_far = 0;  ///< of new KV, in this step or when it may wait for
  std::int64_t row = 0;
};

/// The least costs of a unit's moves over one or more steps, for each state it starts and ends in. A unit that arrives
/// may be given up, which costs nothing, and is near as soon as that suits.
struct Moves {
  std::int64_t far_to_far = 0;
  std::int64_t far_to_near = 0;  ///< or arriving
  std::int64_t near_to_far = 0;
  std::int64_t near_to_near = 0;
  std::int64_t arriving_to_near = 0;  ///< or arriving
  std::int64_t near_to_arriving = 0;  ///< dropped in one step, promoted in a later one; of a single step kNever

  /// More than the moves of a unit cost; with these added it fits 64 bits.
  static constexpr std::int64_t kNever = std::int64_t{1} << 62;
};

/// The moves of `first`, then those of `second`.
[[nodiscard]] Moves then(const Moves& first, const Moves& second);

/// REQUIRES: check_prices() found nothing wrong. Refers to the certificate.
class PathCosts {
 public:
  explicit PathCosts(const Certificate& certificate);

  [[nodiscard]] const Certificate& certificate() const { return c_; }
  /// Copies may span steps, and writes wait.
  [[nodiscard]] bool any() const { return any_; }
  [[nodiscard]] std::int64_t page_units(std::uint32_t layer) const {
    return of_layer(c_.numbers.kv_block_bytes, layer) / c_.unit_bytes;
  }
  [[nodiscard]] std::int64_t expert_units() const { return c_.numbers.expert_block_bytes / c_.unit_bytes; }

  /// Ticks of a unit of new KV written to far in a group, or later. REQUIRES: any().
  [[nodiscard]] std::int64_t least_far_write(std::size_t group) const { return least_far_write_[group]; }

  [[nodiscard]] StepPrices prices(std::uint32_t step, std::uint32_t layer) const;

  /// Per unit read of a block that is near.
  [[nodiscard]] std::int64_t near_read(const StepPrices& p) const {
    return split_ ? std::min(p.near, p.far_read) : p.near;
  }
  /// What an appended block gets: so many tokens, as far as it holds them.
  [[nodiscard]] std::int64_t new_kv_bytes(std::uint32_t layer, std::uint32_t tokens) const {
    const Int128 bytes = Int128{of_layer(c_.numbers.new_kv_bytes, layer)} * tokens;
    return static_cast<std::int64_t>(std::min<Int128>(bytes, of_layer(c_.numbers.kv_block_bytes, layer)));
  }
  /// Of new KV, beside what inclusive mode writes to both sides anyway.
  [[nodiscard]] std::int64_t new_kv_near(const StepPrices& p, std::int64_t bytes) const {
    return exclusive_ ? bytes / c_.unit_bytes * p.near : 0;
  }
  [[nodiscard]] std::int64_t new_kv_far(const StepPrices& p, std::int64_t bytes) const {
    return exclusive_ ? bytes / c_.unit_bytes * p.new_kv_far : 0;
  }

  /// What a unit may do in a step, and staying near after it.
  [[nodiscard]] Moves moves(std::uint32_t step, std::uint32_t layer) const;

  /// What a step moves whatever the placement, of the whole batch; `running`: requests of a served batch that do, else
  /// 1. Errors if a channel's bytes reach 2^63.
  struct Fixed {
    std::array<Int128, kNumChannels> bytes{};
    Int128 waiting_bytes = 0;  ///< of new KV to far that may be written later
  };
  [[nodiscard]] Result<Fixed> fixed(std::uint32_t layer, std::uint32_t running, Int128 bytes_read_by_rule,
                                    Int128 new_kv, std::uint64_t context_tokens) const;

 private:
  [[nodiscard]] std::size_t row(std::uint32_t step, std::uint32_t layer) const {
    return std::size_t{step} * c_.numbers.layers + layer;
  }
  [[nodiscard]] std::size_t group(std::uint32_t step, std::uint32_t layer) const {
    return layers_per_group(c_.numbers) > 1 ? step : row(step, layer);
  }

  const Certificate& c_;
  bool exclusive_;
  bool split_;
  bool any_;
  std::vector<std::int64_t> least_far_write_;  ///< [group]: from then on; empty unless any_
};

}  // namespace kvplace
