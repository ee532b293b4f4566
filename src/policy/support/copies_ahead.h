/// Which far blocks the flagship copies in the background ahead of their reads: of each layer's latest step those that
/// ranked just behind what was read; of all layers that with the best rank, weighed by what a hit saves there.
///
/// What is copied and not yet read is worth near memory for what its rank says, for a while: its history would have it
/// leave at once.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kvplace/policy/policy.h"
#include "policy/support/far_cost.h"

namespace kvplace {

class CopiesAhead {
 public:
  /// Copies that are in flight at most: what waits behind others is out of date when its turn comes.
  static constexpr std::uint32_t kInFlight = 2;
  /// Candidates have ranks below so many times what is read.
  static constexpr std::size_t kRanks = 2;

  struct Candidate {
    BlockIndex block;
    float x = 0;  ///< of its rank (value_slots.h)
  };
  /// Came in ahead, and was not read since.
  struct Copy {
    BlockIndex block;
    std::uint32_t issued = 0;    ///< decode step
    std::int32_t last_read = 0;  ///< decode step + 1 of its last read when it came in
  };

  /// The value of a block that came in ahead, on the scale of value_slots.h.
  [[nodiscard]] static float value(float x) { return 1.5F * x - 1; }
  [[nodiscard]] static bool is_old(const Copy& copy, std::uint32_t step) { return step - copy.issued > kSteps; }

  void start(std::uint32_t layers);
  /// The layer's step begins; what its last one offered is out of date.
  void begin_step(LayerIndex layer);
  /// A far block of the step, the best ranked first. False if no more are wanted.
  bool offer(LayerIndex layer, const Candidate& candidate);
  /// Of what was offered in any order only the best stay, in theirs.
  void keep_best(LayerIndex layer);
  /// The best of the layers where copies pay; it is offered no more.
  [[nodiscard]] std::optional<Candidate> take_best(const FarCost& far_cost);
  [[nodiscard]] std::vector<Copy>& unread(LayerIndex layer) { return layers_[layer.value()].unread; }

 private:
  static constexpr std::uint32_t kSteps = 15;    // decode steps that an unread copy has
  static constexpr std::size_t kCandidates = 8;  // of a layer

  struct Layer {
    std::vector<Candidate> candidates;
    std::size_t taken = 0;  // of them, from the first
    std::vector<Copy> unread;
  };
  std::vector<Layer> layers_;
};

}  // namespace kvplace
