#include "kvplace/instance/step_time.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace kvplace {

std::string_view channel_name(Channel channel) {
  constexpr std::array<std::string_view, kNumChannels> kNames{"near.mem", "far.link_read", "far.link_write", "far.mem"};
  return kNames[static_cast<std::size_t>(channel)];
}

StepTime::StepTime(const Hardware& hardware, Overlap overlap, Seconds floor, Seconds overhead, const EngineCosts& costs)
    : interference_(hardware.interference),
      overlap_(overlap),
      floor_(floor.value()),
      overhead_(overhead.value()),
      engine_overhead_(costs.overhead.value()),
      latency_(costs.far_latency.value()) {
  const auto set = [&](Channel channel, const Rate& rate) {
    bandwidth_[static_cast<std::size_t>(channel)] = hardware.effective(rate).value();
  };
  set(Channel::kNearMem, hardware.near.bandwidth);
  set(Channel::kFarLinkRead, hardware.far.link_read);
  set(Channel::kFarLinkWrite, hardware.far.link_write);
  set(Channel::kFarMem, hardware.far.bandwidth);
  rate_ = bandwidth_;
  rate_[at(Channel::kNearMem)] *= costs.near_share;
}

StepTime StepTime::at_peak() const {
  StepTime peak = *this;
  peak.rate_ = bandwidth_;
  peak.engine_overhead_ = peak.latency_ = 0;
  peak.more_ = 0;
  return peak;
}

StepTime StepTime::without_latency() const {
  StepTime convex = *this;
  convex.latency_ = 0;
  return convex;
}

StepTime StepTime::as_machine() const {
  StepTime machine = at_peak();
  machine.bandwidth_ = machine.rate_ = rate_;
  machine.overhead_ = overhead_ + engine_overhead_;
  return machine;
}

bool StepTime::has_costs() const {
  return engine_overhead_ != 0 || latency_ != 0 || rate_ != bandwidth_;
}

Channel StepTime::bottleneck(const Loads& loads) const {
  const std::array<double, kNumChannels> times = channel_times(loads);
  return static_cast<Channel>(std::max_element(times.begin(), times.end()) - times.begin());
}

BytesPerSecond StepTime::far_read_bandwidth() const {
  double least = INFINITY;
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    least = loaded(Transfer::kReadFar, c) != 0 ? std::min(least, bandwidth_[c]) : least;
  }
  return BytesPerSecond(least);
}

namespace {

/// a * x + b * z + c = 0.
struct Line {
  double a;
  double b;
  double c;
};

/// How many transfers a moved byte stands for.
double transfers_per_byte(const MovableBytes& movable) {
  return movable.bytes > Bytes(0) ? static_cast<double>(movable.transfers) / static_cast<double>(movable.bytes.value())
                                  : 0;
}

}  // namespace

namespace {

/// best_split() from the times of channels with all movable bytes near.
Split best_split_of(const StepTime& step_time, const std::array<double, kNumChannels>& near_times,
                    const Movable& movable, std::uint32_t layers) {
  // x bytes of reads and z bytes of writes go far. Each channel's time is affine in (x, z) and the step's time is a
  // convex, piecewise linear function of the times, whose pieces meet where two channels take equally long: its minimum
  // over the box [0, X] x [0, Z] is at a crossing of two such lines or sides of the box.
  const double most_x = static_cast<double>(movable.reads.bytes.value());
  const double most_z = static_cast<double>(movable.writes.bytes.value());
  const double reads_per_byte = transfers_per_byte(movable.reads);
  const double writes_per_byte = transfers_per_byte(movable.writes);
  std::array<Line, kNumChannels> channels{};
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    const double read = loaded(Transfer::kReadFar, c) - loaded(Transfer::kReadNear, c);
    const double write = loaded(Transfer::kWriteFar, c) - loaded(Transfer::kWriteNear, c);
    channels[c] = {step_time.channel_time(c, {read, read * reads_per_byte}),
                   step_time.channel_time(c, {write, write * writes_per_byte}), near_times[c]};
  }

