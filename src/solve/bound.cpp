#include "kvplace/solve/bound.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>

#include "kvplace/solve/exact.h"
#include "solve/prices/quantize.h"
#include "solve/search/price_ascent.h"
#include "solve/search/shared_gaps.h"
#include "solve/search/window_search.h"

namespace kvplace {
namespace {

using Clock = std::chrono::steady_clock;

/// What the searches for both claims need; the first makes it.
struct OwnGaps {
  std::optional<GapClasses> classes;
  WindowTables tables;
};

class BoundSearch {
 public:
  BoundSearch(const TraceReader& trace, const Instance& instance, const BoundOptions& options,
              const RunContext& context, const SharedGaps* shared, OwnGaps& own, BoundNumbers numbers)
      : trace_(trace),
        instance_(instance),
        options_(options),
        context_(context),
        shared_(shared),
        own_(own),
        numbers_(std::move(numbers)),
        begin_(Clock::now()),
        forms_(price_forms(instance)) {}

  Result<ProvenBound> run() {
    for (const Certificate& known : options_.known) {
      if (const std::string other = differences(known.numbers, numbers_); !other.empty()) {
        return bad_input("the certificate to start from speaks about another instance: " + other);
      }
    }
    if (!verifies_last()) {
      KVPLACE_TRY(consider(perfect_split()));
    }
    for (const Certificate& known : options_.known) {
      if (known.claim == options_.claim || options_.claim == Claim::kStep) {
        Certificate of_claim = known;
        of_claim.claim = options_.claim;  // what all schedules obey, those of a claim about fewer do
        KVPLACE_TRY(consider_certificate(std::move(of_claim)));
      }
    }
    searching_ = true;
    if (instance_.steps() > 0) {
      KVPLACE_TRY(search_windows());
    }
    if (verifies_last()) {
      KVPLACE_TRY(consider(most_valued_ ? *most_valued_ : perfect_split()));
    }
    if (instance_.steps() > 0) {
      KVPLACE_TRY(take_exact_prices());
    }
    best_->evaluations = evaluations_;
    best_->status = status_;
    best_->seconds = Seconds(elapsed());
    double priced_rows = static_cast<double>(best_->certificate.start_price);
    for (const std::uint64_t row : best_->certificate.row_prices) {
      priced_rows += static_cast<double>(row);
    }
    best_->capacity_price_s_per_byte = priced_rows / static_cast<double>(best_->certificate.ticks_per_second) /
                                       static_cast<double>(best_->certificate.unit_bytes);
    return std::move(*best_);
  }

 private:
  /// Of many searches each has one certificate, of the prices that the dual's value says are best. In exclusive mode
  /// only certificates tell.
  [[nodiscard]] bool verifies_last() const {
    return shared_ != nullptr && !options_.ascend && instance_.options().mode == Mode::kInclusive;
  }

  [[nodiscard]] double elapsed() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

  /// True if the search has to end; remembers why.
  bool out_of_time() {
    if (context_.stop_requested()) {
      status_ = SearchStatus::kInterrupted;
    } else if (elapsed() > options_.time_limit.value()) {
      status_ = SearchStatus::kTimeLimit;
    }
    return status_ != SearchStatus::kConverged;
  }

  /// The same prices in every step: the dearest at which a read costs the same on both sides.
  [[nodiscard]] DualPrices perfect_split() const {
    constexpr double kRounding = 1e-9;
    std::size_t chosen = 0;
    double dearest = -1;
    for (std::size_t f = 0; f < forms_.size(); ++f) {
      if (std::abs(forms_[f].miss) <= kRounding * forms_[f].near_read && forms_[f].near_read > dearest) {
        chosen = f;
        dearest = forms_[f].near_read;
      }
    }
    const StepGroups& groups = instance_.groups();
    DualPrices prices;
    prices.mixture.assign(groups.num_groups() * forms_.size(), 0);
    for (std::size_t group = 0; group < groups.num_groups(); ++group) {
      prices.mixture[group * forms_.size() + chosen] = 1;
    }
    prices.rows.assign(groups.num_steps(), 0);
    return prices;
  }

