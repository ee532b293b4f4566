#include "bound/path_costs.h"

#include "bound/certificate_units.h"

namespace kvplace {
namespace {

Moves then(const Moves& first, const Moves& second) {
  return {std::min(first.far_to_far + second.far_to_far, first.far_to_near + second.near_to_far),
          std::min(first.far_to_far + second.far_to_near, first.far_to_near + second.near_to_near),
          std::min(first.near_to_far + second.far_to_far, first.near_to_near + second.near_to_far),
          std::min(first.near_to_far + second.far_to_near, first.near_to_near + second.near_to_near)};
}

}  // namespace

MovesByKind then(const MovesByKind& first, const MovesByKind& second) {
  return {then(first.expert, second.expert), then(first.page, second.page)};
}

StepPrices PathCosts::prices(std::uint32_t step, std::uint32_t layer) const {
  const auto& channel = channel_prices(step, layer);
  return {static_cast<std::int64_t>(channel[0]), static_cast<std::int64_t>(channel[1] + channel[3]),
          static_cast<std::int64_t>(channel[2] + channel[3]),
          static_cast<std::int64_t>(c_.row_prices[row(step, layer)])};
}

MovesByKind PathCosts::moves(std::uint32_t step, std::uint32_t layer) const {
  const StepPrices p = prices(step, layer);
  const auto of = [&](std::int64_t units) -> Moves {
    const std::int64_t stay = units * p.row;
    return {0, units * (p.near + p.far_read) + stay, exclusive_ ? units * (p.near + p.far_write) : 0, stay};
  };
  return {of(expert_units_), of(page_units_)};
}

Result<std::array<Int128, kNumChannels>> PathCosts::fixed_bytes(Int128 bytes_read_by_rule,
                                                                std::size_t num_appended) const {
  const BoundNumbers& n = c_.numbers;
  const Int128 written = exclusive_ ? 0 : Int128{n.new_kv_bytes} * static_cast<std::int64_t>(num_appended);
  std::array<Int128, kNumChannels> bytes{bytes_read_by_rule + written, 0, written, written};
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    if (bytes[c] > kMostFixedBytes / n.batch) {
      return rejected("the certificate's sizes are so large that a step moves 2^63 bytes or more");
    }
    bytes[c] = n.weight_bytes[c] + bytes[c] * n.batch;
  }
  return bytes;
}

}  // namespace kvplace
