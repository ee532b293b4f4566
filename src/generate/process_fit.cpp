#include "generate/process_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kvplace::generate {
namespace {

/// Adds one for each age from `least` to `most` to its age class.
void add_ages(std::vector<double>& counts, std::size_t cls, std::uint32_t least, std::uint32_t most) {
  for (std::size_t i = 0; i < kNumAges; ++i) {
    const std::uint32_t begin = std::max(least, kLeastAge[i]);
    const std::uint32_t end = i + 1 < kNumAges ? std::min(most, kLeastAge[i + 1] - 1) : most;
    if (begin <= end) {
      counts[cls * kNumAges + i] += end - begin + 1;
    }
  }
}

/// Follows every block through a layer's reads like the engine does.
class Follower {
 public:
  Follower(const LayerReads& reads, const PinnedParts& pinned, const Classes& classes)
      : reads_(reads), pinned_(pinned), classes_(classes), blocks_(reads.num_blocks(reads.num_steps() - 1)) {
    const std::size_t cells = classes.count * kNumAges;
    for (std::vector<double>* counts : {&tally_.could_leave, &tally_.left, &tally_.could_enter, &tally_.entered}) {
      counts->assign(cells, 0);
    }
    tally_.cold_could_enter.assign(kNumAges, 0);
    tally_.cold_entered.assign(kNumAges, 0);
    tally_.reads = static_cast<double>(reads.ids.size());
  }

  Tally run() {
    std::span<const BlockId> before;
    for (std::uint32_t t = 0; t < reads_.num_steps(); ++t) {
      const std::span<const BlockId> now = reads_.step(t);
      step(t, before, now);
      before = now;
    }
    const std::uint32_t last = reads_.num_steps() - 1;
    for (const Block& block : blocks_) {
      if (block.is_member) {
        add_ages(tally_.could_leave, block.cls, block.first_age, last - block.since);
      } else if (block.ever_read) {
        add_ages(tally_.could_enter, block.cls, 2, last - block.since);
      }
    }
    return std::move(tally_);
  }

 private:
  struct Block {
    std::uint32_t since = 0;      ///< as in the engine
    std::uint32_t first_age = 1;  ///< of a member: from when on it may leave
    double frequency = 0;
    std::size_t cls = 0;
    bool is_member = false;
    bool ever_read = false;
  };

  void step(std::uint32_t t, std::span<const BlockId> before, std::span<const BlockId> now) {
    const std::uint32_t num_blocks = reads_.num_blocks(t);
    const std::uint32_t num_cold = num_blocks - std::min(num_blocks, num_ever_read_);
    std::uint32_t entered = 0;
    auto a = before.begin();
    auto b = now.begin();
    while (a != before.end() || b != now.end()) {
      if (b == now.end() || (a != before.end() && *a < *b)) {
        leave(t, (a++)->value());
      } else if (a == before.end() || *b < *a) {
        enter(t, (b++)->value());
        ++entered;
      } else {
        ++a;
        ++b;
      }
    }
    if (t > 0) {
      tally_.cold_could_enter[age_class(t)] += num_cold;
      tally_.changed.push_back(now.empty() ? 0 : static_cast<float>(entered) / static_cast<float>(now.size()));
    }
  }

  /// First step in which the window does not hold the block.
  [[nodiscard]] std::uint32_t end_of_window(std::uint32_t b) const {
    if (reads_.range.block_tokens == 0 || pinned_.window_tokens == 0) {
      return 0;
    }
    const std::uint64_t end = std::uint64_t{b + 1} * reads_.range.block_tokens + pinned_.window_tokens - 1;
    return static_cast<std::uint32_t>(end - std::min<std::uint64_t>(end, reads_.range.prompt_tokens));
  }

  [[nodiscard]] bool is_sink(std::uint32_t b) const {
    return std::uint64_t{b} * std::max(reads_.range.block_tokens, 1u) < pinned_.sink_tokens;
  }

  void enter(std::uint32_t t, std::uint32_t b) {
    Block& block = blocks_[b];
    const std::uint32_t out_of_window = end_of_window(b);
    const bool pinned = t < out_of_window || is_sink(b);
    if (t > 0 && !pinned) {
      if (block.ever_read) {
        const std::uint32_t age = t - block.since;
        add_ages(tally_.could_enter, block.cls, 2, age);
        ++tally_.entered[block.cls * kNumAges + age_class(age)];
      } else {
        ++tally_.cold_entered[age_class(t)];
      }
    }
    if (block.ever_read) {
      block.frequency *= std::pow(classes_.decay, t - block.since - 1);
    } else {
      ++num_ever_read_;
    }
    block.cls = class_of(block.frequency);
    block.since = t;
    block.first_age = is_sink(b) ? reads_.num_steps() : std::max(out_of_window, t + 1) - t;
    block.ever_read = true;
    block.is_member = true;
  }

