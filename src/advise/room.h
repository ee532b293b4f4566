/// How many requests of a deployment fit, and what is near of each.
#pragma once

#include <cstdint>

#include "kvplace/advise/advise.h"

namespace kvplace {

/// Near and far memory of one GPU for requests at their longest.
class Room {
 public:
  Room(const InstanceSpec& spec, std::uint32_t layers, std::uint64_t longest);

  /// What one GPU has for so many requests of all GPUs. REQUIRES: the deployment is valid.
  [[nodiscard]] Result<GpuShare> share(std::uint32_t batch, double experts_near, double weights_near) const;

  /// Which weights are near, and whether so many requests fit at all.
  struct Plan {
    FarHolds fit = FarHolds::kNothing;
    GpuShare share;
    double experts_near = 1;
    double weights_near = 1;
    double kv_of_request = 0;  ///< bytes on a GPU
    double room = 0;           ///< bytes that are left for the KV of all requests of a GPU
  };
  /// All weights near if they fit beside one request of each group; then no more requests are served than KV has room
  /// for. Else as many experts, then as many weights, as near memory holds beside the KV (of
  /// weights: before it).
  [[nodiscard]] Result<Plan> plan(std::uint32_t batch) const;

  /// Whether all KV is near.
  [[nodiscard]] bool all_near(std::uint32_t batch) const;
  /// Whether so many requests fit with so many bytes of near memory each. `full_copy`: far memory has all KV.
  [[nodiscard]] bool tiered(std::uint32_t batch, double near_bytes_each, bool full_copy) const;
  [[nodiscard]] std::uint32_t groups() const { return groups_; }

  /// The most requests, in whole groups, for which `fits` holds, if it holds for all less; 0 if for none.
  template <class Fits>
  [[nodiscard]] std::uint32_t most(const Fits& fits) const {
    constexpr std::uint32_t kMost = 1u << 20;
    std::uint32_t low = 0;  // groups of requests that fit
    std::uint32_t high = 1;
    while (high <= kMost / groups_ && fits(high * groups_)) {
      low = high;
      high *= 2;
    }
    while (high - low > 1) {
      const std::uint32_t middle = low + (high - low) / 2;
      (middle <= kMost / groups_ && fits(middle * groups_) ? low : high) = middle;
    }
    return low * groups_;
  }

 private:
  InstanceSpec spec_;
  TraceMeta meta_;
  TraceTotals totals_;
  std::uint32_t groups_ = 1;
  bool weights_fit_ = false;
};

}  // namespace kvplace
