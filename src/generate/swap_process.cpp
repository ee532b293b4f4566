#include "generate/swap_process.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvplace::generate {
namespace {

constexpr std::uint64_t kForSwap = 7;  // what a layer's random numbers are drawn for

std::uint32_t share_of(double share, std::uint32_t blocks) { return static_cast<std::uint32_t>(share * blocks); }

}  // namespace

SwapProcess::SwapProcess(const GeneratorConfig::Swap& swap, const Budget& budget, std::uint32_t first_block,
                         std::uint64_t seed, std::uint32_t layer)
    : swap_(swap), budget_(budget), first_block_(first_block), random_(hash_of({seed, kForSwap, layer})) {}

void SwapProcess::find_unread(std::uint32_t begin) {
  unread_.clear();
  for (std::uint32_t b = begin; b < is_read_.size(); ++b) {
    if (!is_read_[b]) {
      unread_.push_back(b);
    }
  }
}

void SwapProcess::enter(std::uint32_t count) {
  const std::size_t taken = std::min<std::size_t>(count, unread_.size());
  for (std::size_t i = 0; i < taken; ++i) {
    const std::size_t other = i + random_.below(static_cast<std::uint32_t>(unread_.size() - i));
    std::swap(unread_[i], unread_[other]);
    is_read_[unread_[i]] = true;
  }
  num_reads_ += static_cast<std::uint32_t>(taken);
  unread_.erase(unread_.begin(), unread_.begin() + static_cast<std::ptrdiff_t>(taken));
}

void SwapProcess::step(std::uint32_t blocks) {
  const bool is_first = is_read_.empty();
  is_read_.resize(blocks, false);
  const std::uint32_t wanted = budget_.of(blocks);
  const auto window = static_cast<std::uint32_t>(std::ceil(swap_.window * blocks));
  find_unread(blocks - std::clamp(window, wanted, blocks));
  enter(wanted - std::min(wanted, num_reads_));
  if (is_first) {
    return;
  }
  const std::uint32_t least = share_of(swap_.least, num_reads_);
  const std::uint32_t most = share_of(swap_.most, num_reads_);
  const std::uint32_t swapped =
      std::min(least + random_.below(most - least + 1), static_cast<std::uint32_t>(unread_.size()));
  std::uint32_t oldest = 0;
  for (std::uint32_t left = 0; left < swapped; ++oldest) {
    left += is_read_[oldest] ? 1u : 0u;
    is_read_[oldest] = false;
  }
  num_reads_ -= swapped;
  enter(swapped);
}

void SwapProcess::append_reads(std::vector<BlockId>& out) const {
  for (std::uint32_t b = 0; b < is_read_.size(); ++b) {
    if (is_read_[b]) {
      out.emplace_back(first_block_ + b);
    }
  }
}

void SwapProcess::append_ranking(std::uint32_t depth, std::vector<BlockId>& out) const {
  const std::size_t end = out.size() + std::min<std::size_t>(depth, is_read_.size());
  for (const bool read : {true, false}) {
    for (std::size_t b = is_read_.size(); b > 0 && out.size() < end; --b) {
      if (is_read_[b - 1] == read) {
        out.emplace_back(static_cast<std::uint32_t>(first_block_ + b - 1));
      }
    }
  }
}

}  // namespace kvplace::generate
