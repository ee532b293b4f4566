// The search for a bound against the exact relaxation, schedules, brute force, and itself under other conditions.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <set>

#include "kvplace/bound/elementary.h"
#include "kvplace/simulate/compare.h"
#include "kvplace/solve/bound.h"
#include "kvplace/solve/exact.h"
#include "solve/prices/quantize.h"
#include "solve/search/window_search.h"
#include "support/paper_machine.h"
#include "support/random_instance.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

using testing::CaseLimits;
using testing::drawn;
using testing::RandomInstance;

constexpr double kRounding = 1e-9;

double bound_of(const TraceReader& trace, const Instance& instance, const BoundOptions& options = {}) {
  const Result<ProvenBounds> proven = solve_bounds(trace, instance, options, {});
  RC_LOG() << (proven ? std::string() : proven.error().message);
  RC_ASSERT(proven.has_value());
  RC_ASSERT(proven->any.certificate.claim == Claim::kAny && proven->any.verified.bound <= proven->step.verified.bound);
  return proven->step.verified.bound.value();
}

ExactSolution exactly(const TraceReader& trace, const Instance& instance) {
  ExactOptions options;
  options.milp = true;
  Result<ExactSolution> solution = solve_exact(trace, instance, options, {});
  RC_ASSERT(solution.has_value() && solution->lp_optimal && solution->milp);
  return std::move(*solution);
}

RC_GTEST_PROP(BoundProperties, IsBetweenTheRelaxationAndTheBestScheduleOnSmallInstances, ()) {
  const RandomInstance random(CaseLimits{2, 5, 5, 4, 3, false, true});
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  const ExactSolution exact = exactly(trace, instance);
  BoundOptions options;
  options.most_exact_cells = 1'000'000;
  const double bound = bound_of(trace, instance, options);
  RC_ASSERT(bound <= exact.milp->value() * (1 + kRounding));
  RC_ASSERT(bound >= exact.lp.value() * 0.999);
  RC_CLASSIFY(bound > exact.lp.value() * 1.0001, "above the relaxation");
  RC_CLASSIFY(bound > exact.milp->value() * 0.9999, "the best schedule");
}

RC_GTEST_PROP(BoundProperties, NoPolicyIsFaster, ()) {
  const RandomInstance random(CaseLimits{3, 8, 8, 5, 4, false, true});
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  BoundOptions options;
  options.most_exact_cells = drawn(rc::gen::element<std::uint64_t>(0, 1'000'000));
  const double bound = bound_of(trace, instance, options);
  const Result<Comparison> comparison = compare(trace, instance, default_policies(instance), {});
  RC_ASSERT(comparison.has_value());
  for (const ReplayResult& result : comparison->results) {
    if (result.information != Information::kIdeal) {
      RC_ASSERT(bound <= result.total.value() * (1 + kRounding));
    }
  }
}

/// However long the arithmetic of a step takes, for whatever sizes and batch, there is a certificate, and it knows the
/// floor.
RC_GTEST_PROP(BoundProperties, AnyFloorIsProven, ()) {
  testing::RandomCase choices = testing::drawn_case({.steps = 6, .prompt_tokens = 6, .reads = 4, .wide = true});
  RandomInstance random(choices, choices.plain_shape());
  random.spec.options.batch = choices.one_of({1u, 8u, 4096u});
  random.spec.options.block_bytes = Bytes(choices.one_of({1000, 1 << 20, 1 << 26}));
  random.spec.hardware.peak_flops = FlopsPerSecond(1e15);
  random.spec.model->flops_per_layer_per_step = Flops(std::pow(10, 4 + 10 * choices.uniform()));
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  constexpr double kMostInCertificates = 4;  // seconds
  const double floors =
      std::min(instance.step_time().floor().value(), kMostInCertificates) * instance.steps() * instance.layers();
  RC_ASSERT(bound_of(trace, instance) >= floors * (1 - 1e-6));
}

