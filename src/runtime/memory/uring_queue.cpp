#include "runtime/memory/uring_queue.h"

#include <cerrno>
#include <cstring>

namespace kvplace {

Error piece_error(const std::string& name, const Piece& piece, const std::string& why) {
  const std::string what = piece.direction == Direction::kRead ? "read" : "written";
  return {ErrorKind::kFailed, name + ": " + std::to_string(piece.bytes) + " bytes at " + std::to_string(piece.offset) +
                                  " cannot be " + what + ": " + why};
}

Result<std::unique_ptr<UringQueue>> UringQueue::make(int descriptor, std::uint64_t base, unsigned depth,
                                                     const std::string& name) {
  std::unique_ptr<UringQueue> queue(new UringQueue(descriptor, base, depth, name));
  // Completions run when this thread enters the kernel, and interrupt no computation.
  int error = io_uring_queue_init(depth, &queue->ring_, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
  if (error == -EINVAL) {  // before Linux 5.19
    error = io_uring_queue_init(depth, &queue->ring_, 0);
  }
  if (error != 0) {
    return failed(std::strerror(-error));
  }
  queue->made_ = true;
  for (std::uint32_t place = depth; place > 0; --place) {
    queue->places_.push_back(place - 1);
  }
  return queue;
}

UringQueue::~UringQueue() {
  if (made_) {
    waiting_.clear();
    for (io_uring_cqe* cqe = nullptr; num_in_kernel_ > 0 && io_uring_wait_cqe(&ring_, &cqe) == 0;) {
      --num_in_kernel_;
      io_uring_cqe_seen(&ring_, cqe);
    }
    io_uring_queue_exit(&ring_);
  }
}

Status UringQueue::submit(std::span<const Piece> pieces) {
  waiting_.insert(waiting_.end(), pieces.begin(), pieces.end());
  return hand_over();
}

Status UringQueue::hand_over() {
  if (error_) {
    return tl::unexpected(*error_);
  }
  bool any = false;
  while (!waiting_.empty() && !places_.empty()) {
    io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
      break;
    }
    const std::uint32_t place = places_.back();
    places_.pop_back();
    const Piece& piece = pieces_[place] = waiting_.front();
    waiting_.pop_front();
    if (piece.direction == Direction::kRead) {
      io_uring_prep_read(sqe, descriptor_, piece.buffer, piece.bytes, base_ + piece.offset);
    } else {
      io_uring_prep_write(sqe, descriptor_, piece.buffer, piece.bytes, base_ + piece.offset);
    }
    sqe->user_data = place;
    ++num_in_kernel_;
    any = true;
  }
  if (!any) {
    return {};
  }
  int submitted = io_uring_submit(&ring_);
  while (submitted == -EINTR || submitted == -EAGAIN) {
    submitted = io_uring_submit(&ring_);
  }
  return submitted < 0 ? fail(pieces_.front(), std::strerror(-submitted)) : Status();
}

Status UringQueue::collect(std::vector<std::uint64_t>& complete, bool wait) {
  if (error_) {
    return tl::unexpected(*error_);
  }
  const std::size_t before = complete.size();
  while (true) {
    io_uring_cqe* cqe = nullptr;
    unsigned head = 0;
    unsigned seen = 0;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      take(*cqe, complete);
      ++seen;
    }
    io_uring_cq_advance(&ring_, seen);
    KVPLACE_TRY(hand_over());
    if (!wait || complete.size() > before || num_in_kernel_ == 0) {
      // Without waiting, the kernel may still have to be entered for completions to be posted.
      if (!wait && seen == 0 && num_in_kernel_ > 0 && (IO_URING_READ_ONCE(*ring_.sq.kflags) & IORING_SQ_TASKRUN) != 0) {
        io_uring_get_events(&ring_);
        if (io_uring_cq_ready(&ring_) > 0) {
          continue;
        }
      }
      return {};
    }
    if (const int error = io_uring_wait_cqe(&ring_, &cqe); error != 0 && error != -EINTR) {
      return fail(pieces_.front(), std::strerror(-error));
    }
  }
}

void UringQueue::take(const io_uring_cqe& cqe, std::vector<std::uint64_t>& complete) {
  const auto place = static_cast<std::uint32_t>(cqe.user_data);
  Piece piece = pieces_[place];
  places_.push_back(place);
  --num_in_kernel_;
  if (cqe.res < 0 && cqe.res != -EINTR && cqe.res != -EAGAIN) {
    static_cast<void>(fail(piece, std::strerror(-cqe.res)));
    return;
  }
  if (cqe.res == 0) {
    static_cast<void>(fail(piece, "the file ends there; another program has cut it"));
    return;
  }
  const auto moved = static_cast<std::uint32_t>(cqe.res > 0 ? cqe.res : 0);
  if (moved == piece.bytes) {
    complete.push_back(piece.tag);
    return;
  }
  piece.offset += moved;
  piece.buffer += moved;
  piece.bytes -= moved;
  waiting_.push_front(piece);
}

Status UringQueue::fail(const Piece& piece, const std::string& why) {
  if (!error_) {
    error_ = piece_error(name_, piece, why);
  }
  return tl::unexpected(*error_);
}

}  // namespace kvplace
