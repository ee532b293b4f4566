/// Threads that wait for work and do it together with whoever brings it. They block, and do not spin: on a machine
/// with other work a thread that spins waits for one that does not run.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace kvplace {

class ThreadTeam {
 public:
  /// Of so many threads, the caller's counted.
  explicit ThreadTeam(unsigned threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  /// task(0) ... task(count - 1), each once; returns when all are done.
  void run(std::size_t count, const std::function<void(std::size_t)>& task);

 private:
  void help();
  void work();

  std::mutex mutex_;
  std::condition_variable has_work_;
  std::condition_variable is_done_;
  const std::function<void(std::size_t)>* task_ = nullptr;
  std::size_t count_ = 0;
  std::atomic<std::size_t> next_ = 0;
  std::size_t helping_ = 0;  // helpers that have not finished this round
  std::uint64_t round_ = 0;
  bool stop_ = false;
  std::vector<std::thread> helpers_;
};

}  // namespace kvplace
