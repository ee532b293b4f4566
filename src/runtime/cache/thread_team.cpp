#include "runtime/cache/thread_team.h"

namespace kvplace {

ThreadTeam::ThreadTeam(unsigned threads) {
  for (unsigned i = 1; i < threads; ++i) {
    helpers_.emplace_back([this] { help(); });
  }
}

ThreadTeam::~ThreadTeam() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  has_work_.notify_all();
  for (std::thread& helper : helpers_) {
    helper.join();
  }
}

void ThreadTeam::run(std::size_t count, const std::function<void(std::size_t)>& task) {
  if (helpers_.empty() || count < 2) {
    for (std::size_t i = 0; i < count; ++i) {
      task(i);
    }
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    task_ = &task;
    count_ = count;
    next_ = 0;
    helping_ = helpers_.size();
    ++round_;
  }
  has_work_.notify_all();
  work();
  std::unique_lock lock(mutex_);
  is_done_.wait(lock, [this] { return helping_ == 0; });
}

void ThreadTeam::help() {
  std::uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    has_work_.wait(lock, [&] { return stop_ || round_ != seen; });
    if (stop_) {
      return;
    }
    seen = round_;
    lock.unlock();
    work();
    lock.lock();
    if (--helping_ == 0) {
      is_done_.notify_one();
    }
  }
}

void ThreadTeam::work() {
  for (std::size_t i = next_++; i < count_; i = next_++) {
    (*task_)(i);
  }
}

}  // namespace kvplace