/// What was possible stays so: a bound that knows of whole blocks may rise, but not above it.
RC_GTEST_PROP(BoundProperties, MoreOfAnythingIsNoSlower, ()) {
  const RandomInstance random(CaseLimits{2, 5, 5, 4, 3, false, true});
  const TraceReader trace = random.trace();
  BoundOptions options;
  options.most_exact_cells = 1'000'000;
  const double possible = exactly(trace, random.instance()).milp->value();
  RandomInstance& better = const_cast<RandomInstance&>(random);
  const double factor = drawn(rc::gen::element(1.1, 1.5, 3.0));
  switch (drawn(rc::gen::inRange(0, 5))) {
    case 0:
      better.spec.options.near_capacity = *better.spec.options.near_capacity + Bytes(3000);
      // A given start fills what there is: it must stay the same to compare.
      RC_PRE(better.spec.options.start != Start::kRecent);
      break;
    case 1:
      better.spec.hardware.near.bandwidth.spec = better.spec.hardware.near.bandwidth.spec * factor;
      break;
    case 2:
      better.spec.hardware.far.bandwidth.spec = better.spec.hardware.far.bandwidth.spec * factor;
      break;
    case 3:
      better.spec.hardware.far.link_read.spec = better.spec.hardware.far.link_read.spec * factor;
      break;
    default:
      better.spec.hardware.far.link_write.spec = better.spec.hardware.far.link_write.spec * factor;
  }
  RC_ASSERT(bound_of(trace, random.instance(), options) <= possible * (1 + kRounding));
}

RC_GTEST_PROP(BoundProperties, IsTheSameOnAnyThreads, ()) {
  const RandomInstance random(CaseLimits{3, 20, 10, 6, 4, false, true});
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  BoundOptions options;
  options.most_exact_cells = 0;
  const Result<ProvenBound> first = solve_bound(trace, instance, options, {});
  RC_ASSERT(first.has_value());
  for (const unsigned threads : {1U, 3U}) {
    const Result<ProvenBound> other = solve_bound(trace, instance, options, {threads, nullptr, nullptr});
    RC_ASSERT(other.has_value());
    RC_ASSERT(other->certificate == first->certificate);
    RC_ASSERT(other->verified.bound_exact == first->verified.bound_exact);
  }
}

/// Checkpoints are whole certificates, each proves more than the one before, and the last is what the search returns.
RC_GTEST_PROP(BoundProperties, CheckpointsProveMoreAndMore, ()) {
  RandomInstance random(CaseLimits{3, 20, 10, 6, 4, false, true});
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  std::vector<Certificate> told;
  BoundOptions options;
  options.most_exact_cells = 0;
  options.on_better = [&](Certificate certificate) {
    told.push_back(std::move(certificate));
    return Status();
  };
  const Result<ProvenBound> found = solve_bound(trace, instance, options, {});
  RC_ASSERT(found.has_value());
  RC_ASSERT((told.empty() || told.back() == found->certificate));  // the parentheses keep || from being evaluated whole
  double before = -1;
  for (const Certificate& certificate : told) {
    const Result<VerifiedBound> verified = verify(trace, certificate, {});
    RC_ASSERT(verified.has_value());
    RC_ASSERT(verified->bound.value() >= before);
    before = verified->bound.value();
  }
  RC_CLASSIFY(told.size() > 1, "more than one");
  options.on_better = [](const Certificate&) -> Status { return failed("no room"); };
  RC_ASSERT(solve_bound(trace, instance, options, {}).has_value() == told.empty());
}

/// The exact prices come last: that they cannot be read for is no reason to do without them.
TEST(BoundSearch, TellsThatTheTraceCannotBeReadAnyMore) {
  const testing::TempDir folder;
  const std::string path = testing::write_random_trace(folder.path("t.kvt"), {});
  const TraceReader trace = TraceReader::open(path).value();
  InstanceSpec spec;
  spec.hardware = testing::paper_machine();
  spec.options.near_blocks_per_layer = 5;
  const Instance instance = Instance::make(spec, trace.meta(), trace.totals()).value();
  BoundOptions options;
  options.ascend = false;
  options.most_exact_cells = 0;
  int last = 0;
  options.on_better = [&](const Certificate&) {
    ++last;
    return Status();
  };
  ASSERT_TRUE(solve_bound(trace, instance, options, {}));
  ASSERT_GT(last, 0);
  options.most_exact_cells = 1'000'000;
  options.on_better = [&](const Certificate&) {
    if (--last == 0) {
      std::filesystem::resize_file(path, 100);
    }
    return Status();
  };
  const Result<ProvenBound> found = solve_bound(trace, instance, options, {});
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("t.kvt"), std::string::npos) << found.error().message;
}

