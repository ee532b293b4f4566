#include "bound/path_costs.h"

#include <limits>

#include "bound/certificate_units.h"

namespace kvplace {

Moves then(const Moves& first, const Moves& second) {
  return {std::min(first.far_to_far + second.far_to_far, first.far_to_near + second.near_to_far),
          std::min(first.far_to_far + second.far_to_near, first.far_to_near + second.near_to_near),
          std::min(first.near_to_far + second.far_to_far, first.near_to_near + second.near_to_far),
          std::min(first.near_to_far + second.far_to_near, first.near_to_near + second.near_to_near),
          std::min(second.far_to_near, first.arriving_to_near + second.arriving_to_near),
          std::min({first.near_to_far + second.far_to_near, first.near_to_near + second.near_to_arriving,
                    first.near_to_arriving + second.arriving_to_near})};
}

PathCosts::PathCosts(const Certificate& certificate)
    : c_(certificate),
      exclusive_(certificate.numbers.mode == Mode::kExclusive),
      split_(certificate.numbers.mirrored_reads == MirroredReads::kSplit),
      any_(certificate.claim == Claim::kAny) {
  if (!any_) {
    return;
  }
  least_far_write_.resize(c_.channel_prices.size());
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (std::size_t g = least_far_write_.size(); g-- > 0;) {
    least = std::min(least, static_cast<std::int64_t>(c_.channel_prices[g][2] + c_.channel_prices[g][3]));
    least_far_write_[g] = least;
  }
}

StepPrices PathCosts::prices(std::uint32_t step, std::uint32_t layer) const {
  const std::size_t g = group(step, layer);
  const auto& channel = c_.channel_prices[g];
  StepPrices p;
  p.near = static_cast<std::int64_t>(channel[0]);
  p.far_read = static_cast<std::int64_t>(channel[1] + channel[3]);
  p.far_write = static_cast<std::int64_t>(channel[2] + channel[3]);
  p.new_kv_far = any_ ? least_far_write_[g] : p.far_write;
  p.row = static_cast<std::int64_t>(c_.row_prices[row(step, layer)]);
  return p;
}

Moves PathCosts::moves(std::uint32_t step, std::uint32_t layer) const {
  const StepPrices p = prices(step, layer);
  return {0, p.near + p.far_read + p.row, exclusive_ ? p.near + p.far_write : 0, p.row, p.row, Moves::kNever};
}

Result<PathCosts::Fixed> PathCosts::fixed(std::uint32_t layer, std::uint32_t running, Int128 bytes_read_by_rule,
                                          Int128 new_kv, std::uint64_t context_tokens) const {
  const BoundNumbers& n = c_.numbers;
  const Int128 written = exclusive_ ? 0 : new_kv;
  const std::array<Int128, kNumChannels> of_request{bytes_read_by_rule + written, 0, written, written};
  Fixed fixed;
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    const FixedBytes& always = of_layer(n.fixed_bytes, n.layers, running, layer)[c];
    const Int128 bytes = Int128{always.bytes} + Int128{always.per_token} * context_tokens;
    if (of_request[c] > kMostFixedBytes / n.batch || bytes > kMostFixedBytes) {
      return rejected("the certificate's sizes are so large that a step moves 2^63 bytes or more");
    }
    fixed.bytes[c] = bytes + of_request[c] * n.batch;
  }
  if (any_) {
    fixed.waiting_bytes = written * n.batch;
    fixed.bytes[2] -= fixed.waiting_bytes;
    fixed.bytes[3] -= fixed.waiting_bytes;
  }
  return fixed;
}

}  // namespace kvplace