  void leave(std::uint32_t t, std::uint32_t b) {
    Block& block = blocks_[b];
    const std::uint32_t age = t - block.since;
    add_ages(tally_.could_leave, block.cls, block.first_age, age);
    ++tally_.left[block.cls * kNumAges + age_class(age)];
    block.frequency = 1 - (1 - block.frequency) * std::pow(classes_.decay, age);
    block.cls = class_of(block.frequency);
    block.since = t - 1;
    block.is_member = false;
  }

  [[nodiscard]] std::size_t class_of(double frequency) const {
    return static_cast<std::size_t>(std::count_if(classes_.bounds.begin(), classes_.bounds.end(),
                                                  [&](double bound) { return frequency >= bound; }));
  }

  const LayerReads& reads_;
  const PinnedParts& pinned_;
  const Classes& classes_;
  std::vector<Block> blocks_;
  std::uint32_t num_ever_read_ = 0;
  Tally tally_;
};

double sum_over_classes(const std::vector<double>& counts, std::size_t age) {
  double sum = 0;
  for (std::size_t i = age; i < counts.size(); i += kNumAges) {
    sum += counts[i];
  }
  return sum;
}

/// Chances of events, where there is little to go by those of all classes, and of the age before.
std::vector<double> hazards(const std::vector<double>& events, const std::vector<double>& chances) {
  constexpr double kTrust = 20;  // chances that weigh as much as what is known otherwise
  std::vector<double> hazards(events.size());
  double of_all = 0.5;
  for (std::size_t i = 0; i < kNumAges; ++i) {
    of_all = (sum_over_classes(events, i) + kTrust * of_all) / (sum_over_classes(chances, i) + kTrust);
    for (std::size_t j = i; j < events.size(); j += kNumAges) {
      hazards[j] = (events[j] + kTrust * of_all) / (chances[j] + kTrust);
    }
  }
  return hazards;
}

Budget fit_budget(const LayerReads& reads) {
  double count = 0;
  double share = 0;
  double count2 = 0;
  double share2 = 0;
  const std::uint32_t steps = reads.num_steps();
  for (std::uint32_t t = 0; t < steps; ++t) {
    const auto n = static_cast<double>(reads.step(t).size());
    const double s = n / std::max(1u, reads.num_blocks(t));
    count += n / steps;
    count2 += n * n / steps;
    share += s / steps;
    share2 += s * s / steps;
  }
  const double count_spread = count2 / (count * count) - 1;
  const double share_spread = share2 / (share * share) - 1;
  // Of two that fit alike, as on a short trace, the count: it is exact.
  if (count_spread <= share_spread + 1e-12) {
    return {static_cast<std::uint32_t>(std::max(1.0, std::round(count))), 0};
  }
  return {0, share};
}

double mean_of(const std::vector<float>& values) {
  return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Means of equally large classes of the values, in ascending order, as multiples of the mean of all.
std::vector<double> quantile_factors(std::vector<float> values) {
  constexpr std::size_t kMostClasses = 64;
  const double mean = mean_of(values);
  std::vector<double> factors(std::min(kMostClasses, values.size()), 1);
  if (mean <= 0) {
    return factors;
  }
  std::sort(values.begin(), values.end());
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(i * values.size() / factors.size());
    const auto end = values.begin() + static_cast<std::ptrdiff_t>((i + 1) * values.size() / factors.size());
    factors[i] = mean_of(std::vector<float>(begin, end)) / mean;
  }
  return factors;
}

}  // namespace

