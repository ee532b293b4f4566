#include "runtime/memory/piece_thread.h"

#include <sys/prctl.h>

namespace kvplace {

PieceThread::PieceThread(Move move) : move_(std::move(move)), thread_([this] { run(); }) {}

PieceThread::~PieceThread() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  has_job_.notify_one();
  thread_.join();
}

Status PieceThread::submit(std::span<const Piece> pieces) {
  const Clock::time_point now = Clock::now();
  {
    const std::lock_guard lock(mutex_);
    if (error_) {
      return tl::unexpected(*error_);
    }
    for (const Piece& piece : pieces) {
      jobs_.push_back({piece, now});
    }
  }
  in_flight_ += pieces.size();
  has_job_.notify_one();
  return {};
}

Status PieceThread::collect(std::vector<std::uint64_t>& complete, bool wait) {
  wait = wait && in_flight_ > 0;
  if (!wait && num_done_.load(std::memory_order_acquire) == 0) {
    return {};
  }
  std::unique_lock lock(mutex_);
  if (wait) {
    has_done_.wait(lock, [this] { return !done_.empty() || error_; });
  }
  if (error_) {
    return tl::unexpected(*error_);
  }
  Clock::time_point now = Clock::now();
  if (wait && done_.front().due > now) {
    const Clock::time_point due = done_.front().due;
    lock.unlock();                                                     // nobody else takes from done_
    constexpr auto kTooShortToSleep = std::chrono::microseconds(100);  // to fall asleep and wake takes as long
    while ((now = Clock::now()) < due) {
      if (due - now > kTooShortToSleep) {
        sleep_exactly_until(due - kTooShortToSleep);
      }
    }
    lock.lock();
  }
  while (!done_.empty() && done_.front().due <= now) {
    complete.push_back(done_.front().tag);
    done_.pop_front();
    --in_flight_;
  }
  num_done_.store(done_.size(), std::memory_order_release);
  return {};
}

void PieceThread::run() {
  prctl(PR_SET_TIMERSLACK, 1);  // nanoseconds: a sleep else ends up to 50 us late
  std::unique_lock lock(mutex_);
  while (true) {
    has_job_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (jobs_.empty()) {
      return;
    }
    const Job job = jobs_.front();
    jobs_.pop_front();
    if (error_) {
      continue;  // what failed before took the rest with it
    }
    lock.unlock();
    Result<Clock::time_point> due = move_(job.piece, job.submitted);
    lock.lock();
    if (due) {
      done_.push_back({job.piece.tag, *due});
      num_done_.store(done_.size(), std::memory_order_release);
    } else {
      error_ = std::move(due).error();
    }
    has_done_.notify_one();
  }
}

void sleep_exactly_until(PieceThread::Clock::time_point due) {
  thread_local const bool kExact = prctl(PR_SET_TIMERSLACK, 1) == 0;
  static_cast<void>(kExact);
  std::this_thread::sleep_until(due);
}

}  // namespace kvplace
