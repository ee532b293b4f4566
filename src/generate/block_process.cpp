#include "generate/block_process.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace kvplace::generate {
namespace {

// What a number that all layers share is drawn for.
constexpr std::uint64_t kForLayer = 1;
constexpr std::uint64_t kForClass = 2;
constexpr std::uint64_t kForCommonClass = 3;
constexpr std::uint64_t kForPopularity = 6;

}  // namespace

BlockProcess::BlockProcess(const ProcessModel& model, const BlockRange& range, std::uint64_t seed, std::uint32_t layer)
    : model_(model),
      range_(range),
      seed_(hash_of({seed, range.first})),
      layer_(layer),
      for_common_class_(hash_of({seed_, kForCommonClass, layer})),
      for_class_(hash_of({seed_, kForClass})),
      for_popularity_(hash_of({seed_, kForPopularity})),
      random_(hash_of({seed, kForLayer, range.first, layer})),
      outside_stride_(model.weights.by_depth ? kNumDepths : kNumAges),
      first_outside_(std::size_t{model.classes.count} * kNumAges),
      first_cold_(first_outside_ + std::size_t{model.classes.count} * outside_stride_),
      cells_(first_cold_ + model.classes.count),
      slash_(model.pinned.slash_lines),
      cohorts_(kNumCohorts) {
  add_blocks(range_.initial);
  if (model.weights.by_depth) {
    depths_.emplace(budget());
  }
  if (model.classes.decay > 0) {
    decay_powers_.resize(kLeastAge.back() + 1);
    double power = 1;
    for (float& entry : decay_powers_) {
      entry = static_cast<float>(power);
      power *= model.classes.decay;
    }
  }
}

float BlockProcess::decayed(std::uint32_t steps) const {
  return decay_powers_[std::min<std::size_t>(steps, decay_powers_.size() - 1)];
}

std::uint32_t BlockProcess::budget() const { return model_.budget.of(static_cast<std::uint32_t>(cells_.size())); }

double BlockProcess::heavy_chance() const {
  return model_.classes.heavy_share * static_cast<double>(budget()) / static_cast<double>(cells_.size());
}

std::uint8_t BlockProcess::class_at_birth(std::uint32_t b, double heavy_chance) const {
  const bool is_common = unit_of(hash_more(for_common_class_, b)) < model_.classes.heavy_common;
  const std::uint64_t common = hash_more(for_class_, b);
  const std::uint64_t of_layer = hash_more(common, layer_ + 1);
  return unit_of(is_common ? common : of_layer) < heavy_chance ? kHeavy : 0;
}

std::uint8_t BlockProcess::class_by_frequency(float frequency) const {
  std::uint8_t cls = 0;
  for (const double bound : model_.classes.bounds) {
    cls = static_cast<std::uint8_t>(cls + (frequency >= bound ? 1 : 0));
  }
  return cls;
}

void BlockProcess::add_blocks(std::uint32_t count) {
  const auto first = static_cast<std::uint32_t>(cells_.size());
  const std::uint32_t end = first + count;
  cells_.add_blocks(count);
  if (blocks_.empty()) {
    blocks_.reserve(count + count / 8);  // a few are usually added later
  }
  blocks_.resize(blocks_.size() + count);
  bits_.resize(end / 64 + 1, 0);
  const double blocks = std::max(range_.initial, end);
  const double budget = model_.budget.count > 0 ? model_.budget.count : model_.budget.share * blocks;
  const double heavy_chance = model_.classes.heavy_share * std::min(1.0, budget / blocks);
  for (std::uint32_t b = first; b < end; ++b) {
    if (heavy_chance > 0) {
      blocks_[b].cls = class_at_birth(b, heavy_chance);
    }
    if (model_.classes.decay > 0) {
      frequency_.push_back(0);
    }
    if (model_.classes.choices > 1) {
      popularity_.push_back(static_cast<std::uint32_t>(hash_more(for_popularity_, b)));
    }
    cells_.put(b, cold_cell(blocks_[b]));
  }
}

void BlockProcess::append_new_blocks() {
  if (range_.block_tokens == 0) {
    return;
  }
  const std::uint32_t newest = (range_.prompt_tokens + step_) / range_.block_tokens;
  while (cells_.size() <= newest) {
    add_blocks(1);
  }
}

void BlockProcess::grow_older() {
  for (std::size_t i = 1; i < kNumAges && kLeastAge[i] <= step_; ++i) {
    const std::vector<std::uint32_t>& cohort = cohorts_[(step_ - kLeastAge[i]) % kNumCohorts];
    for (std::size_t j = 0; j < std::min<std::size_t>(cohort.size(), 128); j += 16) {
      __builtin_prefetch(&cohort[j], 1);
    }
  }
  for (std::size_t i = 1; i < kNumAges && kLeastAge[i] <= step_; ++i) {
    const std::uint32_t since = step_ - kLeastAge[i];
    std::vector<std::uint32_t>& cohort = cohorts_[since % kNumCohorts];
    // First those that are to move are found, without a branch, since which they are cannot be guessed.
    const std::size_t end_cell = depths_ ? first_outside_ : first_cold_;
    std::size_t alive = 0;
    for (std::size_t j = 0; j < cohort.size(); ++j) {
      prefetch(cohort, j);
      const std::uint32_t b = cohort[j];
      // Not pinned, nor entered or left since, nor in a class of depth.
      const auto is_of_step = static_cast<std::size_t>(cells_.mark(b) == mark_of(since));
      cohort[alive] = b;
      alive += is_of_step & static_cast<std::size_t>(cells_.cell_of(b) < end_cell);
    }
    for (std::size_t older = i; older < end_cell && alive > 0; older += kNumAges) {
      cells_.reserve(older, alive);
    }
    std::size_t kept = 0;
    for (std::size_t j = 0; j < alive; ++j) {
      const std::uint32_t b = cohort[j];
      const std::size_t cell = cells_.cell_of(b);
      const std::size_t older = cell - cell % kNumAges + i;
      if (cell != older) {  // else it was twice in the list
        cells_.move_reserved(b, older);
        cohort[kept++] = b;
      }
    }
    cohort.resize(i + 1 < kNumAges ? kept : 0);
  }
  if (depths_) {
    depths_->advance(
        step_, [this](std::uint32_t b, std::uint32_t since) { return blocks_[b].since == since && !is_read(b); },
        [this](std::uint32_t b, std::size_t depth) {
          cells_.move(b, first_outside_ + blocks_[b].cls * kNumDepths + depth);
        });
  }
}

