#include "generate/admission.h"

#include <cmath>
#include <queue>

namespace kvplace {

Admission admit(std::span<const WaitingRequest> waiting, std::uint32_t slots, std::optional<std::uint64_t> kv_tokens) {
  struct Running {
    std::uint32_t end_step;
    std::uint64_t tokens;
    bool operator>(const Running& other) const { return end_step > other.end_step; }
  };
  std::priority_queue<Running, std::vector<Running>, std::greater<>> running;  // the first to end on top
  Admission admission;
  std::uint64_t held_tokens = 0;
  std::uint32_t step = 0;
  double waited = 0;
  for (const WaitingRequest& request : waiting) {
    const std::uint64_t tokens = std::uint64_t{request.prompt_tokens} + request.output_tokens;
    const auto free_until = [&](std::uint32_t now) {
      while (!running.empty() && running.top().end_step <= now) {
        held_tokens -= running.top().tokens;
        running.pop();
      }
    };
    // Its turn, but not before it is there: with nothing else to do time jumps to it.
    const auto there = [&](std::uint32_t now) {
      return static_cast<double>(now + admission.idle_steps) >= request.arrival;
    };
    free_until(step);
    while (!there(step)) {
      if (running.empty()) {
        admission.idle_steps = static_cast<std::uint64_t>(std::ceil(request.arrival)) - step;
        break;
      }
      const double left = std::ceil(request.arrival - static_cast<double>(step + admission.idle_steps));
      const double until_end = running.top().end_step - step;
      step += static_cast<std::uint32_t>(std::min(left, until_end));
      free_until(step);
    }
    while (running.size() >= slots || (kv_tokens && held_tokens + tokens > *kv_tokens)) {
      step = running.top().end_step;
      free_until(step);
    }
    waited += static_cast<double>(step + admission.idle_steps) - request.arrival;
    admission.requests.push_back({request.prompt_tokens, step, step + request.output_tokens});
    running.push({step + request.output_tokens, tokens});
    held_tokens += tokens;
  }
  admission.mean_wait_steps = waiting.empty() ? 0 : waited / static_cast<double>(waiting.size());
  return admission;
}

}  // namespace kvplace
