#include "kvplace/bound/elementary.h"

namespace kvplace {

void ElementaryBounds::add(const StepView& record) {
  const StepTraffic traffic = instance_->traffic(record);
  const std::int64_t batch = instance_->options().batch;
  Loads kv;
  kv.add(Transfer::kReadNear, traffic.reads, traffic.num_reads);
  kv.add(Transfer::kWriteNear, traffic.new_kv, traffic.num_new_kv);
  movable_.reads +=
      MovableBytes{traffic.reads - traffic.reads_appended, traffic.num_reads - traffic.num_reads_appended} * batch;
  if (instance_->options().mode == Mode::kInclusive) {
    kv.add(Transfer::kWriteFar, traffic.new_kv, traffic.num_new_kv);
  } else {
    movable_.writes += MovableBytes{traffic.new_kv, traffic.num_new_kv} * batch;
  }
  all_near_loads_ += instance_->fixed_loads(record.step, record.layer);
  all_near_loads_ += kv * batch;
  if (instance_->groups().ends_group(record.layer)) {
    close_group();
  }
}

void ElementaryBounds::close_group() {
  const std::uint32_t layers = instance_->groups().layers_per_group();
  const StepTime& step_time = instance_->step_time();
  all_near_ += step_time(all_near_loads_, layers);
  perfect_split_ += best_split(step_time, all_near_loads_, movable_, layers).time;
  all_near_loads_ = {};
  movable_ = {};
}

}  // namespace kvplace