/// What the search believes is what the certificate proves, or less where promotions right after a miss cost near time.
RC_GTEST_PROP(BoundProperties, TheCertificateProvesNoLessThanTheSearchBelieves, ()) {
  RandomInstance random(CaseLimits{3, 12, 8, 6, 4, false, true});
  random.spec.options.mode = Mode::kInclusive;
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  const Result<GapClasses> classes = build_gap_classes(trace, instance, [] { return false; }, {});
  RC_ASSERT(classes.has_value());
  GapDual dual(instance, *classes, 1);
  const std::size_t num_forms = dual.forms().size();
  double scale = 0;
  for (const PriceForm& form : dual.forms()) {
    scale = std::max(scale, form.miss);
  }
  DualPrices prices;
  for (std::size_t group = 0; group < dual.groups().num_groups(); ++group) {
    std::vector<double> shares(num_forms);
    double sum = 0;
    for (double& share : shares) {
      share = drawn(rc::gen::inRange(0, 4));
      sum += share;
    }
    for (const double share : shares) {
      prices.mixture.push_back(sum > 0 ? share / sum : 1.0 / static_cast<double>(num_forms));
    }
  }
  for (std::size_t k = 0; k < dual.groups().num_steps(); ++k) {
    prices.rows.push_back(scale * drawn(rc::gen::element(0.0, 0.0, 0.3, 1.0)));
  }
  prices.start = instance.options().start == Start::kFree ? scale * drawn(rc::gen::element(0.0, 0.5, 1.0)) : 0;
  const BoundNumbers numbers = bound_numbers(instance, trace).value();
  const Certificate certificate =
      quantize(Claim::kStep, numbers, trace.meta().has_read_bytes, shares_of(prices, dual.forms()));
  const Result<VerifiedBound> verified = verify(trace, certificate, {});
  RC_ASSERT(verified.has_value());
  const double believed = dual(prices);
  // Rounding is relative to the sums whose difference the bound is; interference is rounded to 2^-20.
  double gross = static_cast<double>(instance.capacity().value()) *
                 std::accumulate(prices.rows.begin(), prices.rows.end(), prices.start);
  for (std::size_t group = 0; group < dual.groups().num_groups(); ++group) {
    double most = 0;
    for (std::size_t form = 0; form < num_forms; ++form) {
      most = std::max(most, dual.fixed_time(group, form));
    }
    gross += most;
  }
  RC_ASSERT(verified->bound.value() >= believed - 1e-5 * gross);
}

/// Windows of a tiny trace, found by trying all of them.
class AllWindows {
 public:
  AllWindows(const TraceReader& trace, const Instance& instance, const GapDual& dual, const WindowKind& kind)
      : instance_(instance), records_(testing::all_records(trace)), steps_per_place_(dual.groups().layers_per_group()) {
    const std::size_t places = dual.groups().num_groups();
    const PriceForm& inside = dual.forms()[kind.form];
    for (std::size_t place = 0; place < places; ++place) {
      double reads = 0;
      for (std::size_t k = place * steps_per_place_; k < (place + 1) * steps_per_place_; ++k) {
        for (const auto& [block, bytes] : counted(k)) {
          reads += bytes;
        }
      }
      std::size_t outside = kind.form;
      double slowest = -INFINITY;
      for (std::size_t form = 0; form < dual.forms().size(); ++form) {
        const double miss = dual.forms()[form].miss;
        const double time = dual.fixed_time(place, form) + reads * std::min(0.0, miss);
        if (miss <= 1e-6 * inside.miss && time > slowest) {
          outside = form;
          slowest = time;
        }
      }
      const auto worth = [&](std::size_t form, double share) {
        std::vector<double> mixture(dual.forms().size(), 0);
        mixture[form] = share;
        return dual.worth(place, mixture);
      };
      const double free = worth(outside, 1) + reads * std::min(0.0, dual.forms()[outside].miss);
      outside_ += free;
      double low = 0;
      double before = free;
      for (std::size_t i = 0; i <= kind.scales.size(); ++i) {
        const double high = i < kind.scales.size() ? kind.scales[i] : 1;
        const double now = worth(kind.form, high);
        allowances_.resize(kind.scales.size() + 1);
        allowances_[i].push_back((before - now) / ((high - low) * kind.row_price));
        low = high;
        before = now;
      }
    }
    best_ = 0;
    double low = 0;
    for (std::size_t i = 0; i <= kind.scales.size(); ++i) {
      const double high = i < kind.scales.size() ? kind.scales[i] : 1;
      allowance_ = allowances_[i];
      best_ += (high - low) * best(0);
      low = high;
    }
  }

  /// Bytes that windows add, with the shares of their scales.
  [[nodiscard]] double best() const { return best_; }
  /// Seconds that all steps are worth without windows.
  [[nodiscard]] double outside() const { return outside_; }