void BlockProcess::pin(std::uint32_t b) {
  Block& block = blocks_[b];
  if (block.pins++ > 0) {
    return;
  }
  ++num_pinned_;
  cells_.take(b);
  if (!is_read(b)) {
    note_entering(block);
    set_since(b, step_);
    set_read(b);
    ++entered_by_pin_;
  }
}

void BlockProcess::unpin(std::uint32_t b, bool stays) {
  Block& block = blocks_[b];
  if (--block.pins > 0) {
    return;
  }
  --num_pinned_;
  if (stays) {
    cells_.put(b, member_cell(block, step_ - block.since));
    cohorts_[block.since % kNumCohorts].push_back(b);
  } else {
    clear_read(b);
    become_outside(b, cohorts_[(step_ + kNumCohorts - 1) % kNumCohorts]);
  }
}

void BlockProcess::move_window() {
  const std::uint32_t tokens = model_.pinned.window_tokens;
  if (tokens == 0 || range_.block_tokens == 0) {
    return;
  }
  const std::uint32_t newest = range_.prompt_tokens + step_;
  const std::uint32_t begin = (newest + 1 > tokens ? newest + 1 - tokens : 0) / range_.block_tokens;
  const std::uint32_t end = newest / range_.block_tokens + 1;
  for (std::uint32_t b = started_ ? window_end_ : begin; b < end; ++b) {
    pin(b);
  }
  for (std::uint32_t b = window_begin_; started_ && b < begin; ++b) {
    unpin(b, true);
  }
  window_begin_ = begin;
  window_end_ = end;
}

void BlockProcess::move_slash_lines() {
  const std::uint32_t newest = range_.prompt_tokens + step_;
  const std::uint32_t nearest = model_.pinned.window_tokens + 1;
  for (SlashLine& line : slash_) {
    if (line.distance == 0 || random_.unit() * model_.pinned.slash_steps < 1) {
      // Distances are as likely in each octave, as attention at a fixed distance decays.
      const double octaves = std::log(std::max(1.0, static_cast<double>(newest) / nearest));
      line.distance = static_cast<std::uint32_t>(nearest * std::exp(octaves * random_.unit()));
    }
    const std::uint32_t block = newest >= line.distance ? (newest - line.distance) / range_.block_tokens : kNoBlock;
    if (block == line.block) {
      continue;
    }
    if (block != kNoBlock) {
      pin(block);
    }
    if (line.block != kNoBlock) {
      unpin(line.block, false);
    }
    line.block = block;
  }
}

void BlockProcess::step() {
  step_ += started_ ? 1 : 0;
  entered_by_pin_ = 0;
  append_new_blocks();
  cohorts_[step_ % kNumCohorts].clear();
  grow_older();
  // With a short prompt some sinks are yet to be born.
  const std::uint32_t block_tokens = std::max(range_.block_tokens, 1u);
  const std::uint32_t sinks = (model_.pinned.sink_tokens + block_tokens - 1) / block_tokens;
  for (; num_sinks_ < std::min<std::size_t>(sinks, cells_.size()); ++num_sinks_) {
    pin(num_sinks_);
  }
  move_window();
  move_slash_lines();
  exchange();
  started_ = true;
}

void BlockProcess::append_reads(std::vector<BlockId>& out) const {
  const std::size_t begin = out.size();
  constexpr int kAtOnce = 4;
  out.resize(begin + num_reads_ + kAtOnce);
  BlockId* next = out.data() + begin;
  for (std::size_t word = 0; word < bits_.size(); ++word) {
    const auto base = static_cast<std::uint32_t>(range_.first + 64 * word);
    // Four at a time without a branch, counted if they are there: how many there are cannot be guessed. With the last
    // bit set beside them none is asked for where it would be when there is none.
    constexpr std::uint64_t kStop = std::uint64_t{1} << 63;
    std::uint64_t bits = bits_[word];
    do {
      std::ptrdiff_t count = 0;
      for (int i = 0; i < kAtOnce; ++i) {
        next[i] = BlockId(base + static_cast<std::uint32_t>(std::countr_zero(bits | kStop)));
        count += static_cast<std::ptrdiff_t>(bits != 0);
        bits &= bits - 1;
      }
      next += count;
    } while (bits != 0);
  }
  out.resize(begin + num_reads_);
}

}  // namespace kvplace::generate
