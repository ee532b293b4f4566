#include "solve/search/window_search.h"

#include <algorithm>
#include <cmath>

namespace kvplace {

/// Bytes read by age: how many of them in blocks whose gap is at least so long.
class BytesByAge {
 public:
  /// `places`: steps, or decode steps with all layers together (`per_token`). Ages run to `oldest`, and what is older.
  BytesByAge(const GapClasses& classes, bool per_token, std::uint32_t oldest)
      : places_(per_token ? classes.steps : std::size_t{classes.steps} * classes.layers),
        oldest_(oldest),
        bytes_((std::size_t{oldest} + 1) * places_) {
    for (std::uint32_t layer = 0; layer < classes.layers; ++layer) {
      const LayerGaps& gaps = classes.by_layer[layer];
      const auto add = [&](std::uint32_t step, std::uint32_t age, float bytes) {
        const std::size_t place = per_token ? step : std::size_t{step} * classes.layers + layer;
        bytes_[std::min(age, oldest) * places_ + place] += bytes;
      };
      for (const DenseGaps& dense : gaps.dense) {
        for (std::uint32_t begin = 0; begin + dense.length < classes.steps; ++begin) {
          add(begin + dense.length, dense.length, dense.bytes[begin]);
        }
      }
      for (const SparseGaps& sparse : gaps.sparse) {
        for (std::size_t i = sparse.first; i < sparse.first + sparse.count; ++i) {
          add(gaps.begin[i] + sparse.length, sparse.length, gaps.bytes[i]);
        }
      }
      for (std::uint32_t step = 0; step < classes.steps; ++step) {
        add(step, step + 1, gaps.start_near[step] + gaps.start_far[step] + gaps.start_free[step]);
      }
    }
    for (std::size_t i = bytes_.size() - places_; i-- > 0;) {
      bytes_[i] += bytes_[i + places_];
    }
  }

  [[nodiscard]] std::uint32_t oldest() const { return oldest_; }
  /// REQUIRES: age <= oldest().
  [[nodiscard]] const float* at_least(std::uint32_t age) const { return bytes_.data() + age * places_; }

 private:
  std::size_t places_;
  std::uint32_t oldest_;
  std::vector<float> bytes_;  // [age][place]
};

namespace {

constexpr double kFreeMiss = 1e-6;     // of the dearest miss: rounding
constexpr double kWorthTrying = 0.25;  // of the dearest miss
/// Windows begin and end anywhere if they are not longer than keeps a table of bytes by step and age below so many
/// entries ...
constexpr std::size_t kFineTable = std::size_t{16} << 20;
/// ... and with a decode step if that holds for a table by decode step.
constexpr std::size_t kCoarseTable = std::size_t{48} << 20;

/// Scales that stand for all steps' are not more, and not nearer to each other.
constexpr std::size_t kMostScales = 4;
constexpr double kScaleDistance = 0.01;

constexpr std::size_t kNoWindow = SIZE_MAX;

/// Windows that have begun and may go on, by their begin; what each adds so far, with the best windows before it.
///
/// A younger window counts no less of what is read in it than an older one: once it is worth more, it stays so, and the
/// older one is left.
class OpenWindows {
 public:
  /// `places`: of a decode step, in which windows may begin.
  explicit OpenWindows(std::size_t places) : places_(places) {}

  void open(std::size_t begin, double gain) {
    const std::size_t step = begin / places_;
    if (steps_.empty() || steps_.back().step != step) {
      steps_.push_back({step, gain_.size(), 0});
    }
    gain_.push_back(gain);
    begin_.push_back(begin);
  }

