#include "generate/process_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "generate/depth_classes.h"
#include "generate/locality.h"
#include "kvplace/generate/twin.h"

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
      : reads_(reads),
        pinned_(pinned),
        classes_(classes),
        blocks_(reads.num_blocks(reads.num_steps() - 1)),
        depths_(static_cast<double>(reads.step(0).size())) {
    const std::size_t cells = classes.count * kNumAges;
    outside_.assign(classes.count * kNumDepths, 0);
    tally_.could_leave.assign(cells, 0);
    tally_.left.assign(cells, 0);
    tally_.could_enter.assign(outside_.size(), 0);
    tally_.entered.assign(outside_.size(), 0);
    tally_.cold_could_enter.assign(kNumAges, 0);
    tally_.cold_entered.assign(kNumAges, 0);
    tally_.entered_by_age.assign(kNumAges, 0);
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
    std::size_t depth = 0;  ///< class; of an outside block
    bool is_member = false;
    bool ever_read = false;
  };

  void step(std::uint32_t t, std::span<const BlockId> before, std::span<const BlockId> now) {
    const std::uint32_t num_blocks = reads_.num_blocks(t);
    const std::uint32_t num_cold = num_blocks - std::min(num_blocks, num_ever_read_);
    depths_.advance(
        t, [this](std::uint32_t b, std::uint32_t since) { return blocks_[b].since == since && !blocks_[b].is_member; },
        [this](std::uint32_t b, std::size_t depth) {
          Block& block = blocks_[b];
          --outside_[block.cls * kNumDepths + block.depth];
          block.depth = depth;
          ++outside_[block.cls * kNumDepths + block.depth];
        });
    for (std::size_t i = 0; i < outside_.size(); ++i) {
      tally_.could_enter[i] += outside_[i];
    }
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
        ++tally_.entered[block.cls * kNumDepths + block.depth];
        ++tally_.entered_by_age[age_class(t - block.since)];
      } else {
        ++tally_.cold_entered[age_class(t)];
      }
    }
    if (block.ever_read) {
      block.frequency *= std::pow(classes_.decay, t - block.since - 1);
      --outside_[block.cls * kNumDepths + block.depth];
      depths_.enter(block.since);
    } else {
      ++num_ever_read_;
      depths_.enter_cold();
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
    block.depth = 0;
    ++outside_[block.cls * kNumDepths];
    depths_.leave(b, block.since);
  }

  [[nodiscard]] std::size_t class_of(double frequency) const {
    return static_cast<std::size_t>(std::count_if(classes_.bounds.begin(), classes_.bounds.end(),
                                                  [&](double bound) { return frequency >= bound; }));
  }

  const LayerReads& reads_;
  const PinnedParts& pinned_;
  const Classes& classes_;
  std::vector<Block> blocks_;
  DepthClasses depths_;
  std::vector<std::uint32_t> outside_;  ///< blocks by [class * kNumDepths + class of depth]
  std::uint32_t num_ever_read_ = 0;
  Tally tally_;
};

double sum_over_classes(const std::vector<double>& counts, std::size_t age, std::size_t num_ages) {
  double sum = 0;
  for (std::size_t i = age; i < counts.size(); i += num_ages) {
    sum += counts[i];
  }
  return sum;
}

