#include "simulate/copy_queue.h"

#include <algorithm>

namespace kvplace {

void CopyQueue::issue(BlockIndex block, Bytes size) {
  ticket_[block.value()] = num_gone_ + copies_.size();
  copies_.push_back({block, size});
  queued_ += size;
  ++in_flight_;
}

void CopyQueue::take(BlockIndex block, Bytes size) {
  queued_ -= size;
  Bytes& left = copies_[ticket_[block.value()] - num_gone_].left;
  left -= size;
  in_flight_ -= left == Bytes(0) ? 1U : 0U;
  pop_done();
}

std::int64_t CopyQueue::move(Bytes copied, std::vector<BlockIndex>& complete) {
  std::int64_t pieces = 0;
  queued_ -= copied;
  while (copied > Bytes(0)) {
    Copy& copy = copies_.front();
    const Bytes moved = std::min(copied, copy.left);
    copy.left -= moved;
    copied -= moved;
    ++pieces;
    if (copy.left == Bytes(0)) {
      complete.push_back(copy.block);
      --in_flight_;
      pop_done();
    }
  }
  return pieces;
}

void CopyQueue::pop_done() {
  while (!copies_.empty() && copies_.front().left == Bytes(0)) {
    copies_.pop_front();
    ++num_gone_;
  }
}

}  // namespace kvplace
