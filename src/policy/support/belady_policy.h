/// Belady's rule with bypass (formulation, "Policies"): next reads are known; misses enter in order of next read; the
/// resident read farthest in the future leaves; a miss that is read even later is bypassed.
///
/// With unit sizes this minimises far reads: keeping a block over the gap between two reads is an interval, and
/// dropping the interval that ends last is the optimal interval packing.
///
/// With copies in the background it may also fetch ahead, as Aggressive does (Cao, Felten, Karlin, Li: A study of
/// integrated prefetching and caching strategies, 1995): while the queue is short the far block that is read next
/// comes in, unless what had to leave for it were read sooner.
#pragma once

#include <optional>
#include <vector>

#include "kvplace/policy/policy.h"
#include "policy/support/buffer_policy.h"
#include "policy/support/next_use_order.h"

namespace kvplace {

/// Whether promotions stop where they would make near memory slower than the far side.
enum class Balance : std::uint8_t { kIgnore, kKeep };

/// Fetching ahead, over all layers.
struct FetchAhead {
  std::uint32_t queue = 0;  ///< copies in flight at most; 0: none
  std::uint32_t lead = 0;   ///< steps before a read in which its copy is not begun any more
};

class BeladyPolicy final : public OraclePolicy {
 public:
  BeladyPolicy(Pooling pooling, Balance balance) : pooling_(pooling), balance_(balance) {}
  explicit BeladyPolicy(const FetchAhead& ahead)
      : pooling_(Pooling::kAllLayers), balance_(Balance::kIgnore), ahead_(ahead) {}

  std::vector<BlockIndex> start(const PolicyContext& context, std::span<const std::uint32_t> first_reads) override;
  void step(const StepInput& input, const NextReadsView& next_reads, Decision& decision) override;

 private:
  struct Candidate {
    BlockIndex block;
    std::size_t moment = 0;
    Transfer entering = Transfer::kPromote;
    bool free = false;  ///< new: its bytes are the new KV
  };

  [[nodiscard]] std::size_t buffer_of(LayerIndex layer) const {
    return pooling_ == Pooling::kPerLayer ? layer.value() : 0;
  }
  /// The place of a read in the order of steps that one buffer sees.
  [[nodiscard]] std::size_t moment_of(std::uint32_t step, LayerIndex layer) const;
  [[nodiscard]] std::vector<BlockIndex> choose_start(std::span<const std::uint32_t> first_reads);
  void add_candidate(const StepInput& input, BlockIndex block, std::uint32_t next_read, Transfer entering, bool free);
  void insert(BlockIndex block, std::size_t moment);
  bool make_room(std::size_t buffer, const Candidate& candidate, Decision& decision);
  [[nodiscard]] bool near_is_slower(const Loads& loads) const;
  void fetch_ahead(const StepInput& input, Decision& decision);
  void leave_far(BlockIndex block, std::size_t moment);

  Pooling pooling_;
  Balance balance_;
  FetchAhead ahead_;
  const Instance* instance_ = nullptr;
  std::vector<Bytes> budgets_;  // by buffer
  std::vector<Bytes> used_;     // by buffer
  NextUseLinks links_;
  std::vector<bool> is_gone_;         // by BlockIndex: with its request; it may still be in an order, not read again
  std::vector<NextUseOrder> orders_;  // by buffer
  std::optional<NextUseOrder> far_;   // what is far and read again; if it fetches ahead
  std::vector<Candidate> candidates_;
  std::vector<BlockIndex> victims_;
  std::vector<std::size_t> victim_moments_;
};

}  // namespace kvplace