/// Chances of events by class and age (or depth), where there is little to go by those of all classes, and of the age
/// before.
std::vector<double> hazards(const std::vector<double>& events, const std::vector<double>& chances,
                            std::size_t num_ages) {
  constexpr double kTrust = 20;  // chances that weigh as much as what is known otherwise
  std::vector<double> hazards(events.size());
  double of_all = 0.5;
  for (std::size_t i = 0; i < num_ages; ++i) {
    of_all =
        (sum_over_classes(events, i, num_ages) + kTrust * of_all) / (sum_over_classes(chances, i, num_ages) + kTrust);
    for (std::size_t j = i; j < events.size(); j += num_ages) {
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

/// The last capacity of the LRU curve that is not above the depths of a class.
std::size_t lru_segment(std::size_t depth_class) {
  std::size_t j = 0;
  while (j + 1 < kNumLruMultiples && kLruMultiples[j + 1] <= least_multiple(depth_class)) {
    ++j;
  }
  return j;
}

double mean_of(const std::vector<float>& values) {
  return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
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
  model.churn.series = counted.changed;
  model.weights.by_depth = true;
  model.weights.by_age.assign(kNumAges, 1);
  model.weights.leave = hazards(counted.left, counted.could_leave, kNumAges);
  model.weights.enter = hazards(counted.entered, counted.could_enter, kNumDepths);
  for (std::size_t i = 0; i < model.weights.enter.size(); i += kNumDepths) {
    model.weights.enter[i] = 0;
  }
  model.weights.cold = hazards(counted.cold_entered, counted.cold_could_enter, kNumAges);
  return model;
}

double misfit(const Tally& wanted, const Tally& made, const LruCurve& lru, const LruCurve& made_lru) {
  constexpr double kOfAges = 0.2;  // which need not hold by layer
  double sum = 0;
  for (std::size_t j = 0; j < lru.size(); ++j) {
    sum += std::pow((made_lru[j] - lru[j]) / twin_tolerance(std::max(lru[j], 1 / wanted.reads), wanted.reads), 4);
  }
  for (std::size_t i = 0; i < kNumAges; ++i) {
    const double goal = std::max(wanted.entered_by_age[i], 1.0) / wanted.reads;
    sum += kOfAges * std::pow((made.entered_by_age[i] / wanted.reads - goal) / twin_tolerance(goal, wanted.reads), 2);
  }
  return sum;
}

void adjust(ProcessModel& model, const Tally& wanted, const Tally& made, const LruCurve& lru,
            const LruCurve& made_lru) {
  constexpr double kFew = 4;
  constexpr double kMostFactor = 2;
  constexpr double kFast = 0.6;  // exponents of what a factor is off by
  constexpr double kSlow = 0.4;
  const auto factor = [=](double goal, double got, double exponent) {
    return std::clamp(std::pow((goal + kFew) / (got + kFew), exponent), 1 / kMostFactor, kMostFactor);
  };
  // By chances, not by counts: a count is off wherever there were more or fewer blocks of that class and age.
  const auto expected = [](double events, double chances, double made_events, double made_chances) {
    return chances > 0 ? events / chances * made_chances : made_events;
  };
  for (std::size_t i = 0; i < model.weights.leave.size(); ++i) {
    model.weights.leave[i] *=
        factor(expected(wanted.left[i], wanted.could_leave[i], made.left[i], made.could_leave[i]), made.left[i], kFast);
  }
  // Of those that come in: the mix of classes at a depth; between the capacities of the LRU lists, how many they miss;
  // and how many of each age.
  for (std::size_t d = 1; d < kNumDepths; ++d) {
    double goal = 0;
    double got = 0;
    std::vector<double> by_class;
    for (std::size_t i = d; i < made.entered.size(); i += kNumDepths) {
      by_class.push_back(expected(wanted.entered[i], wanted.could_enter[i], made.entered[i], made.could_enter[i]));
      goal += by_class.back();
      got += made.entered[i];
    }
    const std::size_t j = lru_segment(d);
    const auto misses_between = [&](const LruCurve& curve) {
      return std::max(0.0, curve[j] - (j + 1 < curve.size() ? curve[j + 1] : 0)) * wanted.reads;
    };
    const double of_lists = factor(misses_between(lru), misses_between(made_lru), kFast);
    for (std::size_t cls = 0; cls < by_class.size(); ++cls) {
      const std::size_t i = cls * kNumDepths + d;
      const double share = goal > 0 ? got / goal : 1;
      model.weights.enter[i] *= of_lists * factor(by_class[cls] * share, made.entered[i], kFast);
    }
  }
  for (std::size_t i = 0; i < kNumAges; ++i) {
    double& by_age = model.weights.by_age[i];
    by_age = std::clamp(by_age * factor(wanted.entered_by_age[i], made.entered_by_age[i], kSlow), 0.05, 20.0);
    model.weights.cold[i] *= factor(wanted.cold_entered[i], made.cold_entered[i], kFast);
  }
}

}  // namespace kvplace::generate
