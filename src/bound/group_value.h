/// What a group of steps is worth beside what its blocks pay for: fixed bytes, the floor, and the credit for whole
/// blocks (docs/certificate.md, "Whole blocks").
#pragma once

#include <array>
#include <vector>

#include "bound/int128.h"
#include "kvplace/base/result.h"
#include "kvplace/bound/certificate.h"

namespace kvplace {

/// What is read and moved in a step, or a group of them, that prices alone do not tell.
struct StepLoads {
  std::array<Int128, kNumChannels> fixed_bytes{};  ///< of the whole batch, whatever the placement
  Int128 units_read = 0;                           ///< of one request: reads that a near block could serve from near
  bool whole_reads = true;                         ///< each of these reads is of a whole block

  StepLoads& operator+=(const StepLoads& other);
};

/// REQUIRES: check_prices() found nothing wrong. Refers to the certificate.
class GroupValue {
 public:
  explicit GroupValue(const Certificate& certificate);

  /// Ticks. `rest`: what the prices leave of the floor. Errors if a channel's fixed bytes reach 2^63.
  [[nodiscard]] Result<Int128> ticks(std::size_t group, const StepLoads& loads, Int128 rest) const;

 private:
  using Ticks = std::array<Int128, kNumChannels>;  ///< per unit on each channel

  /// A function of the number of blocks that come over the link.
  struct Line {
    Int128 at_none;
    Int128 slope;
  };

  [[nodiscard]] Int128 of_fixed(const Ticks& prices, const StepLoads& loads) const;
  [[nodiscard]] Int128 read(const Ticks& prices) const;
  [[nodiscard]] Int128 credit(const Ticks& prices, const StepLoads& loads) const;

  const Certificate& c_;
  bool split_;
  Int128 whole_;       ///< ticks * bytes/s of all of a group's time: K
  Int128 most_price_;  ///< no form's price is more: products fit
  Int128 step_units_;  ///< all blocks are multiples of it
  Int128 most_steps_;  ///< that could come over the link in a group
  Int128 floor_;       ///< ticks of a group
  std::vector<Ticks> forms_;
};

}  // namespace kvplace
