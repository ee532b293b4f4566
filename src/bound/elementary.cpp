#include "kvplace/bound/elementary.h"

namespace kvplace {

void ElementaryBounds::add(const StepView& record) {
  const StepTraffic traffic = instance_->traffic(record);
  const std::int64_t batch = instance_->options().batch;
  Loads kv;
  kv.add(Transfer::kReadNear, traffic.reads);
  kv.add(Transfer::kWriteNear, traffic.new_kv);
  movable_.reads += (traffic.reads - traffic.reads_appended) * batch;
  if (instance_->options().mode == Mode::kInclusive) {
    kv.add(Transfer::kWriteFar, traffic.new_kv);
  } else {
    movable_.writes += traffic.new_kv * batch;
  }
  all_near_loads_ += instance_->weight_loads();
  all_near_loads_ += kv * batch;
  const bool last_layer = record.layer.value() + 1 == instance_->layers();
  if (instance_->options().barrier == Barrier::kLayer) {
    close_step(1);
  } else if (last_layer) {
    close_step(instance_->layers());
  }
}

void ElementaryBounds::close_step(std::uint32_t layers) {
  const StepTime& step_time = instance_->step_time();
  all_near_ += step_time(all_near_loads_, layers);
  perfect_split_ += best_split(step_time, all_near_loads_, movable_, layers).time;
  all_near_loads_ = {};
  movable_ = {};
}

}  // namespace kvplace