  /// All windows go on over a place and may end behind it: `reach` is told the most that those of a step are worth.
  template <class Reach>
  void extend(std::size_t place, const BytesByAge& bytes, double allowance, const Reach& reach) {
    const std::size_t step = place / places_;
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      // Older than the window: of layers before its first one if the gap began in an earlier or the same decode step.
      OfStep& of_step = steps_[s];
      const std::size_t end = s + 1 < steps_.size() ? steps_[s + 1].first : gain_.size();
      const auto age = static_cast<std::uint32_t>(step - of_step.step);
      while (of_step.first + of_step.passed < end &&
             begin_[of_step.first + of_step.passed] - of_step.step * places_ <= place - step * places_) {
        ++of_step.passed;
      }
      const std::size_t middle = of_step.first + of_step.passed;
      const std::size_t best = std::max(extend(of_step.first, middle, bytes.at_least(age + 1)[place] - allowance),
                                        extend(middle, end, bytes.at_least(age)[place] - allowance),
                                        [this](std::size_t a, std::size_t b) { return worth(a) < worth(b); });
      if (best != kNoWindow) {
        reach(gain_[best], begin_[best]);
      }
    }
  }

  /// Leaves those that are beaten, or too long for the table of bytes.
  void end_step(std::size_t next_step, std::uint32_t oldest) {
    double most = -INFINITY;
    std::vector<std::uint8_t> kept(gain_.size(), 0);
    for (std::size_t i = gain_.size(); i-- > 0;) {
      if (gain_[i] >= most) {
        most = gain_[i];
        kept[i] = next_step - begin_[i] / places_ < oldest;
      }
    }
    std::size_t count = 0;
    std::vector<OfStep> steps;
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      const std::size_t end = s + 1 < steps_.size() ? steps_[s + 1].first : gain_.size();
      const std::size_t first = count;
      for (std::size_t i = steps_[s].first; i < end; ++i) {
        if (kept[i] != 0) {
          gain_[count] = gain_[i];
          begin_[count++] = begin_[i];
        }
      }
      if (count > first) {
        steps.push_back({steps_[s].step, first, 0});
      }
    }
    gain_.resize(count);
    begin_.resize(count);
    steps_ = std::move(steps);
  }

 private:
  struct OfStep {
    std::size_t step;
    std::size_t first;   // of its windows
    std::size_t passed;  // windows that began in layers up to the place's
  };

  [[nodiscard]] double worth(std::size_t window) const { return window == kNoWindow ? -INFINITY : gain_[window]; }

  /// The first of those that are worth most.
  std::size_t extend(std::size_t first, std::size_t end, double bytes) {
    std::size_t best = kNoWindow;
    double most = -INFINITY;
    for (std::size_t i = first; i < end; ++i) {
      gain_[i] += bytes;
      if (gain_[i] > most) {
        most = gain_[i];
        best = i;
      }
    }
    return best;
  }

  std::size_t places_;
  std::vector<double> gain_;
  std::vector<std::size_t> begin_;
  std::vector<OfStep> steps_;
};

class WindowPath {
 public:
  WindowPath(const GapDual& dual, const GapClasses& classes, bool free_start, const WindowKind& kind)
      : dual_(dual),
        classes_(classes),
        free_start_(free_start),
        form_(kind.form),
        price_(kind.row_price),
        per_token_(dual.groups().layers_per_group() > 1),
        layers_(dual.groups().layers()),
        num_places_(dual.groups().num_groups()),
        scales_(kind.scales) {
    find_outside();
  }

  WindowPrices run(const WindowTables& tables) {
    WindowPrices found;
    found.prices.rows.assign(dual_.groups().num_steps(), 0);
    allowance_.assign(num_places_, 0);
    level_.assign(num_places_, 0);
    scales_.push_back(1);
    double low = 0;
    std::vector<double> worth_at_low(num_places_);
    for (std::size_t place = 0; place < num_places_; ++place) {
      worth_at_low[place] = worth(place, low);
    }
    for (const double high : scales_) {
      for (std::size_t place = 0; place < num_places_; ++place) {
        const double at_high = worth(place, high);
        allowance_[place] = (worth_at_low[place] - at_high) / ((high - low) * price_);
        worth_at_low[place] = at_high;
      }
      find(*tables.fine, *tables.coarse);
      take(found, high - low);
      low = high;
    }
    for (std::size_t place = 0; place < num_places_; ++place) {
      const std::vector<double>& mixture = mixture_of(place, level_[place]);
      found.prices.mixture.insert(found.prices.mixture.end(), mixture.begin(), mixture.end());
    }
    return found;
  }

