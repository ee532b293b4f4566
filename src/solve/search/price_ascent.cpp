#include "solve/search/price_ascent.h"

#include <algorithm>
#include <cmath>

namespace kvplace {
namespace {

constexpr std::uint64_t kEvaluations = 300;
constexpr std::uint64_t kFewest = 100;
constexpr std::uint64_t kMostReads = 400'000'000;  ///< in all evaluations

constexpr double kWorthwhile = 1 + 1e-4;
constexpr std::uint64_t kPatience = 2;  ///< this part of them has to prove more, or they end

/// Steps at the beginning: of entries in a block's near read, of misses and rows in its far read.
constexpr double kEnterStep = 0.01;
constexpr double kMissStep = 0.003;
constexpr double kRowStep = 0.001;
constexpr double kSmoothing = 0.9;  ///< of directions and of their size
constexpr double kFewBlocks = 3;    ///< directions are scaled by their size and so much
constexpr double kLastStep = 0.005;

/// Moves prices by smoothed slopes, each scaled by its usual size.
class Mover {
 public:
  explicit Mover(std::size_t count) : direction_(count), square_(count) {}

  /// `slope_of`: by index.
  template <class SlopeOf>
  void move(std::vector<double>& prices, double step, const SlopeOf& slope_of) {
    left_ *= kSmoothing;
    for (std::size_t i = 0; i < prices.size(); ++i) {
      const double slope = slope_of(i);
      direction_[i] = kSmoothing * direction_[i] + (1 - kSmoothing) * slope;
      square_[i] = kSmoothing * square_[i] + (1 - kSmoothing) * slope * slope;
      prices[i] += step * (direction_[i] / (1 - left_)) / (std::sqrt(square_[i] / (1 - left_)) + kFewBlocks);
    }
  }

 private:
  std::vector<double> direction_;
  std::vector<double> square_;
  double left_ = 1;  ///< of the zeros at the beginning
};

class Ascent {
 public:
  Ascent(const Instance& instance, const GapClasses& classes, const GapDual& dual, BlockPaths& paths,
         const Certificate& start)
      : instance_(instance),
        dual_(dual),
        paths_(paths),
        groups_(dual.groups()),
        free_start_(instance.options().start == Start::kFree),
        split_(instance.options().mirrored_reads == MirroredReads::kSplit),
        full_(instance.options().overlap == Overlap::kFull),
        block_bytes_(static_cast<double>(instance.mean_kv_block_bytes().value())),
        overhead_(instance.step_time().overhead().value() * static_cast<double>(groups_.num_steps())),
        capacity_blocks_(std::floor(dual.capacity_bytes() / block_bytes_)),
        fixed_(groups_.num_groups()),
        enter_(groups_.num_groups()),
        miss_(groups_.num_groups()),
        over_link_(groups_.num_groups()),
        entered_(groups_.num_groups()) {
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      const double rate = instance.step_time().bandwidth(static_cast<Channel>(c)).value();
      whole_[c] = block_bytes_ * instance.options().batch / rate;
      for (std::uint32_t k = 0; k < groups_.num_steps(); ++k) {
        fixed_[group_of(k)][c] += all_fixed_bytes(instance, classes.facts, k, c) / rate;
      }
    }
    far_ = std::max(whole_[at(Channel::kFarLinkRead)], whole_[at(Channel::kFarMem)]);
    begin_at(start);
  }

