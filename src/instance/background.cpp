#include "kvplace/instance/background.h"

#include <algorithm>
#include <array>

namespace kvplace {
namespace {

constexpr std::size_t kNear = at(Channel::kNearMem);
/// Times of two channels that should be equal differ by less.
constexpr double kRounding = 1e-12;

/// Whether copies load this channel beside near memory.
constexpr bool carries_copies(std::size_t channel) {
  return channel != kNear && loaded(Transfer::kPromote, channel) != 0;
}

/// The conditions of the header on how much may be copied.
class IdleTime {
 public:
  IdleTime(const StepTime& step_time, const Loads& demand, std::uint32_t layers) : step_time_(step_time) {
    const std::array<double, kNumChannels> times = step_time.channel_times(demand);
    busy_[kNear] = times[kNear];
    if (step_time.overlap() == Overlap::kFull) {  // else demand has its time on the far side before near memory is read
      busy_ = times;
      alone_ = std::max(*std::max_element(times.begin(), times.end()), step_time.floor().value() * layers);
    }
    if (demand.on(Channel::kFarLinkRead) == 0) {
      busy_[at(Channel::kFarLinkRead)] += step_time.latency();
    }
  }

  /// The most of `queued` bytes that find room.
  [[nodiscard]] std::int64_t most(std::int64_t queued) const {
    if (fits(queued)) {
      return queued;
    }
    std::int64_t best = 0;
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      if (carries_copies(c)) {
        const double per_byte = time_of(c, 1);
        const double gained = per_byte - time_of(kNear, 1);
        best = std::max(best, most_about((alone_ - busy_[c]) / per_byte, queued));
        best = gained > 0 ? std::max(best, most_about((busy_[kNear] - busy_[c]) / gained, queued)) : best;
      }
    }
    return best;
  }

 private:
  [[nodiscard]] double time_of(std::size_t channel, std::int64_t copied) const {
    return step_time_.channel_time(channel, {static_cast<double>(copied), 0});
  }

  [[nodiscard]] bool fits(std::int64_t copied) const {
    const double time = (1 + kRounding) * std::max(alone_, busy_[kNear] + time_of(kNear, copied));
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      if (carries_copies(c) && busy_[c] + time_of(c, copied) > time) {
        return false;
      }
    }
    return true;
  }

  /// The greatest whole number about a root that fits; 0 if none does. Roots are off by a few roundings of the loads.
  [[nodiscard]] std::int64_t most_about(double root, std::int64_t queued) const {
    constexpr std::int64_t kReach = 4;
    const auto middle = static_cast<std::int64_t>(std::clamp(root, 0.0, static_cast<double>(queued)));
    for (std::int64_t x = std::min(queued, middle + kReach); x > std::max<std::int64_t>(0, middle - kReach); --x) {
      if (fits(x)) {
        return x;
      }
    }
    return 0;
  }

  const StepTime& step_time_;
  std::array<double, kNumChannels> busy_{};  // seconds of each channel that copies come on top of
  double alone_ = 0;                         // T0, seconds
};

}  // namespace

BackgroundStep background_step(const StepTime& step_time, const Loads& demand, Bytes queued, std::uint32_t layers) {
  BackgroundStep step{Bytes(0), demand, demand};
  if (queued > Bytes(0)) {
    step.copied = Bytes(IdleTime(step_time, demand, layers).most(queued.value()));
    step.waited_for.bytes[kNear] += step.copied.value();
    if (step_time.overlap() == Overlap::kFull) {
      step.charged.add(Transfer::kPromote, step.copied, 0);
    } else {
      step.charged = step.waited_for;
    }
  }
  return step;
}

}  // namespace kvplace
