// Weak duality, evaluated block by block: the relaxation's prices give its value back, and no other prices give more.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "kvplace/solve/exact.h"
#include "support/random_instance.h"

namespace kvplace {
namespace {

constexpr double kNever = INFINITY;

/// Prices in seconds per byte of one request.
struct StepPrices {
  double near;       ///< through near.mem
  double far_read;   ///< through far.link_read and far.mem
  double far_write;  ///< through far.link_write and far.mem
  double row;        ///< near while the step ends
};

/// What a step means for one block.
struct Event {
  double read = 0;  ///< bytes read from where the block is; none if the block is appended to: near by rule
  bool appended = false;
  double new_kv = 0;  ///< bytes appended
};

class DualValue {
 public:
  DualValue(const Segment& records, const Instance& instance, const ExactSolution& prices)
      : records_(records), instance_(instance), prices_(prices) {
    const bool token = instance.options().barrier == Barrier::kToken;
    layers_per_group_ = token ? instance.layers() : 1;
  }

  [[nodiscard]] double value() const {
    double total = of_groups();
    for (std::uint32_t step = 0; step < instance_.steps(); ++step) {
      for (std::uint32_t layer = 0; layer < instance_.layers(); ++layer) {
        total += of_fixed_bytes(records_.view(step, layer));
      }
    }
    double rows = prices_.start_price;
    for (const double price : prices_.row_prices) {
      rows += price;
    }
    total -= static_cast<double>(prices_.capacity.value()) * rows;
    for (std::uint32_t layer = 0; layer < instance_.layers(); ++layer) {
      for (std::uint32_t id = 0; id < instance_.blocks_per_layer(); ++id) {
        total += of_block(LayerIndex(layer), BlockId(id));
      }
    }
    return total;
  }

  /// The share of each group's time that the prices claim; valid up to 1.
  [[nodiscard]] double share(std::size_t group) const {
    const std::array<double, kNumChannels>& p = prices_.channel_prices[group];
    if (instance_.options().overlap == Overlap::kNone) {
      return std::max(p[0], p[1] + p[2] + p[3]);
    }
    return std::max(*std::max_element(p.begin(), p.end()),
                    (p[0] + p[1] + p[2] + p[3]) / (1 + instance_.spec().hardware.interference));
  }

 private:
  [[nodiscard]] double of_groups() const {
    // Without loads the step's time is floor and overhead.
    const double overhead = instance_.spec().hardware.step_overhead.value() * layers_per_group_;
    const double floor = instance_.step_time()({}, layers_per_group_).value() - overhead;
    double total = 0;
    for (std::size_t group = 0; group < prices_.channel_prices.size(); ++group) {
      total += overhead + (1 - share(group)) * floor;
    }
    return total;
  }

  [[nodiscard]] double on_channel(std::size_t step, std::size_t channel) const {
    return prices_.channel_prices[step / layers_per_group_][channel] /
           instance_.step_time().bandwidth(static_cast<Channel>(channel)).value();
  }

  [[nodiscard]] StepPrices at(std::size_t step) const {
    const double n = instance_.options().batch;
    return {n * on_channel(step, 0), n * (on_channel(step, 1) + on_channel(step, 3)),
            n * (on_channel(step, 2) + on_channel(step, 3)), prices_.row_prices[step]};
  }

  [[nodiscard]] double of_fixed_bytes(const StepView& view) const {
    const std::size_t step = std::size_t{view.step.value()} * instance_.layers() + view.layer.value();
    const StepPrices price = at(step);
    double total = 0;
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      total += on_channel(step, c) * static_cast<double>(instance_.fixed_loads(view.step, view.layer).bytes[c]);
    }
    total += price.near * static_cast<double>(instance_.traffic(view).reads_appended.value());
    if (instance_.options().mode == Mode::kInclusive) {
      for (std::size_t i = 0; i < view.appended.size(); ++i) {
        total += (price.near + price.far_write) * static_cast<double>(instance_.new_kv_bytes(view, i).value());
      }
    }
    return total;
  }

  [[nodiscard]] Event event(std::uint32_t step, LayerIndex layer, BlockId id) const {
    const StepView view = records_.view(step, layer.value());
    Event event;
    const auto appended = std::find(view.appended.begin(), view.appended.end(), id);
    event.appended = appended != view.appended.end();
    if (event.appended) {
      const auto i = static_cast<std::size_t>(appended - view.appended.begin());
      event.new_kv = static_cast<double>(instance_.new_kv_bytes(view, i).value());
    }
    const auto read = std::find(view.reads.begin(), view.reads.end(), id);
    if (read != view.reads.end() && !event.appended) {
      event.read = static_cast<double>(
          instance_.bytes_of_read(view, static_cast<std::size_t>(read - view.reads.begin())).value());
    }
    return event;
  }

