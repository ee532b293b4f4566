// Where a run charges time: at each barrier, with the copies that move beside what was read, written and demoted.
#include <algorithm>
#include <iterator>

#include "kvplace/instance/background.h"
#include "simulate/policy_run.h"

namespace kvplace {

void PolicyRun::find_hits_in_flight() {
  hits_in_flight_.clear();
  if (copies_ && copies_->queued() > Bytes(0)) {
    std::copy_if(
        hits_.begin(), hits_.begin() + static_cast<std::ptrdiff_t>(num_hits_), std::back_inserter(hits_in_flight_),
        [this](BlockIndex block) { return (state_[block.value()] & (kInFlight | kAppendedMark)) == kInFlight; });
  }
}

void PolicyRun::keep_bytes_read() {
  const std::int64_t batch = instance_.options().batch;
  for (const BlockIndex block : hits_in_flight_) {
    std::uint8_t& state = state_[block.value()];
    if ((state & kInFlight) != 0) {  // not evicted in this step
      const Bytes left = copies_->left(block);
      const Bytes kept = std::min(left, bytes_read(block) * batch);
      copies_->take(block, kept);
      open_loads_.add(Transfer::kPromotePassive, kept, batch);
      state = static_cast<std::uint8_t>(kept == left ? state & ~kInFlight : state);
    }
  }
}

void PolicyRun::close_group() {
  const InstanceOptions& options = instance_.options();
  const std::uint32_t layers = instance_.groups().layers_per_group();
  const StepTime& step_time = instance_.step_time();
  BackgroundStep step = background_step(step_time, open_loads_, copies_ ? copies_->queued() : Bytes(0), layers);
  if (options.mirrored_reads == MirroredReads::kSplit && options.mode == Mode::kInclusive) {
    const Loads moved = split_loads(step_time, step.charged, open_mirrored_, layers) + step.charged * -1;
    for (Loads* loads : {&open_loads_, &step.waited_for, &step.charged}) {
      *loads += moved;
    }
  }
  const Seconds time = step_time(step.charged, layers);
  result_.total += time;
  token_times_.add(time);
  const std::size_t bottleneck = at(step_time.bottleneck(step.waited_for));
  ++result_.bottleneck_steps[bottleneck];
  const std::size_t stretch = result_.steps / steps_of_stretch(instance_.steps());
  result_.over_time.resize(stretch + 1);
  result_.over_time[stretch].time += time;
  ++result_.over_time[stretch].bottleneck_steps[bottleneck];
  if (step.copied > Bytes(0)) {
    move_copies(step.copied);
  }
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    result_.channel_bytes[c] += open_loads_.bytes[c];
    result_.channel_transfers[c] += open_loads_.transfers[c];
  }
  open_loads_ = {};
  open_mirrored_ = {};
}

void PolicyRun::move_copies(Bytes copied) {
  complete_.clear();
  const std::int64_t pieces = copies_->move(copied, complete_);
  open_loads_.add(Transfer::kPromote, copied, pieces);
  for (const BlockIndex block : complete_) {
    state_[block.value()] = static_cast<std::uint8_t>(state_[block.value()] & ~kInFlight);
  }
}

}  // namespace kvplace