  Ascended run(std::uint64_t evaluations, const std::function<bool()>& stop, Progress* progress) {
    Mover enter(enter_.size());
    Mover miss(miss_.size());
    Mover rows(path_prices_.rows.size());
    const double start = evaluate(true);
    Ascended found{table(), start, 1};
    if (progress != nullptr) {
      progress->start("ascending from windows", evaluations, "prices");
    }
    for (std::uint64_t i = 0; i < evaluations && !stop(); ++i) {
      if (i == evaluations / kPatience && found.value_s <= kWorthwhile * start) {
        break;
      }
      const double done = static_cast<double>(i) / static_cast<double>(evaluations);
      // The credit alone is the smoother guide at first: where a mixture of forms is worth more, its slopes lead back.
      const double value = evaluate(done >= 0.5);
      ++found.evaluations;
      if (progress != nullptr) {
        progress->update(i + 1);
      }
      if (value > found.value_s) {
        found.table = table();
        found.value_s = value;
      }
      const double step = std::max(kLastStep, (1 - done) * std::sqrt(1 - done));
      enter.move(enter_, step * kEnterStep * whole_[at(Channel::kNearMem)],
                 [&](std::size_t group) { return entered_[group]; });
      miss.move(miss_, step * kMissStep * far_, [&](std::size_t group) { return over_link_[group]; });
      rows.move(path_prices_.rows, step * kRowStep * far_, [&](std::size_t row) {
        return row == 0 && !free_start_ ? 0 : static_cast<double>(loads_.near[row]) - capacity_blocks_;
      });
      make_valid();
    }
    if (progress != nullptr) {
      progress->finish();
    }
    return found;
  }

 private:
  [[nodiscard]] std::size_t group_of(std::uint32_t k) const { return groups_.group_of(FlatStep(k)).value(); }

  void begin_at(const Certificate& start) {
    const double seconds =
        block_bytes_ / static_cast<double>(start.unit_bytes) / static_cast<double>(start.ticks_per_second);
    for (std::size_t group = 0; group < enter_.size(); ++group) {
      const auto& ticks = start.channel_prices[group];
      enter_[group] = seconds * static_cast<double>(ticks[at(Channel::kNearMem)]);
      const double far = seconds * static_cast<double>(ticks[at(Channel::kFarLinkRead)] + ticks[at(Channel::kFarMem)]);
      miss_[group] = far - enter_[group];
    }
    path_prices_.rows.push_back(seconds * static_cast<double>(start.start_price));
    for (const std::uint64_t row : start.row_prices) {
      path_prices_.rows.push_back(seconds * static_cast<double>(row));
    }
    path_prices_.enter.resize(groups_.num_steps());
    path_prices_.miss.resize(groups_.num_steps());
    make_valid();
  }

  /// The nearest prices that a group's time is worth, or nearly the nearest.
  void make_valid() {
    const double near = whole_[at(Channel::kNearMem)];
    const double most = full_ ? 1 + instance_.step_time().interference() : 2;
    const double of_enter = 1 / near + 1 / far_;
    const double of_miss = 1 / far_;
    for (std::size_t group = 0; group < enter_.size(); ++group) {
      double& enter = enter_[group];
      double& miss = miss_[group];
      const auto clamp = [&] {
        enter = std::clamp(enter, 0.0, split_ ? std::min(near, far_) : near);
        miss = std::clamp(miss, split_ ? 0 : -enter, far_ - enter);
      };
      clamp();
      const double excess = enter * of_enter + miss * of_miss - most;
      if (excess > 0) {
        const double back = excess / (of_enter * of_enter + of_miss * of_miss);
        enter -= back * of_enter;
        miss -= back * of_miss;
        clamp();
        enter = std::min(enter, (most - miss * of_miss) / of_enter);
        clamp();
      }
    }
    for (double& row : path_prices_.rows) {
      row = std::max(0.0, row);
    }
  }

  /// Channel shares that make these prices: on far memory, which new KV loads anyway, as far as they may be.
  [[nodiscard]] std::array<double, kNumChannels> shares(double enter, double miss) const {
    const double link = whole_[at(Channel::kFarLinkRead)];
    const double memory = whole_[at(Channel::kFarMem)];
    const double far = std::max(0.0, enter + miss);
    std::array<double, kNumChannels> share{};
    share[at(Channel::kNearMem)] = enter / whole_[at(Channel::kNearMem)];
    const double room =
        full_ ? std::min(1.0, 1 + instance_.step_time().interference() - share[at(Channel::kNearMem)]) : 1;
    share[at(Channel::kFarMem)] = std::min(room, far / memory);
    if (far > room * memory && link > memory) {
      share[at(Channel::kFarLinkRead)] = std::min(room, (far - room * memory) / (link - memory));
      share[at(Channel::kFarMem)] = room - share[at(Channel::kFarLinkRead)];
    }
    return share;
  }