  /// The least cost over the block's own paths.
  [[nodiscard]] double of_block(LayerIndex layer, BlockId id) const {
    const bool exclusive = instance_.options().mode == Mode::kExclusive;
    const bool split = !exclusive && instance_.options().mirrored_reads == MirroredReads::kSplit;
    const double size = static_cast<double>(instance_.block_bytes(layer, id).value());
    double far = kNever;
    double near = kNever;
    bool exists = id.value() < instance_.layout().initial_blocks();
    if (exists && instance_.options().start == Start::kFree) {
      far = 0;
      near = size * prices_.start_price;
    } else if (exists) {
      const std::vector<BlockIndex> given = instance_.initial_near();
      const bool is_near = std::find(given.begin(), given.end(), instance_.index(layer, id)) != given.end();
      far = is_near ? kNever : 0;
      near = is_near ? 0 : kNever;
    }
    for (std::size_t k = 0; k < prices_.row_prices.size(); ++k) {
      const StepPrices price = at(k);
      const bool own_layer = k % instance_.layers() == layer.value();
      const Event now = own_layer ? event(static_cast<std::uint32_t>(k / instance_.layers()), layer, id) : Event{};
      if (!exists && !now.appended) {
        continue;
      }
      const double written_near = exclusive ? now.new_kv * price.near : 0;
      const double written_far = exclusive ? now.new_kv * price.far_write : 0;
      double far_after = written_far;  // of a newborn block
      double near_after = written_near;
      if (exists) {
        const double serving = split ? std::min(price.near, price.far_read) : price.near;
        near += now.read * serving + written_near;
        far += now.read * price.far_read + written_far;
        const double promotion = size * price.near + (size - now.read) * price.far_read;
        const double demotion = exclusive ? size * (price.near + price.far_write) : 0;
        far_after = std::min(far, near + demotion);
        near_after = std::min(near, far + promotion);
      }
      exists = true;
      far = far_after;
      near = near_after + size * price.row;
    }
    return exists ? std::min(far, near) : 0;
  }

  const Segment& records_;
  const Instance& instance_;
  const ExactSolution& prices_;
  std::uint32_t layers_per_group_ = 1;
};

RC_GTEST_PROP(ExactPrices, GiveTheRelaxationBack, ()) {
  const testing::RandomInstance random({3, 12, 16, 6, 20, false, true});
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  const Segment records = testing::all_records(trace);
  const ExactSolution exact = solve_exact(trace, instance, {}, {}).value();
  RC_ASSERT(exact.lp_optimal);
  RC_ASSERT(exact.row_prices.size() == std::size_t{instance.steps()} * instance.layers());
  RC_ASSERT(instance.options().start == Start::kFree || exact.start_price == 0.0);
  const DualValue dual(records, instance, exact);
  for (std::size_t group = 0; group < exact.channel_prices.size(); ++group) {
    RC_ASSERT(dual.share(group) <= 1 + 1e-8);
  }
  RC_LOG() << "lp " << exact.lp.value() << ", dual " << dual.value();
  RC_ASSERT(std::abs(dual.value() - exact.lp.value()) <= 1e-6 * exact.lp.value());
}

RC_GTEST_PROP(ExactPrices, NoOtherPricesGiveMore, ()) {
  const testing::RandomInstance random({3, 8, 10, 6, 12, false, true});
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  const Segment records = testing::all_records(trace);
  ExactSolution other = solve_exact(trace, instance, {}, {}).value();
  std::mt19937_64 draw(*rc::gen::arbitrary<std::uint64_t>());
  const auto factor = [&draw] { return static_cast<double>(draw() % 2000) / 1000; };
  const bool anew = *rc::gen::arbitrary<bool>();
  for (std::size_t group = 0; group < other.channel_prices.size(); ++group) {
    for (double& price : other.channel_prices[group]) {
      price = (anew ? 1 : price) * factor();
    }
    const double share = DualValue(records, instance, other).share(group);
    for (double& price : other.channel_prices[group]) {
      price /= std::max(1.0, share);
    }
  }
  for (double& price : other.row_prices) {
    price *= factor();
  }
  RC_ASSERT(DualValue(records, instance, other).value() <= other.lp.value() * (1 + 1e-8));
}

}  // namespace
}  // namespace kvplace
