// The search for windows, against all windows of small traces by its own definition: bytes of distinct blocks read in a
// window that are older than it, less the capacity and the allowances of its steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "solve/search/window_search.h"
#include "support/paper_machine.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

class SmallWindows {
 public:
  SmallWindows(const testing::RandomTraceShape& shape, const InstanceOptions& options)
      : records_(testing::random_segment(shape)),
        trace_(TraceReader::open(testing::write_random_trace(folder_.path("t.kvt"), shape)).value()),
        instance_(Instance::make({testing::paper_machine(), {}, options}, trace_.meta(), trace_.totals()).value()),
        classes_(build_gap_classes(trace_, instance_, [] { return false; }, {}).value()),
        dual_(instance_, classes_, 1),
        form_(window_forms(dual_).front()) {
    const std::uint32_t initial = instance_.layout().initial_blocks();
    born_.assign(shape.layers, std::vector<std::size_t>(instance_.blocks_per_layer(), SIZE_MAX));
    for (std::vector<std::size_t>& blocks : born_) {
      std::fill_n(blocks.begin(), initial, 0);  // before the first place
    }
    for (std::size_t place = 0; place < num_places(); ++place) {
      for (const StepView& record : records_of(place)) {
        for (const BlockId id : record.appended) {
          std::size_t& born = born_[record.layer.value()][id.value()];
          born = std::min(born, place + 1);
        }
      }
      allowances_.push_back((worth_outside(place) - worth(place, form_)) / row_price());
    }
  }

  [[nodiscard]] WindowPrices found() const { return best_windows(dual_, classes_, free_start(), {form_, row_price()}); }
  /// Of all sets of disjoint windows.
  [[nodiscard]] double best() const {
    std::vector<double> best(num_places() + 1, 0);
    for (std::size_t end = 1; end <= num_places(); ++end) {
      best[end] = best[end - 1];
      for (std::size_t begin = 0; begin < end; ++begin) {
        best[end] = std::max(best[end], best[begin] + gain(begin, end));
      }
    }
    return best.back();
  }

 private:
  [[nodiscard]] bool free_start() const { return instance_.options().start == Start::kFree; }
  [[nodiscard]] std::size_t num_places() const { return dual_.groups().num_groups(); }
  [[nodiscard]] double row_price() const { return dual_.forms()[form_].miss; }

  [[nodiscard]] std::vector<StepView> records_of(std::size_t place) const {
    std::vector<StepView> records;
    const std::size_t layers = dual_.groups().layers_per_group();
    for (std::size_t k = place * layers; k < (place + 1) * layers; ++k) {
      records.push_back(records_.view(static_cast<std::uint32_t>(k / instance_.layers()),
                                      static_cast<std::uint32_t>(k % instance_.layers())));
    }
    return records;
  }

  [[nodiscard]] double worth(std::size_t place, std::size_t form) const {
    std::vector<double> mixture(dual_.forms().size(), 0);
    mixture[form] = 1;
    return dual_.worth(place, mixture);
  }
  /// In the slowest form in which misses cost nothing; where they save time, all reads miss.
  [[nodiscard]] double worth_outside(std::size_t place) const {
    double slowest = -INFINITY;
    double worth_of_slowest = 0;
    for (std::size_t form = 0; form < dual_.forms().size(); ++form) {
      const double miss = dual_.forms()[form].miss;
      const double saved = dual_.read_bytes(place) * std::min(0.0, miss);
      if (miss <= 1e-6 * row_price() && dual_.fixed_time(place, form) + saved > slowest) {
        slowest = dual_.fixed_time(place, form) + saved;
        worth_of_slowest = worth(place, form) + saved;
      }
    }
    return worth_of_slowest;
  }

  /// Bytes that the window of the places `begin` to `end` - 1 adds.
  [[nodiscard]] double gain(std::size_t begin, std::size_t end) const {
    const bool given = begin == 0 && !free_start();
    std::set<std::uint32_t> counted;  // blocks
    if (given) {
      for (const BlockIndex block : instance_.initial_near()) {
        counted.insert(block.value());
      }
    }
    const std::size_t near = counted.size();
    double allowed = given ? 0 : static_cast<double>(instance_.capacity().value());
    for (std::size_t place = begin; place < end; ++place) {
      allowed += allowances_[place];
      for (const StepView& record : records_of(place)) {
        for (const BlockId id : record.reads) {
          const bool by_rule = std::binary_search(record.appended.begin(), record.appended.end(), id);
          if (!by_rule && born_[record.layer.value()][id.value()] <= begin) {
            counted.insert(instance_.index(record.layer, id).value());
          }
        }
      }
    }
    return static_cast<double>(counted.size() - near) *
               static_cast<double>(instance_.kv_block_bytes(LayerIndex(0)).value()) -
           allowed;
  }

  const testing::TempDir folder_;
  Segment records_;
  TraceReader trace_;
  Instance instance_;
  GapClasses classes_;
  GapDual dual_;
  std::size_t form_;
  std::vector<std::vector<std::size_t>> born_;  // [layer][block]: the first place before which it exists
  std::vector<double> allowances_;              // bytes, by place
};

TEST(WindowSearch, FindsTheBestOfAllWindows) {
  std::uint64_t windows = 0;
  for (const Barrier barrier : {Barrier::kLayer, Barrier::kToken}) {
    for (const Start start : {Start::kRecent, Start::kEmpty, Start::kFree}) {
      for (std::uint32_t seed = 1; seed <= 12; ++seed) {
        testing::RandomTraceShape shape;
        shape.seed = seed;
        shape.layers = 1 + seed % 3;
        shape.steps = 14;
        shape.prompt_tokens = 10;
        shape.reads = 5;
        InstanceOptions options;
        options.barrier = barrier;
        options.start = start;
        options.near_blocks_per_layer = 2 + seed % 4;
        options.weight_bytes_per_step = Bytes(seed % 2 == 0 ? 0 : 20'000);
        const SmallWindows small(shape, options);
        const WindowPrices found = small.found();
        const double best = small.best();
        EXPECT_NEAR(found.gain_bytes, best, 1e-6 * (1 + best)) << "seed " << seed;
        windows += found.windows;
      }
    }
  }
  EXPECT_GT(windows, 72U);  // of 72 traces
}

}  // namespace
}  // namespace kvplace
