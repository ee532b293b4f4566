// Requests of a served batch that end: what they have near is free from then on, and the policy is told.
#include <algorithm>

#include "simulate/policy_run.h"

namespace kvplace {
namespace {

/// Keeps those of the first `count` blocks that exist, and with each its place in `beside` if that has any.
std::size_t keep_existing(std::vector<BlockIndex>& blocks, std::size_t count, const std::vector<std::uint8_t>& state,
                          std::uint8_t exists, std::vector<std::uint32_t>& beside) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if ((state[blocks[i].value()] & exists) != 0) {
      blocks[kept] = blocks[i];
      if (i < beside.size()) {
        beside[kept] = beside[i];
      }
      ++kept;
    }
  }
  return kept;
}

}  // namespace

void PolicyRun::end_requests(const StepView& record) {
  ended_.clear();
  const ServedRequests* served = instance_.layout().served.get();
  if (served == nullptr || served->ending(record.step.value()).empty()) {
    return;
  }
  instance_.for_each_ending(record.step, record.layer, [this](BlockIndex block) {
    std::uint8_t& state = state_[block.value()];
    if ((state & kNear) != 0) {
      ended_.push_back(block);
      occupied_ -= instance_.block_bytes(block);
      --near_blocks_;
    }
    if ((state & kInFlight) != 0) {
      copies_->take(block, copies_->left(block));
    }
    state &= kAppendedMark | kNewbornMark;  // as its last token is charged still
  });
  std::sort(ended_.begin(), ended_.end());
  num_hits_ = keep_existing(hits_, num_hits_, state_, kExists, next_of_hits_);
  num_misses_ = keep_existing(misses_, num_misses_, state_, kExists, next_of_misses_);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < written_.size(); ++i) {
    if ((state_[written_[i].value()] & kExists) != 0) {
      written_[kept] = written_[i];
      written_is_new_[kept] = written_is_new_[i];
      if (i < next_of_written_.size()) {
        next_of_written_[kept] = next_of_written_[i];
      }
      ++kept;
    }
  }
  written_.resize(kept);
  written_is_new_.resize(kept);
  next_of_written_.resize(std::min(kept, next_of_written_.size()));
}

}  // namespace kvplace