  /// A group's worth by its prices alone.
  [[nodiscard]] double priced(std::size_t group, double enter, double miss) const {
    const std::array<double, kNumChannels> share = shares(enter, miss);
    double time = dual_.read_bytes(group) / block_bytes_ * (split_ ? std::min(enter, enter + miss) : enter);
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      time += share[c] * fixed_[group][c];
    }
    return time;
  }

  /// The dual's value, and in over_link_ and entered_ its slopes. The mixtures' worth counts if told so.
  double evaluate(bool with_mixtures) {
    for (std::uint32_t k = 0; k < groups_.num_steps(); ++k) {
      path_prices_.enter[k] = enter_[group_of(k)];
      path_prices_.miss[k] = miss_[group_of(k)];
    }
    double value = overhead_ + paths_(path_prices_, loads_);
    std::fill(over_link_.begin(), over_link_.end(), 0);
    std::fill(entered_.begin(), entered_.end(), 0);
    for (std::uint32_t k = 0; k < groups_.num_steps(); ++k) {
      over_link_[group_of(k)] += static_cast<double>(loads_.over_link[k]);
      entered_[group_of(k)] += static_cast<double>(loads_.entered[k]);
    }
    for (std::size_t group = 0; group < enter_.size(); ++group) {
      const double enter = enter_[group];
      const double miss = miss_[group];
      GapDual::Credit worth{-1, 0, 0};
      if (dual_.credits()) {
        worth = dual_.credit(group, enter / block_bytes_, (enter + miss) / block_bytes_);
      }
      const bool mixes = with_mixtures || !dual_.credits();
      if (const double mixed = mixes ? priced(group, enter, miss) : 0; mixed > worth.time) {
        const double little = 1e-6 * whole_[at(Channel::kNearMem)];
        worth.time = mixed;
        worth.entered = enter > little ? (priced(group, enter - little, miss) - mixed) / little : 0;
        worth.over_link = miss > little ? (priced(group, enter, miss - little) - mixed) / little : 0;
      }
      value += worth.time;
      entered_[group] -= worth.entered;
      over_link_[group] -= worth.over_link;
    }
    for (const double row : path_prices_.rows) {
      value -= capacity_blocks_ * row;
    }
    return value;
  }

  [[nodiscard]] ShareTable table() const {
    ShareTable found;
    for (std::size_t group = 0; group < enter_.size(); ++group) {
      found.shares.push_back(shares(enter_[group], miss_[group]));
    }
    for (const double row : path_prices_.rows) {
      found.rows.push_back(row / block_bytes_);
    }
    found.start = found.rows.front();
    found.rows.erase(found.rows.begin());
    return found;
  }

  const Instance& instance_;
  const GapDual& dual_;
  BlockPaths& paths_;
  const StepGroups& groups_;
  bool free_start_;
  bool split_;
  bool full_;
  double block_bytes_;
  double overhead_;
  double capacity_blocks_;
  std::array<double, kNumChannels> whole_{};             ///< a block's time on each channel
  double far_ = 0;                                       ///< the dearest that a block's far read may be
  std::vector<std::array<double, kNumChannels>> fixed_;  ///< [group]: time of what no decision changes
  std::vector<double> enter_;                            ///< [group]: price of a block's write to near memory
  std::vector<double> miss_;                             ///< [group]: of its far read beyond its near read
  PathPrices path_prices_;
  PathLoads loads_;
  std::vector<double> over_link_;  ///< [group]: what the paths load beyond what the group's worth takes off
  std::vector<double> entered_;
};

}  // namespace

std::uint64_t worthwhile_ascents(std::uint64_t reads) {
  const std::uint64_t evaluations = std::min(kEvaluations, kMostReads / std::max<std::uint64_t>(1, reads));
  return evaluations < kFewest ? 0 : evaluations;
}

Ascended ascend(const Instance& instance, const GapClasses& classes, const GapDual& dual, BlockPaths& paths,
                const Certificate& start, std::uint64_t evaluations, const std::function<bool()>& stop,
                Progress* progress) {
  return Ascent(instance, classes, dual, paths, start).run(evaluations, stop, progress);
}

}  // namespace kvplace