 private:
  /// A step's forms where misses have so much of their price.
  const std::vector<double>& mixture_of(std::size_t place, double level) {
    mixture_.assign(dual_.forms().size(), 0);
    mixture_[level > 0 ? form_ : outside_[place]] = level > 0 ? level : 1;
    return mixture_;
  }

  /// What a step is worth then, but for its misses; outside windows all reads are taken to miss if that saves time.
  double worth(std::size_t place, double level) {
    const double saved = level > 0 ? 0 : dual_.read_bytes(place) * std::min(0.0, dual_.forms()[outside_[place]].miss);
    return dual_.worth(place, mixture_of(place, level)) + saved;
  }

  /// The best windows for the allowances at hand.
  void find(const BytesByAge& fine, const BytesByAge& coarse) {
    const std::uint32_t steps = classes_.steps;
    best_.assign(num_places_ + 1, 0);
    from_.assign(num_places_ + 1, kNoWindow);
    std::vector<double> far_at_start(num_places_);
    for (std::size_t place = 0; place < num_places_; ++place) {
      if (per_token_) {
        for (const LayerGaps& gaps : classes_.by_layer) {
          far_at_start[place] += gaps.start_far[place];
        }
      } else {
        far_at_start[place] = classes_.by_layer[place % layers_].start_far[place / layers_];
      }
    }
    std::vector<double> allowance_by_step(steps);
    for (std::size_t place = 0; place < num_places_; ++place) {
      allowance_by_step[per_token_ ? place : place / layers_] += allowance_[place];
    }
    if (!free_start_) {
      extend_given_start(far_at_start);
    }
    // Every window takes its way over the places beside all others.
    OpenWindows fine_windows(layers_);
    OpenWindows coarse_windows(1);
    const std::size_t places_of_step = per_token_ ? 1 : layers_;
    for (std::size_t place = 0; place < num_places_; ++place) {
      if (place > 0 && best_[place - 1] > best_[place]) {
        best_[place] = best_[place - 1];
        from_[place] = kNoWindow;
      }
      const std::size_t step = place / places_of_step;
      if (place > 0 || free_start_) {
        const double gain = best_[place] - dual_.capacity_bytes();
        if (!per_token_) {
          fine_windows.open(place, gain);
        }
        if (place % places_of_step == 0) {
          coarse_windows.open(step, gain);
        }
      }
      const auto reach_end = [&](double gain, std::size_t begin) { reach(place + 1, gain, begin); };
      if (!per_token_) {
        fine_windows.extend(place, fine, allowance_[place], reach_end);
      }
      if ((place + 1) % places_of_step == 0) {
        coarse_windows.extend(step, coarse, allowance_by_step[step],
                              [&](double gain, std::size_t begin) { reach_end(gain, begin * places_of_step); });
        fine_windows.end_step(step + 1, fine.oldest());
        coarse_windows.end_step(step + 1, coarse.oldest());
      }
    }
  }

  /// The form outside windows: the slowest in which misses are free or even save near time, in each group.
  void find_outside() {
    outside_.assign(num_places_, form_);
    double dearest = 0;
    for (const PriceForm& form : dual_.forms()) {
      dearest = std::max(dearest, form.miss);
    }
    for (std::size_t place = 0; place < num_places_; ++place) {
      double slowest = -1;
      for (std::size_t f = 0; f < dual_.forms().size(); ++f) {
        const double miss = dual_.forms()[f].miss;
        const double time = dual_.fixed_time(place, f) + dual_.read_bytes(place) * std::min(0.0, miss);
        if (miss <= kFreeMiss * dearest && time > slowest) {
          slowest = time;
          outside_[place] = f;
        }
      }
    }
  }

  /// Of windows that are worth the same the one that begins first.
  void reach(std::size_t end, double gain, std::size_t begin) {
    const bool first_of_equals = gain == best_[end] && from_[end] != kNoWindow && begin < from_[end];
    if (gain > best_[end] || first_of_equals) {
      best_[end] = gain;
      from_[end] = begin;
    }
  }

  /// A given start has no row: what is far then and read in the first window is fetched in it.
  void extend_given_start(const std::vector<double>& far_at_start) {
    double gain = 0;
    for (std::size_t place = 0; place < num_places_; ++place) {
      gain += far_at_start[place] - allowance_[place];
      reach(place + 1, gain, 0);
    }
  }

