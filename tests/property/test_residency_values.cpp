// The worth of residency against the cheapest of all futures of a block.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

#include "kvplace/solve/bound.h"
#include "kvplace/solve/residency_value.h"
#include "support/random_instance.h"

namespace kvplace {
namespace {

using testing::CaseLimits;
using testing::RandomInstance;

/// The elements of a one-dimensional .npy file of float32.
std::vector<float> read_values(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string data((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::size_t head = 10 + static_cast<unsigned char>(data[8]) + 256u * static_cast<unsigned char>(data[9]);
  std::vector<float> values((data.size() - head) / sizeof(float));
  std::memcpy(values.data(), data.data() + head, values.size() * sizeof(float));
  return values;
}

/// Cheapest future of one block from just after step k on, by trying all.
class Futures {
 public:
  Futures(const Instance& instance, const Certificate& certificate, const Segment& records, BlockIndex block)
      : instance_(instance), certificate_(certificate), records_(records), block_(block) {}

  /// Seconds; the row just after step k is paid for here.
  [[nodiscard]] double cost(std::size_t k, bool near) const {
    const std::size_t num_steps = std::size_t{instance_.steps()} * instance_.layers();
    const auto size = static_cast<double>(instance_.block_bytes(block_).value());
    double total = near ? size * rate(certificate_.row_prices[k]) : 0;
    if (k + 1 == num_steps) {
      return total;
    }
    const std::size_t next = k + 1;
    const double near_price = rate(price(next, Channel::kNearMem));
    const double far_price = rate(price(next, Channel::kFarLinkRead) + price(next, Channel::kFarMem));
    const double write_price = rate(price(next, Channel::kFarLinkWrite) + price(next, Channel::kFarMem));
    const double read = bytes_read(next);
    const bool split = instance_.options().mirrored_reads == MirroredReads::kSplit;
    const bool exclusive = instance_.options().mode == Mode::kExclusive;
    const double written = exclusive ? bytes_written(next) : 0;
    if (near) {
      total += read * (split ? std::min(near_price, far_price) : near_price) + written * near_price;
      const double eviction = exclusive ? size * (near_price + write_price) : 0;
      return total + std::min(cost(next, true), cost(next, false) + eviction);
    }
    total += read * far_price + written * write_price;
    const double promotion = read * near_price + (size - read) * (near_price + far_price);
    return total + std::min(cost(next, false), cost(next, true) + promotion);
  }

 private:
  [[nodiscard]] double rate(std::uint64_t ticks) const {
    return static_cast<double>(ticks) / static_cast<double>(certificate_.ticks_per_second) /
           static_cast<double>(certificate_.unit_bytes);
  }
  [[nodiscard]] std::uint64_t price(std::size_t k, Channel channel) const {
    const std::size_t steps = instance_.options().barrier == Barrier::kToken ? instance_.layers() : 1;
    return certificate_.channel_prices[k / steps][static_cast<std::size_t>(channel)];
  }
  [[nodiscard]] StepView view_of(std::size_t k) const {
    return records_.view(static_cast<std::uint32_t>(k / instance_.layers()),
                         static_cast<std::uint32_t>(k % instance_.layers()));
  }
  [[nodiscard]] double bytes_written(std::size_t k) const {
    const StepView view = view_of(k);
    for (std::size_t i = 0; i < view.appended.size(); ++i) {
      if (instance_.index(view.layer, view.appended[i]) == block_) {
        return static_cast<double>(instance_.new_kv_bytes(view, i).value());
      }
    }
    return 0;
  }
  [[nodiscard]] double bytes_read(std::size_t k) const {
    const StepView view = view_of(k);
    for (std::size_t i = 0; i < view.reads.size(); ++i) {
      if (instance_.index(view.layer, view.reads[i]) == block_ &&
          !std::binary_search(view.appended.begin(), view.appended.end(), view.reads[i])) {
        return static_cast<double>(instance_.bytes_of_read(view, i).value());
      }
    }
    return 0;
  }

  const Instance& instance_;
  const Certificate& certificate_;
  const Segment& records_;
  BlockIndex block_;
};

RC_GTEST_PROP(ResidencyValues, AreWhatTheCheapestFutureSaves, ()) {
  RandomInstance random(CaseLimits{2, 5, 4, 3, 3, false, true});
  const TraceReader trace = random.trace();
  const Instance instance = random.instance();
  const ProvenBound proven = solve_bound(trace, instance, {}, {}).value();
  const testing::TempDir folder;
  const std::string path = folder.path("values.npy");
  RC_ASSERT(write_residency_values(trace, instance, proven.certificate, path, {}).has_value());
  const std::vector<float> values = read_values(path);
  const Segment records = testing::all_records(trace);
  RC_ASSERT(values.size() == records.num_reads());
  std::size_t i = 0;
  for (std::uint32_t step = 0; step < instance.steps(); ++step) {
    for (std::uint32_t layer = 0; layer < instance.layers(); ++layer) {
      for (const BlockId id : records.view(step, layer).reads) {
        const std::size_t k = std::size_t{step} * instance.layers() + layer;
        const Futures futures(instance, proven.certificate, records, instance.index(LayerIndex(layer), id));
        const double far = futures.cost(k, false);
        const double near = futures.cost(k, true);
        const double error = 1e-6 * (far + near) + 1e-15;
        if (instance.options().mode == Mode::kExclusive) {
          RC_ASSERT(std::abs(static_cast<double>(values[i]) - (far - near)) <= error);
        } else {  // who has the block near may also let it go at once, so a negative worth shows as none
          RC_ASSERT(std::abs(std::max(0.0, static_cast<double>(values[i])) - (far - std::min(far, near))) <= error);
        }
        ++i;
      }
    }
  }
}

}  // namespace
}  // namespace kvplace
