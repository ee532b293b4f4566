#include "trace/statistics_layer.h"

#include <algorithm>
#include <bit>

namespace kvplace {
namespace {

constexpr std::uint32_t kNewestTokens = 64;
constexpr std::uint32_t kFirstTokens = 4;

/// Position of the first of `reads` that is not below `id`.
std::size_t lower_bound(std::span<const BlockId> reads, std::uint64_t id) {
  const auto at = std::partition_point(reads.begin(), reads.end(), [id](BlockId read) { return read.value() < id; });
  return static_cast<std::size_t>(at - reads.begin());
}

std::uint32_t first_page_of_newest(std::uint64_t tokens, std::uint32_t block_tokens) {
  return tokens <= kNewestTokens ? 0 : static_cast<std::uint32_t>((tokens - kNewestTokens) / block_tokens);
}

}  // namespace

void ReuseStatistics::add(std::uint32_t step, std::span<const BlockId> reads) {
  if (reads.empty()) {
    return;
  }
  // The gap of a block never read is step + 1, since kNeverRead is -1: as if it had been read just before the trace.
  static_assert(kNeverRead + 1 == 0);
  const std::uint32_t gap_of_first_read = step + 1;
  gaps_.resize(std::max(gaps_.size(), reads.size()));
  std::size_t num_gaps = 0;  // of more than one step
  for (const BlockId id : reads) {
    const std::uint32_t gap = step - last_read_[id.value()];
    last_read_[id.value()] = step;
    gaps_[num_gaps] = gap;
    num_gaps += gap != 1 ? 1u : 0u;
  }
  const std::span<const std::uint32_t> gaps(gaps_.data(), num_gaps);
  const std::uint64_t steady = reads.size() - num_gaps;  // read in the step before, or the first reads of step 0

  std::uint64_t first = step == 0 ? steady : 0;
  for (const std::uint32_t gap : gaps) {
    ++distances_[static_cast<std::size_t>(std::bit_width(gap)) - 1];
    first += gap == gap_of_first_read ? 1u : 0u;
  }
  distances_[0] += steady;
  distances_[static_cast<std::size_t>(std::bit_width(gap_of_first_read)) - 1] -= first;
  first_reads_ += first;
  if (step > 0) {
    overlap_.add(static_cast<double>(steady) / static_cast<double>(reads.size()));
  }

  // A window that holds reads of a block is counted at the first of them: the read at `step` is the first in the
  // windows that start behind the previous read, at most w - 1 steps ago, and not so late that they would end behind
  // the trace.
  for (std::size_t i = 0; i < kWorkingSetWindows.size(); ++i) {
    const std::uint32_t window = kWorkingSetWindows[i];
    if (window > steps_) {
      break;
    }
    const std::uint32_t last_start = steps_ - window;
    const std::uint32_t too_late = step > last_start ? step - last_start : 0;
    std::uint64_t windows = too_late == 0 ? steady : 0;
    for (const std::uint32_t gap : gaps) {
      windows += std::max(std::min(gap, window), too_late) - too_late;
    }
    read_in_windows_[i] += windows;
  }
}

TokenStatistics::TokenStatistics(const BlockLayout& layout, std::uint32_t blocks)
    : layout_(layout), requests_(std::min(layout.requests, blocks)) {
  const std::uint32_t prompt_pages = layout.prompt_pages();
  for (Request& request : requests_) {
    request.tokens = layout.prompt_tokens;
    request.newest_page = prompt_pages == 0 ? 0 : prompt_pages - 1;
    request.first_recent_page = first_page_of_newest(request.tokens, layout.block_tokens);
  }
  const std::uint64_t first_pages = (kFirstTokens - 1) / layout.block_tokens + 1;
  first_end_ = layout.experts + first_pages * layout.requests;
  least_recent_ = layout.experts;
  appends_since_least_ = requests_.size();  // found with the first append
}

void TokenStatistics::append(BlockId id) {
  if (layout_.kind(id) == BlockKind::kExpert) {
    return;
  }
  const std::uint32_t page = layout_.page(id);
  Request& request = requests_[layout_.request(id)];
  request.newest_page = std::max(request.newest_page, page);
  // A token per record, as far as that fits the pages there are.
  const std::uint64_t tokens_before = std::uint64_t{request.newest_page} * layout_.block_tokens;
  request.tokens = std::clamp(request.tokens + 1, tokens_before + 1, tokens_before + layout_.block_tokens);
  request.first_recent_page = first_page_of_newest(request.tokens, layout_.block_tokens);
  if (++appends_since_least_ >= requests_.size()) {
    appends_since_least_ = 0;
    const auto least = std::min_element(requests_.begin(), requests_.end(), [](const Request& a, const Request& b) {
      return a.first_recent_page < b.first_recent_page;
    });
    least_recent_ = layout_.experts + std::uint64_t{least->first_recent_page} * layout_.requests;
  }
}

void TokenStatistics::add_served(std::uint32_t step, std::span<const BlockId> kv) {
  const ServedRequests& served = *layout_.served;
  const std::uint32_t first_pages = (kFirstTokens - 1) / layout_.block_tokens + 1;
  for (const BlockId id : kv) {
    const ServedRequest& request = served.all()[served.request(id)];
    const std::uint64_t tokens = std::uint64_t{request.prompt_tokens} + (step - request.first_step) + 1;
    recent_reads_ += served.page(id) >= first_page_of_newest(tokens, layout_.block_tokens) ? 1u : 0u;
    first_reads_ += served.page(id) < first_pages ? 1u : 0u;
  }
}

void TokenStatistics::add(std::uint32_t step, std::span<const BlockId> reads, std::span<const BlockId> appended) {
  const std::span<const BlockId> kv = reads.subspan(lower_bound(reads, layout_.experts));
  kv_reads_ += kv.size();
  if (layout_.served != nullptr) {
    add_served(step, kv);
    return;
  }
  for (const BlockId id : appended) {
    append(id);
  }
  first_reads_ += lower_bound(kv, first_end_);
  for (const BlockId id : kv.subspan(lower_bound(kv, least_recent_))) {
    recent_reads_ += layout_.page(id) >= requests_[layout_.request(id)].first_recent_page ? 1u : 0u;
  }
}

LayerStatistics::LayerStatistics(const TraceMeta& meta, const TraceTotals& totals)
    : recency_(totals.blocks_per_layer),
      reuse_(totals.blocks_per_layer, totals.steps),
      tokens_(meta.layout, totals.blocks_per_layer),
      served_(meta.layout.served.get()),
      exists_(totals.blocks_per_layer),
      num_existing_(meta.layout.initial_blocks()) {
  std::fill_n(exists_.begin(), num_existing_, true);
}

void LayerStatistics::add(const StepView& record) {
  for (const BlockId id : record.appended) {
    if (!exists_[id.value()]) {
      exists_[id.value()] = true;
      ++num_existing_;
    }
  }
  reads_ += record.reads.size();
  if (num_existing_ > 0) {
    density_.add(static_cast<double>(record.reads.size()) / static_cast<double>(num_existing_));
  }
  recency_.touch(record.reads, record.appended);
  reuse_.add(record.step.value(), record.reads);
  tokens_.add(record.step.value(), record.reads, record.appended);
  if (served_ != nullptr) {
    for (const std::uint32_t request : served_->ending(record.step.value())) {
      num_existing_ -= served_->blocks_of(request).size();
    }
  }
}

}  // namespace kvplace
