#include "solve/gaps/gap_dual.h"

#include <algorithm>
#include <cmath>

namespace kvplace {
namespace {

/// The verifier's forms load two channels at most.
constexpr std::ptrdiff_t kFewestFreeChannels = kNumChannels - 2;

}  // namespace

GapDual::GapDual(const Instance& instance, const GapClasses& classes, unsigned threads, Claim claim)
    : forms_(price_forms(instance)),
      groups_(instance.groups()),
      split_(instance.options().mirrored_reads == MirroredReads::kSplit),
      credits_(claim == Claim::kStep && instance.options().mode == Mode::kInclusive),
      capacity_(static_cast<double>(instance.capacity().value())),
      overhead_(instance.step_time().overhead().value() * static_cast<double>(groups_.num_steps())),
      block_bytes_(static_cast<double>(instance.common_block_bytes().value())),
      fixed_times_(groups_.num_groups() * forms_.size()),
      read_bytes_(groups_.num_groups()),
      whole_(groups_.num_groups(), 1),
      gaps_(classes, threads) {
  for (std::size_t f = 0; f < forms_.size(); ++f) {
    if (std::count(forms_[f].share.begin(), forms_[f].share.end(), 0.0) >= kFewestFreeChannels) {
      credited_.push_back(f);
    }
  }
  const double largest = static_cast<double>(instance.block_sizes().back().value());
  most_blocks_ = std::round(largest / block_bytes_) * static_cast<double>(instance.blocks_per_layer()) *
                 static_cast<double>(std::size_t{groups_.layers()} * groups_.layers_per_group());
  gap_prices_.occupied.resize(groups_.num_steps() + 2);
  gap_prices_.miss.resize(groups_.num_steps());
  gap_prices_.active.resize(groups_.num_steps());
  for (std::uint32_t k = 0; k < groups_.num_steps(); ++k) {
    const std::size_t group = groups_.group_of(FlatStep(k)).value();
    for (std::size_t f = 0; f < forms_.size(); ++f) {
      const PriceForm& form = forms_[f];
      double time = form.floor;
      for (std::size_t c = 0; c < kNumChannels; ++c) {
        time += form.share[c] * all_fixed_bytes(instance, classes.facts, k, c) /
                instance.step_time().bandwidth(static_cast<Channel>(c)).value();
      }
      fixed_times_[group * forms_.size() + f] += time;
    }
    read_bytes_[group] += classes.facts.read_bytes[k];
    whole_[group] = whole_[group] != 0 && classes.facts.whole_reads[k] != 0;
  }
}

GapDual::Mixed GapDual::mixed(std::size_t group, std::span<const double> mixture) const {
  Mixed sum;
  for (std::size_t f = 0; f < forms_.size(); ++f) {
    sum.fixed += mixture[f] * fixed_times_[group * forms_.size() + f];
    sum.near += mixture[f] * forms_[f].passive;
    sum.far_read += mixture[f] * (forms_[f].active - forms_[f].passive);
  }
  sum.near_read = split_ ? std::min(sum.near, sum.far_read) : sum.near;
  return sum;
}

GapDual::Lines GapDual::lines_beyond(std::size_t group, const Mixed& priced) const {
  Lines lines;
  lines.reserve(credited_.size());
  for (const std::size_t f : credited_) {
    const double near = forms_[f].passive - priced.near;
    const double active = forms_[f].active - priced.near - priced.far_read;
    const double missed = forms_[f].miss - (priced.far_read - priced.near_read) + std::min(0.0, near);
    const double entries = active < missed ? 2 : (near < 0 ? 1 : 0);
    lines.push_back({fixed_time(group, f), std::min(missed, active), entries});
  }
  return lines;
}

GapDual::Credit GapDual::highest(const Lines& lines, double blocks) const {
  Credit most{0, blocks, 0};
  for (const Line& line : lines) {
    const double time = line.at_none + blocks * block_bytes_ * line.per_byte;
    if (time > most.time) {
      most = {time, blocks, blocks * line.entries};
    }
  }
  return most;
}

double GapDual::least_blocks(const Lines& lines) const {
  const auto is_enough = [&](double blocks) {  // convex
    return highest(lines, blocks).time <= highest(lines, blocks + 1).time;
  };
  double low = 0;
  double high = 1;
  while (high < most_blocks_ && !is_enough(high)) {  // mostly few
    high *= 2;
  }
  high = std::min(high, most_blocks_);
  while (low < high) {
    const double middle = std::floor((low + high) / 2);
    if (is_enough(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

GapDual::Credit GapDual::credit(std::size_t group, double near, double far_read) const {
  const Lines lines = lines_beyond(group, {0, near, far_read, split_ ? std::min(near, far_read) : near});
  return highest(lines, least_blocks(lines));
}

double GapDual::worth(std::size_t group, std::span<const double> mixture) const {
  const Mixed priced = mixed(group, mixture);
  const double at_none = priced.fixed + read_bytes_[group] * priced.near_read;
  if (!credits_ || whole_[group] == 0) {
    return at_none;
  }
  const Lines lines = lines_beyond(group, priced);
  return std::max(at_none, highest(lines, least_blocks(lines)).time);
}

void GapDual::add_scales(std::size_t group, std::size_t form, std::vector<double>& scales) const {
  if (!credits_ || whole_[group] == 0) {
    return;
  }
  constexpr double kRounding = 1e-6;
  constexpr int kMostMisses = 1000;
  const double miss = forms_[form].miss * block_bytes_;
  const Lines lines = lines_beyond(group, {});
  double before = highest(lines, 0).time;
  for (int misses = 1; misses <= kMostMisses; ++misses) {
    const double now = highest(lines, misses).time;
    const double scale = (now - before) / miss;
    if (scale > 1 - kRounding) {
      return;
    }
    if (scale > kRounding) {
      scales.push_back(scale);
    }
    before = now;
  }
}

double GapDual::operator()(const DualPrices& prices) {
  double value = overhead_;
  double priced_rows = prices.start;
  gap_prices_.occupied[1] = prices.start;
  const std::span<const double> mixtures(prices.mixture);
  for (std::size_t group = 0; group < groups_.num_groups(); ++group) {
    const std::span<const double> mixture = mixtures.subspan(group * forms_.size(), forms_.size());
    const Mixed priced = mixed(group, mixture);
    value += worth(group, mixture);
    const std::size_t layers = groups_.layers_per_group();
    for (std::size_t k = group * layers; k < (group + 1) * layers; ++k) {
      gap_prices_.miss[k] = priced.far_read - priced.near_read;
      gap_prices_.active[k] = priced.far_read + priced.near;
      gap_prices_.occupied[k + 2] = gap_prices_.occupied[k + 1] + prices.rows[k];
      priced_rows += prices.rows[k];
    }
  }
  return value - capacity_ * priced_rows + gaps_(gap_prices_);
}

}  // namespace kvplace
