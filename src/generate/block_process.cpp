#include "generate/block_process.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace kvplace::generate {
namespace {

// What a number that all layers share is drawn for.
constexpr std::uint64_t kForLayer = 1;
constexpr std::uint64_t kForClass = 2;
constexpr std::uint64_t kForCommonClass = 3;
constexpr std::uint64_t kForChurn = 4;
constexpr std::uint64_t kForPhase = 5;
constexpr std::uint64_t kForPopularity = 6;

constexpr std::size_t kNumCohorts = kLeastAge.back() + 1;
constexpr std::uint8_t kHeavy = 1;

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
  for (std::uint32_t b = 0; b < range_.initial; ++b) {
    add_block();
  }
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

std::size_t BlockProcess::member_cell(const Block& block, std::uint32_t age) const {
  return block.cls * kNumAges + age_class(std::max(age, 1u));
}

std::size_t BlockProcess::outside_cell(const Block& block, std::uint32_t age) const {
  return first_outside_ + block.cls * outside_stride_ + age_class(age);
}

std::size_t BlockProcess::cold_cell(const Block& block) const { return first_cold_ + block.cls; }

std::uint32_t BlockProcess::budget() const {
  const auto blocks = static_cast<std::uint32_t>(cells_.size());
  const Budget& budget = model_.budget;
  const std::uint32_t wanted =
      budget.count > 0 ? budget.count
                       : static_cast<std::uint32_t>(std::llround(budget.share * static_cast<double>(blocks)));
  return std::min(std::max(wanted, 1u), blocks);
}

double BlockProcess::heavy_chance() const {
  return model_.classes.heavy_share * static_cast<double>(budget()) / static_cast<double>(cells_.size());
}

std::uint8_t BlockProcess::class_at_birth(std::uint32_t b) const {
  if (model_.classes.heavy_share <= 0) {
    return 0;
  }
  const bool is_common = unit_of(hash_more(for_common_class_, b)) < model_.classes.heavy_common;
  const std::uint64_t bits = is_common ? hash_more(for_class_, b) : hash_more(hash_more(for_class_, b), layer_ + 1);
  // Blocks before decode are drawn as if all were there already.
  const double blocks = static_cast<double>(std::max<std::size_t>(range_.initial, cells_.size()));
  const double budget = model_.budget.count > 0 ? model_.budget.count : model_.budget.share * blocks;
  return unit_of(bits) < model_.classes.heavy_share * std::min(1.0, budget / blocks) ? kHeavy : 0;
}

std::uint8_t BlockProcess::class_by_frequency(float frequency) const {
  std::uint8_t cls = 0;
  for (const double bound : model_.classes.bounds) {
    cls = static_cast<std::uint8_t>(cls + (frequency >= bound ? 1 : 0));
  }
  return cls;
}

void BlockProcess::add_block() {
  const auto b = static_cast<std::uint32_t>(cells_.size());
  cells_.add_block();
  cells_[b].cls = class_at_birth(b);
  if (model_.classes.decay > 0) {
    frequency_.push_back(0);
  }
  if (model_.classes.choices > 1) {
    popularity_.push_back(static_cast<std::uint32_t>(hash_more(for_popularity_, b)));
  }
  bits_.resize(b / 64 + 1, 0);
  cells_.put(b, cold_cell(cells_[b]));
}

void BlockProcess::append_new_blocks() {
  if (range_.block_tokens == 0) {
    return;
  }
  const std::uint32_t newest = (range_.prompt_tokens + step_) / range_.block_tokens;
  while (cells_.size() <= newest) {
    add_block();
  }
}

void BlockProcess::grow_older() {
  for (std::size_t i = 1; i < kNumAges && kLeastAge[i] <= step_; ++i) {
    const std::uint32_t since = step_ - kLeastAge[i];
    std::vector<std::uint32_t>& cohort = cohorts_[since % kNumCohorts];
    std::size_t kept = 0;
    for (std::size_t j = 0; j < cohort.size(); ++j) {
      prefetch(cohort, j);
      const std::uint32_t b = cohort[j];
      const Block& block = cells_[b];
      const std::size_t cell = cells_.cell_of(b);
      if (block.since != since || cell >= (depths_ ? first_outside_ : first_cold_)) {
        continue;  // pinned, or entered or left since, or in a class of depth
      }
      const std::size_t side = cell >= first_outside_ ? first_outside_ : 0;
      const std::size_t older = side + block.cls * kNumAges + i;
      if (cell != older) {
        cells_.move(b, older);
        cohort[kept++] = b;
      }
    }
    cohort.resize(i + 1 < kNumAges ? kept : 0);
  }
  if (depths_) {
    depths_->advance(
        step_, [this](std::uint32_t b, std::uint32_t since) { return cells_[b].since == since && !is_read(b); },
        [this](std::uint32_t b, std::size_t depth) {
          cells_.move(b, first_outside_ + cells_[b].cls * kNumDepths + depth);
        });
  }
}

void BlockProcess::set_read(std::uint32_t b) {
  bits_[b / 64] |= std::uint64_t{1} << (b % 64);
  cells_[b].ever_read = true;
  ++num_reads_;
}

void BlockProcess::clear_read(std::uint32_t b) {
  bits_[b / 64] &= ~(std::uint64_t{1} << (b % 64));
  --num_reads_;
}

void BlockProcess::pin(std::uint32_t b) {
  Block& block = cells_[b];
  if (block.pins++ > 0) {
    return;
  }
  ++num_pinned_;
  cells_.take(b);
  if (!is_read(b)) {
    note_entering(block);
    block.since = step_;
    set_read(b);
    ++entered_by_pin_;
  }
}

void BlockProcess::unpin(std::uint32_t b, bool stays) {
  Block& block = cells_[b];
  if (--block.pins > 0) {
    return;
  }
  --num_pinned_;
  if (stays) {
    cells_.put(b, member_cell(block, step_ - block.since));
    cohorts_[block.since % kNumCohorts].push_back(b);
  } else {
    clear_read(b);
    become_outside(b);
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

void BlockProcess::note_entering(const Block& block) {
  if (!depths_) {
    return;
  }
  if (block.ever_read) {
    depths_->enter(block.since);
  } else {
    depths_->enter_cold();
  }
}

void BlockProcess::become_member(std::uint32_t b) {
  Block& block = cells_[b];
  note_entering(block);
  if (model_.classes.decay > 0) {
    float& frequency = frequency_[b];
    if (block.ever_read) {
      frequency *= decayed(step_ - block.since - 1);
    }
    block.cls = class_by_frequency(frequency);
  }
  block.since = step_;
  cells_.put(b, member_cell(block, 1));
  cohorts_[step_ % kNumCohorts].push_back(b);
  set_read(b);
}

void BlockProcess::become_outside(std::uint32_t b) {
  Block& block = cells_[b];
  if (model_.classes.decay > 0) {
    float& frequency = frequency_[b];
    frequency = 1 - (1 - frequency) * decayed(step_ - block.since);
    block.cls = class_by_frequency(frequency);
  } else if (model_.classes.drift > 0 && random_.unit() < model_.classes.drift) {
    block.cls = random_.unit() < heavy_chance() ? kHeavy : 0;
  }
  block.since = step_ - 1;
  cells_.put(b, outside_cell(block, 1));
  if (depths_) {
    depths_->leave(b, block.since);
  } else {
    cohorts_[block.since % kNumCohorts].push_back(b);
  }
}

double BlockProcess::churn_factor() {
  const Churn& churn = model_.churn;
  if (churn.step_spread <= 0) {
    return 1;
  }
  const double normal = std::sqrt(churn.common) * normal_of(hash_of({seed_, kForChurn, step_})) +
                        std::sqrt(1 - churn.common) * random_.normal();
  return std::exp(churn.step_spread * normal - churn.step_spread * churn.step_spread / 2);
}

std::uint32_t BlockProcess::pick(const std::vector<std::uint32_t>& members, bool most_popular) {
  const auto size = static_cast<std::uint32_t>(members.size());
  std::uint32_t picked = members[random_.below(size)];
  if (model_.classes.choices <= 1) {
    return picked;
  }
  for (auto more = static_cast<int>(model_.classes.choices - 1 + random_.unit()); more > 0; --more) {
    const std::uint32_t other = members[random_.below(size)];
    if ((popularity_[other] > popularity_[picked]) == most_popular) {
      picked = other;
    }
  }
  return picked;
}

void BlockProcess::take_from_cells(bool most_popular, std::size_t first_cell, std::span<const std::uint32_t> draws,
                                   std::vector<std::uint32_t>& out) {
  for (std::size_t i = 0; i < draws.size(); ++i) {
    for (std::uint32_t n = draws[i]; n > 0; --n) {
      const std::uint32_t b = pick(cells_.members(first_cell + i), most_popular);
      cells_.take(b);
      out.push_back(b);
    }
  }
}

void BlockProcess::choose_leaving(std::uint32_t wanted) {
  leaving_.clear();
  if (wanted > 0) {
    take_from_cells(false, 0,
                    apportionment_.draw(cells_.counts().first(first_outside_), model_.weights.leave, wanted, random_),
                    leaving_);
  }
}

void BlockProcess::choose_entering(std::uint32_t wanted) {
  entering_.clear();
  if (wanted == 0) {
    return;
  }
  if (depths_) {
    choose_entering_by_depth(wanted);
    return;
  }
  const std::span<const std::uint32_t> counts = cells_.counts().subspan(first_outside_);
  enter_weights_.assign(counts.size(), 0);
  std::copy(model_.weights.enter.begin(), model_.weights.enter.end(), enter_weights_.begin());
  const double cold = model_.weights.cold[age_class(std::max(step_, 1u))];
  for (std::size_t cls = 0; cls < model_.classes.count; ++cls) {
    enter_weights_[first_cold_ - first_outside_ + cls] = cls == kHeavy ? cold * model_.classes.heavy_cold : cold;
  }
  const auto fresh = static_cast<std::uint32_t>(model_.weights.fresh * wanted + random_.unit());
  take_from_cells(true, first_outside_,
                  apportionment_.draw(counts, enter_weights_, wanted - std::min(fresh, wanted), random_), entering_);
  const std::uint32_t left = wanted - static_cast<std::uint32_t>(entering_.size());
  if (left > 0) {
    // Uniform over all but the blocks that were read one step ago.
    std::fill(enter_weights_.begin(), enter_weights_.end(), 1);
    for (std::size_t cls = 0; cls < model_.classes.count; ++cls) {
      enter_weights_[cls * kNumAges] = 0;
    }
    take_from_cells(true, first_outside_, apportionment_.draw(counts, enter_weights_, left, random_), entering_);
  }
}

void BlockProcess::choose_entering_by_depth(std::uint32_t wanted) {
  // First how many of each depth, evenly over time, then of which class: misses of LRU lists depend on depths only.
  const Weights& weights = model_.weights;
  const std::span<const std::uint32_t> counts = cells_.counts().subspan(first_outside_);
  const std::size_t classes = model_.classes.count;
  std::array<std::uint32_t, kNumDepths + 1> rooms{};
  std::array<double, kNumDepths + 1> shares{};
  for (std::size_t cls = 0; cls < classes; ++cls) {
    for (std::size_t d = 0; d < kNumDepths; ++d) {
      const std::size_t i = cls * kNumDepths + d;
      rooms[d] += counts[i];
      shares[d] += counts[i] * weights.enter[i];
    }
    rooms[kNumDepths] += counts[first_cold_ - first_outside_ + cls];
  }
  for (std::size_t d = 1; d < kNumDepths; ++d) {
    shares[d] *= weights.by_age[age_class(depths_->least_age(d, step_))];
  }
  shares[kNumDepths] = rooms[kNumDepths] * weights.cold[age_class(std::max(step_, 1u))];
  const std::span<const std::uint32_t> by_depth = even_.draw(rooms, shares, wanted, random_);
  std::vector<std::uint32_t>& class_counts = scratch_counts_;
  for (std::size_t d = 0; d <= kNumDepths; ++d) {
    if (by_depth[d] == 0) {
      continue;
    }
    class_counts.clear();
    enter_weights_.clear();
    for (std::size_t cls = 0; cls < classes; ++cls) {
      const bool is_cold = d == kNumDepths;
      class_counts.push_back(counts[is_cold ? first_cold_ - first_outside_ + cls : cls * kNumDepths + d]);
      enter_weights_.push_back(is_cold ? 1 : weights.enter[cls * kNumDepths + d]);
    }
    const std::span<const std::uint32_t> draws =
        apportionment_.draw(class_counts, enter_weights_, by_depth[d], random_);
    for (std::size_t cls = 0; cls < classes; ++cls) {
      const std::size_t cell = d == kNumDepths ? first_cold_ + cls : first_outside_ + cls * kNumDepths + d;
      take_from_cells(true, cell, draws.subspan(cls, 1), entering_);
    }
  }
}

void BlockProcess::exchange() {
  const std::uint32_t wanted_reads = budget();
  double churn = 0;
  if (started_ && !model_.churn.series.empty()) {
    churn = model_.churn.series[(step_ - 1) % model_.churn.series.size()] * static_cast<double>(wanted_reads);
  } else if (started_) {
    churn = (1 - model_.churn.overlap) * churn_factor();
    if (model_.churn.phase_steps > 0 && unit_of(hash_of({seed_, kForPhase, step_})) * model_.churn.phase_steps < 1) {
      churn += model_.churn.phase_share;
    }
    churn = std::min(churn, 1.0) * static_cast<double>(wanted_reads);
  }
  // In whole blocks; entering - leaving = wanted_reads - num_reads_.
  const std::int64_t missing = std::int64_t{wanted_reads} - num_reads_;
  const std::int64_t members = std::int64_t{num_reads_} - num_pinned_;
  const std::int64_t not_read = static_cast<std::int64_t>(cells_.size()) - num_reads_;
  auto entering = static_cast<std::int64_t>(std::max(0.0, churn - entered_by_pin_) + random_.unit());
  entering = std::min({std::max(entering, missing), members + missing, not_read});
  entering = std::max<std::int64_t>(entering, 0);
  const std::int64_t leaving = std::clamp<std::int64_t>(entering - missing, 0, members);
  choose_leaving(static_cast<std::uint32_t>(leaving));
  choose_entering(static_cast<std::uint32_t>(entering));
  for (std::size_t j = 0; j < leaving_.size(); ++j) {
    prefetch(leaving_, j);
    clear_read(leaving_[j]);
    become_outside(leaving_[j]);
  }
  for (std::size_t j = 0; j < entering_.size(); ++j) {
    prefetch(entering_, j);
    become_member(entering_[j]);
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
  for (std::size_t word = 0; word < bits_.size(); ++word) {
    const auto base = static_cast<std::uint32_t>(range_.first + 64 * word);
    for (std::uint64_t bits = bits_[word]; bits != 0; bits &= bits - 1) {
      out.emplace_back(base + static_cast<std::uint32_t>(std::countr_zero(bits)));
    }
  }
}

}  // namespace kvplace::generate
