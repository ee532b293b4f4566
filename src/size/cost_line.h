/// All that a cost buys: near capacity with a part of it, link with the rest.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "size/search.h"
#include "size/variation.h"

namespace kvplace {

/// Configurations by the share of the cost that near memory gets.
class CostLine {
 public:
  CostLine(const Instance& instance, const SizeOptions& options) : instance_(instance), options_(options) {
    const double block = static_cast<double>(instance.mean_kv_block_bytes().value()) * instance.options().batch / kGiB;
    price_of_block_ = block * options.price_near_per_gib;
    const double all = std::ceil(static_cast<double>(competing_bytes(instance).value()) /
                                 static_cast<double>(instance.mean_kv_block_bytes().value()));
    most_share_ = std::min(1.0, all * price_of_block_ / options.target.value);
  }

  /// Near capacity [blocks of one request] bought by a share, 0 to 1, of what is spent on near memory at most.
  [[nodiscard]] std::int64_t blocks(double share) const {
    // The largest share buys all blocks or all the money does, whatever rounding says.
    return static_cast<std::int64_t>(std::floor(share * most_share_ * options_.target.value / price_of_block_ + 1e-9));
  }
  /// What the rest of the cost buys [bytes/s].
  [[nodiscard]] double link(double share) const {
    const double left = options_.target.value - static_cast<double>(blocks(share)) * price_of_block_;
    return std::max(left, 0.0) / options_.price_link_per_gb_s * kGB;
  }
  /// Near capacity of one share with the link of another; none without a link.
  [[nodiscard]] std::optional<InstanceSpec> spec(double near_share, double link_share) const {
    const double rate = link(link_share);
    if (rate < 1) {
      return std::nullopt;
    }
    InstanceSpec spec = instance_.spec();
    set_capacity(spec, instance_.mean_kv_block_bytes() * (blocks(near_share) * instance_.options().batch));
    scale_link(spec.hardware, rate / instance_.step_time().bandwidth(Channel::kFarLinkRead).value());
    return spec;
  }

 private:
  const Instance& instance_;
  const SizeOptions& options_;
  double price_of_block_ = 0;
  double most_share_ = 1;
};

using Probes = std::map<double, SizeProbe>;  ///< by share

}  // namespace kvplace
