#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <thread>
#include <vector>

namespace kvplace {

std::size_t num_threads(unsigned threads) {
  return threads != 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
}

Status run_parallel(std::size_t count, unsigned threads, const std::function<Status(std::size_t)>& task) {
  std::vector<Status> statuses(count);
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        statuses[i] = task(i);
      } catch (const std::bad_alloc&) {
        statuses[i] = failed("out of memory");
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (std::size_t i = 1; i < std::min(num_threads(threads), count); ++i) {
      helpers.emplace_back(work);
    }
    work();
  }
  for (Status& status : statuses) {
    KVPLACE_TRY(status);
  }
  return {};
}

}  // namespace kvplace
