/// lrfu:
///
///     worth(block) = sum over its uses since it entered of 2^(-lambda x decode steps since)
///     on a hit or an entry:   worth += 1
///     to make room:   evict the least worth, of equal ones the one used longest ago
#include <cmath>

#include "kvplace/policy/registry.h"
#include "policy/support/block_heap.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {
namespace {

/// Each use of a block is worth 2^(-lambda * age), age in decode steps; the block worth least in all leaves, of equal
/// ones the one used longest ago. As all worths fall at the same rate, a block's is kept as log2(worth) + lambda * t,
/// which changes with its uses only.
class RecencyFrequencyOrder {
 public:
  explicit RecencyFrequencyOrder(double lambda) : lambda_(lambda) {}

  void start(const PolicyContext& context, std::size_t num_buffers) {
    places_.assign(context.instance->num_blocks(), 0);
    heaps_.assign(num_buffers, BlockHeap(places_));
    now_ = 0;
  }
  void begin(std::size_t, StepIndex step) { now_ = lambda_ * step.value(); }
  void hit(std::size_t buffer, std::span<const BlockIndex> hits) {
    for (const BlockIndex block : hits) {
      const double before = heaps_[buffer].value_of(block) - now_;
      heaps_[buffer].change(block, now_ + std::log2(1 + std::exp2(before)));
    }
  }
  void insert(std::size_t buffer, BlockIndex block) { heaps_[buffer].add(block, now_); }
  void remove(std::size_t buffer, std::span<const BlockIndex> ended) {
    for (const BlockIndex block : ended) {
      heaps_[buffer].remove(block);
    }
  }
  BlockIndex take_victim(std::size_t buffer) { return heaps_[buffer].take_least(); }

 private:
  double lambda_;
  double now_ = 0;  // lambda * the decode step at hand
  HeapPlaces places_;
  std::vector<BlockHeap> heaps_;  // by buffer
};

}  // namespace

void register_policy_lrfu(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "lrfu";
  info.doc = "least recently/frequently used per layer: each use counts 2^(-lambda * its age)";
  info.source = "Lee et al., IEEE Transactions on Computers 50(12), 2001";
  info.information = Information::kCausal;
  info.parameters = {{"lambda", "0 is LFU, 1 is LRU", "halvings per decode step", 0.3, 0, 1, false}};
  info.by_default = false;
  info.buffer_per_layer = true;
  info.make = [](const Parameters& p) { return per_layer_buffers(RecencyFrequencyOrder(p.at("lambda"))); };
  registry.add(std::move(info));
}

}  // namespace kvplace
