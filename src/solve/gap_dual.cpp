#include "solve/gap_dual.h"

namespace kvplace {

GapDual::GapDual(const Instance& instance, const GapClasses& classes, const GapKernel& kernel, unsigned threads)
    : forms_(price_forms(instance)),
      groups_(instance),
      capacity_(static_cast<double>(instance.capacity().value())),
      overhead_(instance.step_time().overhead().value() * static_cast<double>(groups_.num_steps)),
      fixed_times_(groups_.num_groups() * forms_.size()),
      gaps_(classes, kernel, threads) {
  gap_prices_.occupied.resize(groups_.num_steps + 2);
  gap_prices_.miss.resize(groups_.num_steps);
  gap_prices_.active.resize(groups_.num_steps);
  for (std::size_t k = 0; k < groups_.num_steps; ++k) {
    for (std::size_t f = 0; f < forms_.size(); ++f) {
      const PriceForm& form = forms_[f];
      double time = form.floor + classes.facts.read_bytes[k] * form.near_read;
      for (std::size_t c = 0; c < kNumChannels; ++c) {
        time += form.share[c] * classes.facts.fixed_bytes[k][c] /
                instance.step_time().bandwidth(static_cast<Channel>(c)).value();
      }
      fixed_times_[groups_.group_of(k) * forms_.size() + f] += time;
    }
  }
}

double GapDual::operator()(const DualPrices& prices) {
  double value = overhead_;
  double priced_rows = prices.start;
  gap_prices_.occupied[1] = prices.start;
  for (std::size_t k = 0; k < groups_.num_steps; ++k) {
    const double* const mixture = prices.mixture.data() + groups_.group_of(k) * forms_.size();
    double miss = 0;
    double active = 0;
    for (std::size_t f = 0; f < forms_.size(); ++f) {
      miss += mixture[f] * forms_[f].miss;
      active += mixture[f] * forms_[f].active;
    }
    gap_prices_.miss[k] = miss;
    gap_prices_.active[k] = active;
    gap_prices_.occupied[k + 2] = gap_prices_.occupied[k + 1] + prices.rows[k];
    priced_rows += prices.rows[k];
  }
  for (std::size_t i = 0; i < fixed_times_.size(); ++i) {
    value += prices.mixture[i] * fixed_times_[i];
  }
  return value - capacity_ * priced_rows + gaps_(gap_prices_);
}

}  // namespace kvplace
