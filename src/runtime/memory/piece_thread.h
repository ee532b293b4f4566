/// Pieces that a thread moves one after the other, in order: what paced memory and files without io_uring are made of.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "kvplace/runtime/memory.h"

namespace kvplace {

class PieceThread {
 public:
  using Clock = std::chrono::steady_clock;
  /// Moves one piece, given when it was submitted; returns when it is complete.
  using Move = std::function<Result<Clock::time_point>(const Piece& piece, Clock::time_point submitted)>;

  explicit PieceThread(Move move);
  /// Waits for all pieces.
  ~PieceThread();
  PieceThread(const PieceThread&) = delete;
  PieceThread& operator=(const PieceThread&) = delete;

  // As Memory's.
  [[nodiscard]] Status submit(std::span<const Piece> pieces);
  [[nodiscard]] Status collect(std::vector<std::uint64_t>& complete, bool wait);
  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }

 private:
  struct Job {
    Piece piece;
    Clock::time_point submitted;
  };
  struct Done {
    std::uint64_t tag = 0;
    Clock::time_point due;
  };

  void run();

  Move move_;
  std::mutex mutex_;
  std::condition_variable has_job_;
  std::condition_variable has_done_;
  std::deque<Job> jobs_;
  std::deque<Done> done_;  // in order of `due`
  std::optional<Error> error_;
  bool stop_ = false;
  std::atomic<std::size_t> num_done_ = 0;  // in done_, to be looked at without the lock
  std::size_t in_flight_ = 0;              // of the caller's thread
  std::thread thread_;
};

/// Sleeps until `due` as exactly as the system can.
void sleep_exactly_until(PieceThread::Clock::time_point due);

}  // namespace kvplace
