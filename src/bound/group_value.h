/// What a group of steps is worth beside what its blocks pay for: fixed bytes, the floor, and the credit for whole
/// blocks (docs/certificate.md, "Whole blocks").
#pragma once

#include <array>
#include <vector>

#include "bound/int128.h"
#include "bound/path_costs.h"
#include "kvplace/base/result.h"
#include "kvplace/bound/certificate.h"

namespace kvplace {

/// What is read and moved in a step, or a group of them, that prices alone do not tell.
struct StepLoads {
  std::array<Int128, kNumChannels> fixed_bytes{};  ///< of the whole batch, whatever the placement
  Int128 waiting_bytes = 0;                        ///< of the whole batch: new KV to far that may be written later
  Int128 units_read = 0;                           ///< of one request: reads that a near block could serve from near
  bool whole_reads = true;                         ///< each of these reads is of a whole block

  StepLoads& operator+=(const StepLoads& other);
};

/// REQUIRES: check_prices() found nothing wrong. Refers to the costs. With copies that may span steps there is no
/// credit.
class GroupValue {
 public:
  explicit GroupValue(const PathCosts& costs);

  /// Ticks. `rest`: what the prices leave of the floor. Errors if a channel's fixed bytes reach 2^63.
  [[nodiscard]] Result<Int128> ticks(std::size_t group, const StepLoads& loads, Int128 rest) const;

 private:
  using Ticks = std::array<Int128, kNumChannels>;  ///< per unit on each channel

  /// A function of the number of blocks that come over the link.
  struct Line {
    Int128 at_none;
    Int128 slope;
  };

  [[nodiscard]] static Int128 priced_bytes(const Ticks& prices, const StepLoads& loads);
  [[nodiscard]] Int128 request_units() const { return Int128{c_.unit_bytes} * c_.numbers.batch; }
  [[nodiscard]] Int128 of_fixed(const Ticks& prices, const StepLoads& loads) const {
    return priced_bytes(prices, loads) / request_units();
  }
  [[nodiscard]] Int128 read(const Ticks& prices) const;
  [[nodiscard]] Int128 credit(const Ticks& prices, const StepLoads& loads) const;

  const PathCosts& costs_;
  const Certificate& c_;
  bool split_ = false;
  Int128 whole_ = 0;       ///< ticks * bytes/s of all of a group's time: K
  Int128 most_price_ = 0;  ///< no form's price is more: products fit
  Int128 step_units_ = 0;  ///< all blocks are multiples of it
  Int128 most_steps_ = 0;  ///< that could come over the link in a group
  Int128 floor_ = 0;       ///< ticks of a group
  std::vector<Ticks> forms_;
};

}  // namespace kvplace
