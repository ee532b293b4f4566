/// lfu-aging:
///
///     on a hit:   key(block) = ++uses(block) + age of the buffer
///     on entry:   uses(block) = 1;  key(block) = 1 + age
///     to make room:   evict the least key, of equal ones the one used longest ago;  age = aging x that key
#include "kvplace/policy/registry.h"
#include "policy/support/block_heap.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {
namespace {

/// A block's key is how often it was used since it entered, plus the age of the buffer at its last use. The least key
/// leaves, of equal ones the one used longest ago, and becomes the age.
class AgingFrequencyOrder {
 public:
  explicit AgingFrequencyOrder(double aging) : aging_(aging) {}

  void start(const PolicyContext& context, std::size_t num_buffers) {
    places_.assign(context.instance->num_blocks(), 0);
    uses_.assign(context.instance->num_blocks(), 0);
    heaps_.assign(num_buffers, BlockHeap(places_));
    ages_.assign(num_buffers, 0);
  }
  void hit(std::size_t buffer, std::span<const BlockIndex> hits) {
    for (const BlockIndex block : hits) {
      heaps_[buffer].change(block, ++uses_[block.value()] + ages_[buffer]);
    }
  }
  void insert(std::size_t buffer, BlockIndex block) {
    uses_[block.value()] = 1;
    heaps_[buffer].add(block, 1 + ages_[buffer]);
  }
  void remove(std::size_t buffer, std::span<const BlockIndex> ended) {
    for (const BlockIndex block : ended) {
      heaps_[buffer].remove(block);
    }
  }
  BlockIndex take_victim(std::size_t buffer) {
    ages_[buffer] = aging_ * heaps_[buffer].least_value();
    return heaps_[buffer].take_least();
  }

 private:
  double aging_;
  HeapPlaces places_;
  std::vector<std::uint32_t> uses_;  // by BlockIndex
  std::vector<BlockHeap> heaps_;     // by buffer
  std::vector<double> ages_;         // by buffer
};

}  // namespace

void register_policy_lfu_aging(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "lfu-aging";
  info.doc = "least frequently used per layer, with dynamic aging; aging=0 is plain LFU";
  info.source = "LFU-DA: Arlitt et al., Performance Evaluation Review 27(4), 2000";
  info.information = Information::kCausal;
  info.parameters = {
      {"aging", "share of the last victim's key that becomes the buffer's age", "share", 1, 0, 1, false}};
  info.by_default = false;
  info.buffer_per_layer = true;
  info.make = [](const Parameters& p) { return per_layer_buffers(AgingFrequencyOrder(p.at("aging"))); };
  registry.add(std::move(info));
}

}  // namespace kvplace
