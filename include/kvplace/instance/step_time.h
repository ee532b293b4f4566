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

/// A channel's place in arrays by channel.
constexpr std::size_t at(Channel channel) { return static_cast<std::size_t>(channel); }

enum class Transfer : std::uint8_t {
  kReadNear,
  kWriteNear,
  kReadFar,
  kWriteFar,
  kPromote,         ///< far -> near
  kPromotePassive,  ///< of bytes this step reads from far anyway
  kDemote,          ///< near -> far, exclusive mode
};
inline constexpr std::size_t kNumTransfers = 7;

/// The table of formulation, "Machine": whether a transfer loads a channel with its bytes. Everything that charges,
/// prices or plans transfers reads it here; only bound/ and tools/verify_certificate.py state it again, so that a
/// certificate is checked against another reading of the formulation.
inline constexpr std::array<std::array<bool, kNumChannels>, kNumTransfers> kLoaded{{
    // near.mem, far.link_read, far.link_write, far.mem
    {true, false, false, false},  // kReadNear
    {true, false, false, false},  // kWriteNear
    {false, true, false, true},   // kReadFar
    {false, false, true, true},   // kWriteFar
    {true, true, false, true},    // kPromote
    {true, false, false, false},  // kPromotePassive
    {true, false, true, true},    // kDemote
}};

/// Whether a transfer loads a channel: 0 or 1.
constexpr int loaded(Transfer transfer, std::size_t channel) {
  return kLoaded[static_cast<std::size_t>(transfer)][channel] ? 1 : 0;
}

/// What a transfer costs at prices by channel: the far side's, and near memory's.
constexpr double price_of(Transfer transfer, const std::array<double, kNumChannels>& prices) {
  double far = 0;
  for (std::size_t c = 1; c < kNumChannels; ++c) {
    far += loaded(transfer, c) != 0 ? prices[c] : 0;
  }
  return (loaded(transfer, at(Channel::kNearMem)) != 0 ? prices[at(Channel::kNearMem)] : 0) + far;
}

/// Bytes on each channel, and in how many transfers they come.
struct Loads {
  std::array<std::int64_t, kNumChannels> bytes{};
  std::array<std::int64_t, kNumChannels> transfers{};
  // Bytes that nothing moves, at the rate of the channel's others: what weights take longer than these, or less
  // (docs/engines.md). A machine at its peak has none.
  std::int64_t near_more = 0;
  std::int64_t far_more = 0;

  /// `count` transfers of `size` in all; both are negative for what is no longer moved.
  constexpr void add(Transfer transfer, Bytes size, std::int64_t count) {
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      bytes[c] += loaded(transfer, c) * size.value();
      transfers[c] += loaded(transfer, c) * count;
    }
  }

  /// Of a block of which so many bytes are read from far anyway.
  constexpr void add_promotion(Bytes size, Bytes read_from_far) {
    add(Transfer::kPromotePassive, read_from_far, read_from_far > Bytes(0) ? 1 : 0);
    add(Transfer::kPromote, size - read_from_far, size > read_from_far ? 1 : 0);
  }

  [[nodiscard]] constexpr std::int64_t on(Channel channel) const { return bytes[at(channel)]; }

  constexpr Loads& operator+=(const Loads& other) {
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      bytes[c] += other.bytes[c];
      transfers[c] += other.transfers[c];
    }
    near_more += other.near_more;
    far_more += other.far_more;
    return *this;
  }
  friend constexpr Loads operator+(Loads loads, const Loads& other) { return loads += other; }
  friend constexpr Loads operator*(Loads loads, std::int64_t factor) {
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      loads.bytes[c] *= factor;
      loads.transfers[c] *= factor;
    }
    loads.near_more *= factor;
    loads.far_more *= factor;
    return loads;
  }
  constexpr bool operator==(const Loads&) const = default;
};

/// Whether far transfers run beside near ones (full) or before them (none: stage, then attend).
enum class Overlap : std::uint8_t { kFull, kNone };

/// What an engine takes beside bytes at the machine's peak (docs/engines.md). None of it lowers a time, so bounds of
/// the machine hold with it.
struct EngineCosts {
  double near_share = 1;  ///< of near memory's bandwidth, that is reached
  Seconds overhead;     ///< of each (decode step, layer)
  Seconds far_latency;  ///< once where anything is read from far
};

/// What is on a channel; a part of a load need not be whole.
struct ChannelLoad {
  double bytes = 0;
  double transfers = 0;
};

/// T(loads) = max_c load_c / B_c + a * second largest, at least `floor`, plus `overhead`.
/// With Overlap::kNone: near.mem's time + the longest far channel's.
/// Costs of an engine, if any, come on top: near.mem takes load / (share x B), near.mem and far.mem what is more of
/// weights, far.link_read its latency.
class StepTime {
 public:
  /// `floor`: arithmetic of the step at peak rate; `overhead`: fixed. Both for one (decode step, layer).
  StepTime(const Hardware& hardware, Overlap overlap, Seconds floor, Seconds overhead, const EngineCosts& costs = {});