PinnedParts find_pinned_parts(const LayerReads& reads) {
  constexpr double kNearlyAlways = 0.998;
  constexpr std::uint32_t kMostBlocks = 64;
  PinnedParts parts;
  const std::uint32_t steps = reads.num_steps();
  const std::uint32_t block_tokens = reads.range.block_tokens;
  if (block_tokens == 0) {
    return parts;
  }
  std::vector<std::uint32_t> first(kMostBlocks);
  std::vector<std::uint32_t> newest(kMostBlocks);
  std::size_t fewest = reads.step(0).size();
  for (std::uint32_t t = 0; t < steps; ++t) {
    const std::span<const BlockId> now = reads.step(t);
    fewest = std::min(fewest, now.size());
    for (auto id = now.begin(); id != now.end() && id->value() < kMostBlocks; ++id) {
      ++first[id->value()];
    }
    for (auto id = now.rbegin(); id != now.rend() && reads.newest(t) - id->value() < kMostBlocks; ++id) {
      ++newest[reads.newest(t) - id->value()];
    }
  }
  const auto length = [&](const std::vector<std::uint32_t>& counts) {
    const auto end =
        std::find_if(counts.begin(), counts.end(), [&](std::uint32_t count) { return count < kNearlyAlways * steps; });
    return static_cast<std::uint32_t>(
        std::min<std::size_t>(static_cast<std::size_t>(end - counts.begin()), fewest / 2));
  };
  parts.sink_tokens = length(first) * block_tokens;
  const std::uint32_t window = length(newest);
  parts.window_tokens = window == 0 ? 0 : (window - 1) * block_tokens + 1;
  return parts;
}

Classes frequency_classes() {
  Classes classes;
  classes.bounds = {0.03, 0.1, 0.25, 0.5, 0.75};
  classes.count = static_cast<std::uint32_t>(classes.bounds.size() + 1);
  classes.decay = 0.98;
  return classes;
}

Tally tally(const LayerReads& reads, const PinnedParts& pinned, const Classes& classes) {
  return Follower(reads, pinned, classes).run();
}

ProcessModel fit_process(const LayerReads& reads) {
  ProcessModel model;
  model.budget = fit_budget(reads);
  model.pinned = find_pinned_parts(reads);
  model.classes = frequency_classes();
  const Tally counted = tally(reads, model.pinned, model.classes);
  model.churn.overlap = 1 - mean_of(counted.changed);
  model.churn.step_factors = quantile_factors(counted.changed);
  model.weights.leave = hazards(counted.left, counted.could_leave);
  model.weights.enter = hazards(counted.entered, counted.could_enter);
  for (std::size_t i = 0; i < model.weights.enter.size(); i += kNumAges) {
    model.weights.enter[i] = 0;
  }
  model.weights.cold = hazards(counted.cold_entered, counted.cold_could_enter);
  return model;
}

double tilt_for_lru(double tilt, double reads, const std::vector<double>& lru, const std::vector<double>& made_lru) {
  constexpr double kStep = 0.12;
  constexpr double kMostTilt = 0.12;
  constexpr double kFew = 20;  // misses
  double error = 0;
  for (std::size_t j = 1; j < lru.size(); ++j) {
    error += std::log((made_lru[j] * reads + kFew) / (lru[j] * reads + kFew)) / static_cast<double>(lru.size() - 1);
  }
  return std::clamp(tilt + kStep * error, -kMostTilt, kMostTilt);
}

void adjust(ProcessModel& model, const Tally& wanted, const Tally& made, double tilt) {
  // By chances, not by counts: a count is off wherever there were more or fewer blocks of that class and age.
  constexpr double kFew = 10;
  constexpr double kMostFactor = 2;
  constexpr double kDamping = 0.6;
  const auto scale = [&](std::vector<double>& weights, const std::vector<double>& events,
                         const std::vector<double>& chances, const std::vector<double>& made_events,
                         const std::vector<double>& made_chances) {
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double expected = chances[i] > 0 ? events[i] / chances[i] * made_chances[i] : made_events[i];
      const double factor = (expected + kFew) / (made_events[i] + kFew);
      weights[i] *= std::clamp(std::pow(factor, kDamping), 1 / kMostFactor, kMostFactor);
    }
  };
  scale(model.weights.leave, wanted.left, wanted.could_leave, made.left, made.could_leave);
  std::vector<double> entered = wanted.entered;
  for (std::size_t i = 0; i < entered.size(); ++i) {
    entered[i] *= std::pow(static_cast<double>(kLeastAge[i % kNumAges]), -tilt);
  }
  scale(model.weights.enter, entered, wanted.could_enter, made.entered, made.could_enter);
  scale(model.weights.cold, wanted.cold_entered, wanted.cold_could_enter, made.cold_entered, made.cold_could_enter);
  const double goal = mean_of(wanted.changed);
  const double got = mean_of(made.changed);
  if (got > 0) {
    model.churn.overlap = std::clamp(1 - (1 - model.churn.overlap) * goal / got, 0.0, 1.0);
  }
}

}  // namespace kvplace::generate
