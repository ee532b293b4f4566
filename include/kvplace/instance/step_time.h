/// What a step costs: the one place where bytes become time (formulation, "Machine" and "Time").
///
/// Replay, bounds, rounding and the prediction for the runtime all call this; none of it is virtual.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kvplace/base/units.h"
#include "kvplace/hardware/hardware.h"

namespace kvplace {

enum class Channel : std::uint8_t { kNearMem, kFarLinkRead, kFarLinkWrite, kFarMem };
inline constexpr std::size_t kNumChannels = 4;

/// "near.mem", "far.link_read", "far.link_write", "far.mem".
[[nodiscard]] std::string_view channel_name(Channel channel);

enum class Transfer : std::uint8_t {
  kReadNear,
  kWriteNear,
  kReadFar,
  kWriteFar,
  kPromote,         ///< far -> near
  kPromotePassive,  ///< of bytes this step reads from far anyway
  kDemote,          ///< near -> far, exclusive mode
};

/// Bytes on each channel.
struct Loads {
  std::array<std::int64_t, kNumChannels> bytes{};

  /// The table of formulation, "Machine".
  constexpr void add(Transfer transfer, Bytes size) {
    const auto on = [this, size](Channel channel) { bytes[static_cast<std::size_t>(channel)] += size.value(); };
    switch (transfer) {
      case Transfer::kReadNear:
      case Transfer::kWriteNear:
      case Transfer::kPromotePassive:
        on(Channel::kNearMem);
        return;
      case Transfer::kReadFar:
        on(Channel::kFarLinkRead);
        on(Channel::kFarMem);
        return;
      case Transfer::kWriteFar:
        on(Channel::kFarLinkWrite);
        on(Channel::kFarMem);
        return;
      case Transfer::kPromote:
        on(Channel::kFarLinkRead);
        on(Channel::kFarMem);
        on(Channel::kNearMem);
        return;
      case Transfer::kDemote:
        on(Channel::kNearMem);
        on(Channel::kFarLinkWrite);
        on(Channel::kFarMem);
        return;
    }
  }

  [[nodiscard]] constexpr std::int64_t on(Channel channel) const { return bytes[static_cast<std::size_t>(channel)]; }

  constexpr Loads& operator+=(const Loads& other) {
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      bytes[c] += other.bytes[c];
    }
    return *this;
  }
  friend constexpr Loads operator*(Loads loads, std::int64_t factor) {
    for (std::int64_t& b : loads.bytes) {
      b *= factor;
    }
    return loads;
  }
  constexpr bool operator==(const Loads&) const = default;
};

/// Whether far transfers run beside near ones (full) or before them (none: stage, then attend).
enum class Overlap : std::uint8_t { kFull, kNone };

/// T(loads) = max_c load_c / B_c + a * second largest, at least `floor`, plus `overhead`.
/// With Overlap::kNone: near.mem's time + the longest far channel's.
class StepTime {
 public:
  /// `floor`: arithmetic of the step at peak rate; `overhead`: fixed. Both for one (decode step, layer).
  StepTime(const Hardware& hardware, Overlap overlap, Seconds floor, Seconds overhead);

  /// `layers`: how many layers' loads are in `loads` (1, or all of them with a barrier per token).
  [[nodiscard]] Seconds operator()(const Loads& loads, std::uint32_t layers = 1) const {
    std::array<double, kNumChannels> times{};
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      times[c] = static_cast<double>(loads.bytes[c]) / bandwidth_[c];
    }
    return time_of(times, layers);
  }

  /// The same from channel times [seconds], for callers whose bytes are not whole.
  [[nodiscard]] Seconds time_of(const std::array<double, kNumChannels>& times, std::uint32_t layers = 1) const {
    double largest = 0;
    double second = 0;
    for (const double t : times) {
      second = t > largest ? largest : (t > second ? t : second);
      largest = t > largest ? t : largest;
    }
    double total = largest + interference_ * second;
    if (overlap_ == Overlap::kNone) {
      double far = 0;
      for (std::size_t c = 1; c < kNumChannels; ++c) {
        far = times[c] > far ? times[c] : far;
      }
      total = times[0] + far;
    }
    const double lowest = floor_ * layers;
    return Seconds((total < lowest ? lowest : total) + overhead_ * layers);
  }

  /// The channel with the longest time; the first of equals.
  [[nodiscard]] Channel bottleneck(const Loads& loads) const;

  [[nodiscard]] BytesPerSecond bandwidth(Channel channel) const {
    return BytesPerSecond(bandwidth_[static_cast<std::size_t>(channel)]);
  }
  /// Of one (decode step, layer).
  [[nodiscard]] Seconds floor() const { return Seconds(floor_); }
  [[nodiscard]] Seconds overhead() const { return Seconds(overhead_); }
  /// What the far side can deliver: the lesser of its link and its memory.
  [[nodiscard]] BytesPerSecond far_read_bandwidth() const;

  [[nodiscard]] double interference() const { return interference_; }
  [[nodiscard]] Overlap overlap() const { return overlap_; }

 private:
  std::array<double, kNumChannels> bandwidth_{};  // bytes per second
  double interference_;
  Overlap overlap_;
  double floor_;
  double overhead_;
};

/// How far a step's loads may be moved from near to far to finish sooner.
struct Movable {
  Bytes reads;   ///< KV reads that either side could serve
  Bytes writes;  ///< new KV that either side could take (exclusive mode)
};

/// The split of movable bytes that finishes first (bytes need not be whole). O(1).
struct Split {
  double far_read_bytes = 0;
  double far_write_bytes = 0;
  Seconds time;
};
/// `all_near`: the step's loads with everything movable on the near side.
[[nodiscard]] Split best_split(const StepTime& step_time, const Loads& all_near, const Movable& movable,
                               std::uint32_t layers = 1);

}  // namespace kvplace
