/// The inner problem of the Lagrangian dual: the cheapest residency path of each block by itself, in inclusive mode
/// with blocks of one size and whole reads: what gap classes give, and the near side's work of a promotion right after
/// a miss, which they leave out.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/instance/instance.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// Of one block. Steps k = t * layers + l; row 0 is the start, row k + 1 is after step k.
struct PathPrices {
  std::vector<double> miss;   ///< a far read instead of a near one
  std::vector<double> enter;  ///< a write to near memory: what a promotion right after a miss costs
  std::vector<double> rows;
};

/// What the cheapest paths load, in blocks: the slope of their cost in each price.
struct PathLoads {
  std::vector<std::int64_t> over_link;  ///< by step: missed or promoted actively
  std::vector<std::int64_t> entered;    ///< by step: promoted after a miss, and twice what is promoted actively
  std::vector<std::int64_t> near;       ///< by row
};

class BlockPaths {
 public:
  /// One pass over the trace; an error of kind kInterrupted if `stop` says so. Memory: 40 bytes per read,
  /// and O(steps * layers * (log of that + threads)).
  /// REQUIRES: instance.uniform(), inclusive mode.
  [[nodiscard]] static Result<BlockPaths> make(const TraceReader& trace, const Instance& instance,
                                               const std::function<bool()>& stop, unsigned threads);

  /// The cost of all blocks beyond reads of near blocks. An active promotion costs a miss and two entries, as its far
  /// read stands beside no near one. The result does not depend on the number of threads.
  double operator()(const PathPrices& prices, PathLoads& loads);

 private:
  static constexpr std::uint32_t kFarAtStart = UINT32_MAX;

  struct Read {
    std::uint32_t step;
    std::int32_t previous;  ///< read of the same block in the layer, or -1
    std::uint32_t row;      ///< where the block may be near from, or kFarAtStart
  };

  /// How the cheapest path to a read goes.
  struct Choice {
    double far;   ///< least cost that leaves the block far
    double near;  ///< near
    std::int32_t fetched_in;
    bool leaves;   ///< after the read before, if it is to be far
    bool fetched;  ///< promoted actively before the read, if it is to be near before it
    bool enters;   ///< missed and promoted, if it is to be near behind it
  };

  struct Layer {
    std::vector<Read> reads;  ///< in order of time
    std::vector<Choice> choices;
    std::vector<std::uint8_t> is_last;  ///< of its block
    double cost = 0;
  };

  struct Fetch {
    double cost;
    std::int32_t step;
  };

  BlockPaths(const Instance& instance, unsigned threads);
  void add(const StepView& record, std::vector<std::int32_t>& last, std::vector<std::uint32_t>& row);
  void find_fetches(const PathPrices& prices);
  /// The cheapest active promotion in a step of [begin, end), less the row prices before it.
  [[nodiscard]] Fetch fetch(std::uint32_t begin, std::uint32_t end) const;
  void find_paths(Layer& layer, const PathPrices& prices) const;
  static void add_loads(const Layer& layer, PathLoads& loads);

  unsigned threads_;
  std::size_t num_steps_;
  std::vector<Layer> layers_;
  std::vector<PathLoads> loads_of_workers_;  // not of layers: that would be steps * layers each
  std::vector<double> before_;               ///< [row]: sum of row prices before it
  std::vector<std::vector<Fetch>> fetches_;  ///< [level][step]: the cheapest in the 2^level steps from there
};

}  // namespace kvplace