  Status search_windows() {
    const bool shares = shared_ != nullptr && shared_->fit(instance_);
    if (!shares && !own_.classes) {
      Result<GapClasses> built = build_gap_classes(trace_, instance_, [&] { return out_of_time(); }, context_);
      if (!built) {
        return status_ != SearchStatus::kConverged ? Status() : tl::unexpected(std::move(built).error());
      }
      own_.tables = make_window_tables(*built, instance_.groups());
      own_.classes = std::move(*built);
    }
    const GapClasses& classes = shares ? shared_->classes : *own_.classes;
    GapDual dual(instance_, classes, context_.threads, options_.claim);
    KVPLACE_TRY(try_windows(dual, classes, shares ? shared_->tables : own_.tables));
    return ascend_from_best(classes, dual);
  }

  Status try_windows(GapDual& dual, const GapClasses& classes, const WindowTables& tables) {
    const bool free_start = instance_.options().start == Start::kFree;
    const bool exclusive = instance_.options().mode == Mode::kExclusive;
    double most = 0;  // seconds
    if (verifies_last()) {
      most_valued_ = perfect_split();
      most = dual(*most_valued_);
    }
    const std::vector<std::size_t> forms = window_forms(dual);
    for (const std::size_t form : forms) {
      // Whole blocks count where misses are dearest.
      const auto scale_sets =
          form == forms.front() ? window_scales(dual, form) : std::vector<std::vector<double>>{std::vector<double>()};
      for (const std::vector<double>& scales : scale_sets) {
        for (const double row_price : row_prices(forms_[form])) {
          if (out_of_time()) {
            return {};
          }
          WindowPrices found = best_windows(dual, classes, free_start, {form, row_price, scales}, tables);
          if (exclusive) {
            // Classes do not know what leaving near costs: only the verifier tells these prices' worth.
            KVPLACE_TRY(consider(found.prices));
            continue;
          }
          const double value = dual(found.prices);
          if (value > most) {
            most = value;
            if (verifies_last()) {
              most_valued_ = std::move(found.prices);
            } else {
              KVPLACE_TRY(consider(found.prices));
            }
          } else {
            ++evaluations_;
          }
        }
      }
    }
    return {};
  }

  Status ascend_from_best(const GapClasses& classes, const GapDual& dual) {
    const std::uint64_t evaluations = worthwhile_ascents(trace_.totals().reads);
    if (!options_.ascend || evaluations == 0 || !instance_.uniform() || instance_.options().mode != Mode::kInclusive ||
        out_of_time()) {
      return {};
    }
    const auto stop = [&] { return out_of_time(); };
    Result<BlockPaths> paths = BlockPaths::make(trace_, instance_, stop, context_.threads);
    if (!paths) {
      return status_ != SearchStatus::kConverged ? Status() : tl::unexpected(std::move(paths).error());
    }
    const Ascended found =
        ascend(instance_, classes, dual, *paths, best_->certificate, evaluations, stop, context_.progress);
    evaluations_ += found.evaluations;
    return found.value_s > best_->verified.bound.value() ? consider(found.table) : Status();
  }

  /// What being near at a window's start may be worth: a miss; in exclusive mode also the way back to far.
  [[nodiscard]] std::vector<double> row_prices(const PriceForm& form) const {
    if (instance_.options().mode == Mode::kInclusive) {
      return {form.miss};
    }
    return {form.miss, form.miss + form.demote / 2, form.miss + form.demote};
  }

