// What changes in a decode step: how many blocks leave and come in, and which.
#include <algorithm>
#include <array>
#include <cmath>

#include "generate/block_process.h"

namespace kvplace::generate {
namespace {

// What a number that all layers share is drawn for; others are in block_process.cpp.
constexpr std::uint64_t kForChurn = 4;
constexpr std::uint64_t kForPhase = 5;

}  // namespace

double BlockProcess::churn_factor() {
  const Churn& churn = model_.churn;
  if (churn.step_spread <= 0) {
    return 1;
  }
  const double normal = std::sqrt(churn.common) * normal_of(hash_of({seed_, kForChurn, step_})) +
                        std::sqrt(1 - churn.common) * random_.normal();
  return std::exp(churn.step_spread * normal - churn.step_spread * churn.step_spread / 2);
}

void BlockProcess::take_from_cells(bool most_popular, std::size_t first_cell, std::span<const std::uint32_t> draws,
                                   std::vector<std::uint32_t>& out) {
  const double choices = model_.classes.choices;
  const std::uint32_t flip = most_popular ? 0 : ~0u;
  Random random = random_;
  for (std::size_t i = 0; i < draws.size(); ++i) {
    const std::size_t cell = first_cell + i;
    const std::span<const std::uint32_t> members = cells_.members(cell);
    auto size = static_cast<std::uint32_t>(members.size());
    for (std::uint32_t n = draws[i]; n > 0; --n, --size) {
      std::uint32_t at = random.below(size);
      if (choices > 1) {
        // The greatest popularity, or that of the least; without a branch, since which it is cannot be guessed.
        std::uint32_t best = popularity_[members[at]] ^ flip;
        for (auto more = static_cast<int>(choices - 1 + random.unit()); more > 0; --more) {
          const std::uint32_t other = random.below(size);
          const std::uint32_t popularity = popularity_[members[other]] ^ flip;
          const bool is_better = popularity > best;
          at = is_better ? other : at;
          best = is_better ? popularity : best;
        }
      }
      out.push_back(cells_.take_at(cell, at));
    }
  }
  random_ = random;
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

void BlockProcess::become_member(std::uint32_t b, std::vector<std::uint32_t>& cohort) {
  Block& block = blocks_[b];
  note_entering(block);
  if (model_.classes.decay > 0) {
    float& frequency = frequency_[b];
    if (block.ever_read) {
      frequency *= decayed(step_ - block.since - 1);
    }
    block.cls = class_by_frequency(frequency);
  }
  set_since(b, step_);
  cells_.put(b, member_cell(block, 1));
  cohort.push_back(b);
  set_read(b);
}

void BlockProcess::become_outside(std::uint32_t b, std::vector<std::uint32_t>& cohort) {
  Block& block = blocks_[b];
  if (model_.classes.decay > 0) {
    float& frequency = frequency_[b];
    frequency = 1 - (1 - frequency) * decayed(step_ - block.since);
    block.cls = class_by_frequency(frequency);
  } else if (model_.classes.drift > 0 && random_.unit() < model_.classes.drift) {
    block.cls = random_.unit() < heavy_chance() ? kHeavy : 0;
  }
  set_since(b, step_ - 1);
  cells_.put(b, outside_cell(block, 1));
  if (depths_) {
    depths_->leave(b, block.since);
  } else {
    cohort.push_back(b);
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
  std::vector<std::uint32_t>& last = cohorts_[(step_ + kNumCohorts - 1) % kNumCohorts];
  last.reserve(last.size() + leaving_.size());
  std::vector<std::uint32_t>& newest = cohorts_[step_ % kNumCohorts];
  newest.reserve(entering_.size());
  for (std::size_t j = 0; j < leaving_.size(); ++j) {
    prefetch_all(leaving_, j);
    clear_read(leaving_[j]);
    become_outside(leaving_[j], last);
  }
  for (std::size_t j = 0; j < entering_.size(); ++j) {
    prefetch_all(entering_, j);
    become_member(entering_[j], newest);
  }
}

}  // namespace kvplace::generate