  Split best;
  best.time = Seconds(INFINITY);
  const auto consider = [&](double x, double z) {
    // Crossings just outside the box by rounding are its corners, which are tried as such.
    if (!(x >= 0 && x <= most_x && z >= 0 && z <= most_z)) {
      return;
    }
    std::array<double, kNumChannels> times{};
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      times[c] = channels[c].a * x + channels[c].b * z + channels[c].c;
    }
    const Seconds time = step_time.time_of(times, layers);
    if (time < best.time) {
      best = {x, z, time};
    }
  };

  std::array<Line, kNumChannels*(kNumChannels - 1) / 2> equal_times{};
  std::size_t num_lines = 0;
  for (std::size_t i = 0; i < kNumChannels; ++i) {
    for (std::size_t j = i + 1; j < kNumChannels; ++j) {
      equal_times[num_lines++] = {channels[i].a - channels[j].a, channels[i].b - channels[j].b,
                                  channels[i].c - channels[j].c};
    }
  }
  for (const double z : {0.0, most_z}) {
    consider(0, z);
    consider(most_x, z);
    for (const Line& line : equal_times) {
      if (line.a != 0) {
        consider(-(line.b * z + line.c) / line.a, z);
      }
    }
    if (most_z == 0) {
      break;  // both sides are one
    }
  }
  if (most_z > 0) {
    for (const Line& line : equal_times) {
      for (const double x : {0.0, most_x}) {
        if (line.b != 0) {
          consider(x, -(line.a * x + line.c) / line.b);
        }
      }
      for (const Line& other : equal_times) {
        const double determinant = line.a * other.b - other.a * line.b;
        if (determinant != 0) {
          consider((line.b * other.c - other.b * line.c) / determinant,
                   (other.a * line.c - line.a * other.c) / determinant);
        }
      }
    }
  }
  return best;
}

/// Whether reads that are moved are the first from far, which have a latency.
bool adds_latency(const StepTime& step_time, const Loads& all_near, const MovableBytes& reads) {
  return step_time.latency() > 0 && reads.bytes > Bytes(0) && all_near.on(Channel::kFarLinkRead) == 0;
}

}  // namespace

Split best_split(const StepTime& step_time, const Loads& all_near, const Movable& movable, std::uint32_t layers) {
  std::array<double, kNumChannels> times = step_time.channel_times(all_near);
  if (!adds_latency(step_time, all_near, movable.reads)) {
    return best_split_of(step_time, times, movable, layers);
  }
  const Split none = best_split_of(step_time, times, {{}, movable.writes}, layers);
  times[at(Channel::kFarLinkRead)] += step_time.latency();
  const Split some = best_split_of(step_time, times, movable, layers);
  return some.time < none.time ? some : none;
}

double split_time(const StepTime& step_time, const Loads& all_near, const MovableBytes& reads, std::uint32_t layers) {
  if (step_time.overlap() != Overlap::kFull || step_time.interference() != 0) {
    return best_split(step_time, all_near, {reads, {}}, layers).time.value();
  }
  // Near's time falls and those of the channels that far reads load rise with the bytes moved: the first crossing is
  // the best.
  std::array<double, kNumChannels> times = step_time.channel_times(all_near);
  double none = INFINITY;
  if (adds_latency(step_time, all_near, reads)) {
    none = step_time.time_of(times, layers).value();
    times[at(Channel::kFarLinkRead)] += step_time.latency();
  }
  const double per_byte = transfers_per_byte(reads);
  constexpr std::size_t kNear = at(Channel::kNearMem);
  double moved = INFINITY;
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    if (loaded(Transfer::kReadFar, c) != 0) {
      moved = std::min(moved, (times[kNear] - times[c]) / (step_time.channel_time(kNear, {1, per_byte}) +
                                                           step_time.channel_time(c, {1, per_byte})));
    }
  }
  moved = std::clamp(moved, 0.0, static_cast<double>(reads.bytes.value()));
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    const int change = loaded(Transfer::kReadFar, c) - loaded(Transfer::kReadNear, c);
    times[c] += change == 0 ? 0 : change * step_time.channel_time(c, {moved, moved * per_byte});
  }
  return std::min(none, step_time.time_of(times, layers).value());
}

Loads split_loads(const StepTime& step_time, const Loads& all_near, const MovableBytes& reads, std::uint32_t layers) {
  const Split split = best_split(step_time, all_near, {reads, {}}, layers);
  const auto with_moved = [&](Bytes moved) {
    Loads loads = all_near;
    if (moved > Bytes(0)) {
      const double share = moved / reads.bytes;
      const auto transfers = static_cast<std::int64_t>(std::ceil(share * static_cast<double>(reads.transfers)));
      loads.add(Transfer::kReadNear, Bytes(0) - moved, -transfers);
      loads.add(Transfer::kReadFar, moved, transfers);
    }
    return loads;
  };
  const Bytes down(static_cast<std::int64_t>(split.far_read_bytes));
  const Loads below = with_moved(down);
  if (down == reads.bytes) {
    return below;
  }
  const Loads above = with_moved(down + Bytes(1));
  return step_time(above, layers) < step_time(below, layers) ? above : below;
}

}  // namespace kvplace