  Status take_exact_prices() {
    const std::uint64_t cells =
        std::uint64_t{instance_.steps()} * instance_.layers() * instance_.layers() * instance_.blocks_per_layer();
    if (cells > options_.most_exact_cells || out_of_time()) {
      return {};
    }
    ExactOptions exact;
    exact.most_variables = std::numeric_limits<std::size_t>::max();  // the cells are few enough
    exact.time_limit = Seconds(options_.time_limit.value() - elapsed());
    KVPLACE_ASSIGN(solution, solve_exact(trace_, instance_, exact, context_));
    if (!solution.lp_optimal) {
      (void)out_of_time();
      return {};
    }
    return consider({solution.channel_prices, solution.row_prices, solution.start_price});
  }

  Status consider(const DualPrices& prices) { return consider(shares_of(prices, forms_)); }

  Status consider(const ShareTable& table) {
    ++evaluations_;
    return consider_certificate(quantize(options_.claim, numbers_, trace_.meta().has_read_bytes, table));
  }

  /// Keeps what proves most.
  Status consider_certificate(Certificate certificate) {
    RunContext context = context_;
    context.interrupt = nullptr;  // without a value there would be nothing to return
    KVPLACE_ASSIGN(verified, verify(trace_, certificate, context));
    if (!best_ || verified.bound > best_->verified.bound) {
      best_.emplace();
      best_->certificate = std::move(certificate);
      best_->verified = std::move(verified);
      return searching_ && options_.on_better ? options_.on_better(best_->certificate) : Status();
    }
    return {};
  }

  const TraceReader& trace_;
  const Instance& instance_;
  const BoundOptions& options_;
  const RunContext& context_;
  const SharedGaps* shared_;
  OwnGaps& own_;
  BoundNumbers numbers_;
  Clock::time_point begin_;
  std::vector<PriceForm> forms_;
  std::optional<ProvenBound> best_;
  bool searching_ = false;                 // what is there to begin with is no checkpoint
  std::optional<DualPrices> most_valued_;  // not verified yet
  std::uint64_t evaluations_ = 0;
  SearchStatus status_ = SearchStatus::kConverged;
};

Result<ProvenBound> run_search(const TraceReader& trace, const Instance& instance, const BoundOptions& options,
                               const RunContext& context, const SharedGaps* shared, OwnGaps& own) {
  KVPLACE_ASSIGN(numbers, bound_numbers(instance, trace));
  if (numbers.start != instance.options().start) {
    const Instance relaxed = instance.with_start(numbers.start);
    return BoundSearch(trace, relaxed, options, context, shared, own, std::move(numbers)).run();
  }
  return BoundSearch(trace, instance, options, context, shared, own, std::move(numbers)).run();
}

}  // namespace

std::string to_text(SearchStatus status) {
  switch (status) {
    case SearchStatus::kConverged:
      return "converged";
    case SearchStatus::kTimeLimit:
      return "time_limit";
    case SearchStatus::kInterrupted:
      return "interrupted";
  }
  return "";
}

Result<ProvenBound> solve_bound(const TraceReader& trace, const Instance& instance, const BoundOptions& options,
                                const RunContext& context, const SharedGaps* shared) {
  OwnGaps own;
  return run_search(trace, instance, options, context, shared, own);
}

Result<ProvenBound> solve_bound(const TraceReader& trace, const Instance& instance, const BoundOptions& options,
                                const RunContext& context) {
  return solve_bound(trace, instance, options, context, nullptr);
}

Result<ProvenBounds> solve_bounds(const TraceReader& trace, const Instance& instance, const BoundOptions& options,
                                  const RunContext& context) {
  constexpr double kShareOfAny = 1.0 / 3;
  OwnGaps own;
  BoundOptions of_claim = options;
  of_claim.claim = Claim::kAny;
  of_claim.time_limit = options.time_limit * kShareOfAny;
  KVPLACE_ASSIGN(any, run_search(trace, instance, of_claim, context, nullptr, own));
  of_claim.claim = Claim::kStep;
  of_claim.time_limit = options.time_limit - any.seconds;
  of_claim.known.push_back(any.certificate);
  KVPLACE_ASSIGN(step, run_search(trace, instance, of_claim, context, nullptr, own));
  return ProvenBounds{std::move(any), std::move(step)};
}

}  // namespace kvplace