  /// Adds the windows that find() found, with so much of the price.
  void take(WindowPrices& found, double scale) {
    found.gain_bytes += scale * (num_places_ > 0 ? std::max(best_[num_places_], best_[num_places_ - 1]) : 0);
    std::size_t end = num_places_;
    if (end > 0 && best_[end - 1] > best_[end]) {
      from_[end] = kNoWindow;
    }
    while (end > 0) {
      const std::size_t begin = from_[end];
      if (begin == kNoWindow) {
        --end;
        continue;
      }
      ++found.windows;
      if (begin > 0) {
        found.prices.rows[begin * dual_.groups().layers_per_group() - 1] += scale * price_;
      } else if (free_start_) {
        found.prices.start += scale * price_;
      }
      for (std::size_t place = begin; place < end; ++place) {
        level_[place] += scale;
      }
      end = begin;
    }
  }

  const GapDual& dual_;
  const GapClasses& classes_;
  bool free_start_;
  std::size_t form_;
  double price_;  // of a byte of a row
  bool per_token_;
  std::size_t layers_;
  std::size_t num_places_;  // groups: where windows may begin and end
  std::vector<double> scales_;
  std::vector<std::size_t> outside_;
  std::vector<double> level_;  // of each place: the shares of the price of the windows it is in
  std::vector<double> mixture_;
  std::vector<double> allowance_;  // bytes
  std::vector<double> best_;       // bytes that windows before each place add up to
  std::vector<std::size_t> from_;  // begin of the window that ends there in the best
};

}  // namespace

WindowTables make_window_tables(const GapClasses& classes, const StepGroups& groups) {
  const bool per_token = groups.layers_per_group() > 1;
  const auto oldest_in = [&](std::size_t table, std::size_t places) {
    return static_cast<std::uint32_t>(std::clamp<std::size_t>(table / places, 1, classes.steps));
  };
  const std::uint32_t oldest = per_token ? 1 : oldest_in(kFineTable, groups.num_groups());
  return {std::make_shared<const BytesByAge>(classes, per_token, oldest),
          std::make_shared<const BytesByAge>(classes, true, oldest_in(kCoarseTable, classes.steps))};
}

WindowPrices best_windows(const GapDual& dual, const GapClasses& classes, bool free_start, const WindowKind& kind,
                          const WindowTables& tables) {
  return WindowPath(dual, classes, free_start, kind).run(tables);
}

WindowPrices best_windows(const GapDual& dual, const GapClasses& classes, bool free_start, const WindowKind& kind) {
  return best_windows(dual, classes, free_start, kind, make_window_tables(classes, dual.groups()));
}

std::vector<std::size_t> window_forms(const GapDual& dual) {
  const std::vector<PriceForm>& forms = dual.forms();
  double dearest = 0;
  for (const PriceForm& form : forms) {
    dearest = std::max(dearest, form.miss);
  }
  std::vector<std::size_t> worth;
  for (std::size_t f = 0; f < forms.size(); ++f) {
    if (forms[f].miss > kWorthTrying * dearest) {
      worth.push_back(f);
    }
  }
  std::sort(worth.begin(), worth.end(), [&](std::size_t a, std::size_t b) { return forms[a].miss > forms[b].miss; });
  return worth;
}

std::vector<std::vector<double>> window_scales(const GapDual& dual, std::size_t form) {
  std::vector<double> all;
  for (std::size_t group = 0; group < dual.groups().num_groups(); ++group) {
    dual.add_scales(group, form, all);
  }
  std::sort(all.begin(), all.end());
  std::vector<std::vector<double>> found{{}};
  for (const std::size_t count : {std::size_t{1}, kMostScales}) {
    std::vector<double> scales;
    for (std::size_t i = 0; i < count && !all.empty(); ++i) {
      const double scale = all[(2 * i + 1) * all.size() / (2 * count)];
      if (scales.empty() || scale > scales.back() + kScaleDistance) {
        scales.push_back(scale);
      }
    }
    if (scales.size() == count || scales.size() > found.back().size()) {
      found.push_back(std::move(scales));
    }
  }
  return found;
}

}  // namespace kvplace