 private:
  /// Bytes that the window from place `begin` to before `end` adds.
  [[nodiscard]] double gain(std::size_t begin, std::size_t end) const {
    const bool given = begin == 0 && instance_.options().start != Start::kFree;
    std::set<BlockIndex> seen;
    std::set<BlockIndex> near;
    if (given) {
      for (const BlockIndex block : instance_.initial_near()) {
        near.insert(block);
      }
    }
    std::set<BlockIndex> exist;
    for (std::uint32_t layer = 0; layer < instance_.layers(); ++layer) {
      for (std::uint32_t id = 0; id < instance_.layout().initial_blocks(); ++id) {
        exist.insert(instance_.index(LayerIndex(layer), BlockId(id)));
      }
    }
    for (std::size_t k = 0; k < begin * steps_per_place_; ++k) {
      for (const BlockId id : view(k).appended) {
        exist.insert(instance_.index(view(k).layer, id));
      }
    }
    double total = given ? 0 : -static_cast<double>(instance_.capacity().value());
    for (std::size_t place = begin; place < end; ++place) {
      total -= allowance_[place];
      for (std::size_t k = place * steps_per_place_; k < (place + 1) * steps_per_place_; ++k) {
        for (const auto& [block, bytes] : counted(k)) {
          if (exist.contains(block) && !near.contains(block) && seen.insert(block).second) {
            total += bytes;
          }
        }
      }
    }
    return total;
  }

  [[nodiscard]] double best(std::size_t from) const {
    double most = 0;
    for (std::size_t begin = from; begin < allowance_.size(); ++begin) {
      for (std::size_t end = begin + 1; end <= allowance_.size(); ++end) {
        most = std::max(most, gain(begin, end) + best(end));
      }
    }
    return most;
  }

  [[nodiscard]] StepView view(std::size_t k) const {
    return records_.view(static_cast<std::uint32_t>(k / instance_.layers()),
                         static_cast<std::uint32_t>(k % instance_.layers()));
  }
  /// Reads that either side may serve.
  [[nodiscard]] std::vector<std::pair<BlockIndex, double>> counted(std::size_t k) const {
    std::vector<std::pair<BlockIndex, double>> reads;
    const StepView record = view(k);
    for (std::size_t i = 0; i < record.reads.size(); ++i) {
      if (!std::binary_search(record.appended.begin(), record.appended.end(), record.reads[i])) {
        reads.emplace_back(instance_.index(record.layer, record.reads[i]),
                           static_cast<double>(instance_.bytes_of_read(record, i).value()));
      }
    }
    return reads;
  }

  const Instance& instance_;
  Segment records_;
  std::size_t steps_per_place_;
  std::vector<std::vector<double>> allowances_;  // of each scale
  std::vector<double> allowance_;
  double outside_ = 0;
  double best_ = 0;
};

RC_GTEST_PROP(BoundProperties, WindowsAreTheBestOfAll, ()) {
  RandomInstance random(CaseLimits{2, 4, 6, 4, 2});
  random.spec.options.mode = Mode::kInclusive;
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  RC_PRE(instance.uniform());  // a block is read with the same bytes each time
  const Result<GapClasses> classes = build_gap_classes(trace, instance, [] { return false; }, {});
  RC_ASSERT(classes.has_value());
  GapDual dual(instance, *classes, 1);
  RC_PRE(!window_forms(dual).empty());  // a miss costs time in some form
  const std::size_t form = window_forms(dual).front();
  const bool free_start = instance.options().start == Start::kFree;
  const double overhead = instance.step_time().overhead().value() * static_cast<double>(dual.groups().num_steps());
  for (const std::vector<double>& scales : window_scales(dual, form)) {
    const WindowKind kind{form, dual.forms()[form].miss, scales};
    const WindowPrices found = best_windows(dual, *classes, free_start, kind);
    const AllWindows all(trace, instance, dual, kind);
    RC_ASSERT(std::abs(found.gain_bytes - all.best()) <= 1e-6 * (1 + std::abs(all.best())));
    // The prices are worth that and what promotions cost on top; of several scales, where steps are worth less the more
    // so the more misses cost.
    const double least = overhead + all.outside() + kind.row_price * all.best();
    const InstanceOptions& options = instance.options();
    const bool concave = options.mirrored_reads == MirroredReads::kSplit && options.overlap == Overlap::kFull &&
                         random.spec.hardware.interference == 0.0;
    RC_ASSERT((!scales.empty() && !concave) || dual(found.prices) >= least - 1e-9 * std::abs(least));
    RC_CLASSIFY(scales.size() > 0 && found.windows > 0, "windows of several scales");
  }
}

}  // namespace
}  // namespace kvplace