  /// The same machine at its peak, without an engine's costs: what bounds are of.
  [[nodiscard]] StepTime at_peak() const;
  /// An engine's costs without the latency of far memory, in which times are convex in the loads.
  [[nodiscard]] StepTime without_latency() const;
  /// The machine whose own time that is, if Loads::near_more and far_more are bytes as others.
  [[nodiscard]] StepTime as_machine() const;

  /// `layers`: how many layers' loads are in `loads` (1, or all of them with a barrier per token).
  [[nodiscard]] Seconds operator()(const Loads& loads, std::uint32_t layers = 1) const {
    return time_of(channel_times(loads), layers);
  }

  /// What a channel takes for its load, in seconds; linear in it.
  [[nodiscard]] double channel_time(std::size_t channel, const ChannelLoad& load) const {
    return load.bytes / rate_[channel];
  }
  /// The same of all channels; `loads` are all of a step, weights too.
  [[nodiscard]] std::array<double, kNumChannels> channel_times(const Loads& loads) const {
    std::array<double, kNumChannels> times{};
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      times[c] = channel_time(c, {static_cast<double>(loads.bytes[c]), static_cast<double>(loads.transfers[c])});
    }
    times[at(Channel::kNearMem)] += static_cast<double>(loads.near_more) * more_ / rate_[at(Channel::kNearMem)];
    times[at(Channel::kFarMem)] += static_cast<double>(loads.far_more) * more_ / rate_[at(Channel::kFarMem)];
    times[at(Channel::kFarLinkRead)] += loads.on(Channel::kFarLinkRead) > 0 ? latency_ : 0;
    return times;
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
    return Seconds((total < lowest ? lowest : total) + (overhead_ + engine_overhead_) * layers);
  }

  /// The channel with the longest time; the first of equals.
  [[nodiscard]] Channel bottleneck(const Loads& loads) const;

  /// The machine's.
  [[nodiscard]] BytesPerSecond bandwidth(Channel channel) const { return BytesPerSecond(bandwidth_[at(channel)]); }
  /// What of it is reached.
  [[nodiscard]] BytesPerSecond rate(Channel channel) const { return BytesPerSecond(rate_[at(channel)]); }
  /// Of one (decode step, layer), the machine's.
  [[nodiscard]] Seconds floor() const { return Seconds(floor_); }
  [[nodiscard]] Seconds overhead() const { return Seconds(overhead_); }
  /// What the far side can deliver: the lesser of its link and its memory.
  [[nodiscard]] BytesPerSecond far_read_bandwidth() const;

  /// Whether anything is counted beside bytes at the machine's peak, its own overhead and floor.
  [[nodiscard]] bool has_costs() const;
  /// What the first byte from far adds.
  [[nodiscard]] double latency() const { return latency_; }

  [[nodiscard]] double interference() const { return interference_; }
  [[nodiscard]] Overlap overlap() const { return overlap_; }

 private:
  std::array<double, kNumChannels> bandwidth_{};  // bytes per second
  std::array<double, kNumChannels> rate_{};       // of these, what is reached
  double interference_;
  Overlap overlap_;
  double floor_;
  double overhead_;
  double engine_overhead_;
  double more_ = 1;  // whether what is more of weights counts
  double latency_;
};

/// What either side could move for a step: bytes, and in how many transfers they come.
struct MovableBytes {
  Bytes bytes;
  std::int64_t transfers = 0;

  MovableBytes& operator+=(const MovableBytes& other) {
    bytes += other.bytes;
    transfers += other.transfers;
    return *this;
  }
  MovableBytes& operator-=(const MovableBytes& other) {
    bytes -= other.bytes;
    transfers -= other.transfers;
    return *this;
  }
  friend MovableBytes operator*(MovableBytes movable, std::int64_t factor) {
    return {movable.bytes * factor, movable.transfers * factor};
  }
  bool operator==(const MovableBytes&) const = default;
};

/// How far a step's loads may be moved from near to far to finish sooner.
struct Movable {
  MovableBytes reads;   ///< KV reads that either side could serve
  MovableBytes writes;  ///< new KV that either side could take (exclusive mode)
};

/// The split of movable bytes that finishes first; bytes and transfers need not be whole. O(1).
struct Split {
  double far_read_bytes = 0;
  double far_write_bytes = 0;
  Seconds time;
};
/// `all_near`: the step's loads with everything movable on the near side.
[[nodiscard]] Split best_split(const StepTime& step_time, const Loads& all_near, const Movable& movable,
                               std::uint32_t layers = 1);

/// The time of best_split() if only reads can be moved, in seconds; faster where the time is the longest channel's.
[[nodiscard]] double split_time(const StepTime& step_time, const Loads& all_near, const MovableBytes& reads,
                                std::uint32_t layers);

/// The loads after best_split() of reads, in whole bytes, the better of the two beside the best, and whole transfers.
[[nodiscard]] Loads split_loads(const StepTime& step_time, const Loads& all_near, const MovableBytes& reads,
                                std::uint32_t layers);

}  // namespace kvplace
