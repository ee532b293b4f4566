#include "kvplace/trace/served.h"

#include <algorithm>
#include <numeric>
#include <string>

namespace kvplace {
namespace {

/// Of blocks per layer, and of decoded tokens: what memory is taken for before the first record is read.
constexpr std::uint64_t kMost = std::uint64_t{1} << 26;

}  // namespace

Result<std::shared_ptr<const ServedRequests>> ServedRequests::make(std::vector<ServedRequest> requests,
                                                                   std::uint32_t block_tokens, std::uint32_t experts,
                                                                   bool has_pages) {
  if (requests.empty()) {
    return bad_input("a table of requests needs one at least");
  }
  std::uint64_t blocks = experts;
  std::uint64_t decoded = 0;
  std::uint32_t steps = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const ServedRequest& request = requests[i];
    if (request.end_step <= request.first_step) {
      return bad_input("request " + std::to_string(i) + " begins with decode step " +
                       std::to_string(request.first_step) + " and ends before decode step " +
                       std::to_string(request.end_step) + "; each must decode one token at least");
    }
    const std::uint32_t tokens = request.end_step - request.first_step;
    blocks += has_pages ? (std::uint64_t{request.prompt_tokens} + tokens + block_tokens - 1) / block_tokens : 0;
    decoded += tokens;
    steps = std::max(steps, request.end_step);
  }
  if (blocks > kMost || decoded > kMost || steps > kMost) {
    return bad_input("the requests decode " + std::to_string(decoded) + " tokens and have " + std::to_string(blocks) +
                     " blocks per layer; 2^26 of each are supported");
  }
  auto made = std::shared_ptr<ServedRequests>(new ServedRequests());
  made->requests_ = std::move(requests);
  made->block_tokens_ = block_tokens;
  made->experts_ = experts;
  made->has_pages_ = has_pages;
  made->context_tokens_.resize(steps);
  made->walk();
  for (std::uint32_t step = 0; step < steps; ++step) {
    if (made->running(step).empty()) {
      return bad_input("no request runs in decode step " + std::to_string(step) +
                       "; leave out steps that decode nothing");
    }
  }
  made->give_ids();
  return std::shared_ptr<const ServedRequests>(std::move(made));
}

std::uint32_t ServedRequests::pages(std::uint64_t tokens) const {
  return has_pages_ ? static_cast<std::uint32_t>((tokens + block_tokens_ - 1) / block_tokens_) : 0;
}

void ServedRequests::walk() {
  std::vector<std::uint32_t> by_start(requests_.size());
  std::iota(by_start.begin(), by_start.end(), 0u);
  std::stable_sort(by_start.begin(), by_start.end(), [this](std::uint32_t a, std::uint32_t b) {
    return requests_[a].first_step < requests_[b].first_step;
  });
  std::vector<std::uint32_t> now;  // ascending
  std::size_t next = 0;
  const auto begin_with = [&](std::uint32_t step, ByStep* arriving) {
    for (; next < by_start.size() && requests_[by_start[next]].first_step == step; ++next) {
      now.push_back(by_start[next]);
      if (arriving != nullptr) {
        arriving->requests.push_back(by_start[next]);
      }
    }
    std::sort(now.begin(), now.end());
  };
  begin_with(0, nullptr);
  for (std::uint32_t step = 0; step < steps(); ++step) {
    std::uint32_t pages_now = 0;
    for (const std::uint32_t r : now) {
      pages_now += pages(position(r, step) + 1);
      running_.requests.push_back(r);
      context_tokens_[step] += position(r, step);
    }
    most_running_ = std::max(most_running_, static_cast<std::uint32_t>(now.size()));
    most_pages_ = std::max(most_pages_, pages_now);
    most_tokens_ = std::max(most_tokens_, context_tokens_[step] + now.size());
    std::erase_if(now, [&](std::uint32_t r) {
      const bool ends = requests_[r].end_step == step + 1;
      if (ends) {
        ending_.requests.push_back(r);
      }
      return ends;
    });
    begin_with(step + 1, &arriving_);
    for (ByStep* by_step : {&running_, &arriving_, &ending_}) {
      by_step->begin.push_back(by_step->requests.size());
    }
  }
}

void ServedRequests::give_id(std::uint32_t request, std::uint32_t page) {
  blocks_[first_block_[request] + page] = BlockId(num_blocks());
  request_of_.push_back(request);
  page_of_.push_back(page);
}

void ServedRequests::give_initial_ids() {
  std::vector<std::uint32_t> prompt_pages;  // of requests that are there at the start
  for (const ServedRequest& request : requests_) {
    prompt_pages.push_back(request.first_step == 0 ? pages(request.prompt_tokens) : 0);
  }
  const std::uint32_t longest = *std::max_element(prompt_pages.begin(), prompt_pages.end());
  for (std::uint32_t from_end = longest; from_end > 0; --from_end) {
    for (std::uint32_t r = 0; r < requests_.size(); ++r) {
      if (from_end <= prompt_pages[r]) {
        give_id(r, prompt_pages[r] - from_end);
      }
    }
  }
  initial_blocks_ = num_blocks();
}

void ServedRequests::give_ids() {
  first_block_.assign(1, 0);
  for (const ServedRequest& request : requests_) {
    first_block_.push_back(first_block_.back() +
                           pages(std::uint64_t{request.prompt_tokens} + request.end_step - request.first_step));
  }
  blocks_.assign(first_block_.back(), BlockId(0));
  request_of_.reserve(blocks_.size());
  page_of_.reserve(blocks_.size());
  give_initial_ids();
  for (std::uint32_t step = 0; has_pages_ && step < steps(); ++step) {
    for (const std::uint32_t r : running(step)) {
      if (position(r, step) % block_tokens_ == 0) {
        give_id(r, static_cast<std::uint32_t>(position(r, step) / block_tokens_));
      }
    }
    for (const std::uint32_t r : arriving(step)) {
      for (std::uint32_t page = 0; page < pages(requests_[r].prompt_tokens); ++page) {
        give_id(r, page);
      }
    }
  }
}

std::optional<BlockId> ServedRequests::first_unreadable(std::uint32_t step, std::span<const BlockId> ids) const {
  for (const BlockId id : ids) {
    if (id.value() < experts_) {
      continue;
    }
    if (id.value() >= num_blocks()) {
      return id;
    }
    const ServedRequest& request = requests_[this->request(id)];
    if (step < request.first_step || step >= request.end_step ||
        std::uint64_t{page(id)} * block_tokens_ > position(this->request(id), step)) {
      return id;
    }
  }
  return std::nullopt;
}

double ServedRequests::mean_context() const {
  double tokens = 0;
  for (const std::uint64_t of_step : context_tokens_) {
    tokens += static_cast<double>(of_step);
  }
  return tokens / static_cast<double>(running_.requests.size());
}

void ServedRequests::appended(std::uint32_t step, std::vector<BlockId>& blocks,
                              std::vector<std::uint32_t>& written) const {
  blocks.clear();
  written.clear();
  if (!has_pages_) {
    return;
  }
  for (const std::uint32_t r : running(step)) {
    blocks.push_back(blocks_of(r)[position(r, step) / block_tokens_]);
  }
  std::sort(blocks.begin(), blocks.end());
  written.assign(blocks.size(), 1);
  for (const std::uint32_t r : arriving(step)) {  // born last: their ids are above all others
    const auto prompt = blocks_of(r).first(pages(requests_[r].prompt_tokens));
    blocks.insert(blocks.end(), prompt.begin(), prompt.end());
  }
  written.resize(blocks.size(), 0);
}

}  // namespace kvplace
