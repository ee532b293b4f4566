/// clock:
///
///     on a hit:   mark the block
///     on entry:   push it to the back of its layer's ring, unmarked
///     to make room:   while the front is marked: unmark it, move it to the back;  evict the front
#include <deque>

#include "kvplace/policy/registry.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {
namespace {

/// The hand passes blocks in order of entry; one that was read since the hand last passed gets another round.
class ClockOrder {
 public:
  void start(const PolicyContext& context, std::size_t num_buffers) {
    rings_.assign(num_buffers, {});
    was_read_.assign(context.instance->num_blocks(), 0);
  }
  void hit(std::size_t, std::span<const BlockIndex> hits) {
    for (const BlockIndex block : hits) {
      was_read_[block.value()] = 1;
    }
  }
  void insert(std::size_t buffer, BlockIndex block) {
    was_read_[block.value()] = 0;
    rings_[buffer].push_back(block);
  }
  void remove(std::size_t buffer, std::span<const BlockIndex> ended) { erase_ended(rings_[buffer], ended); }
  BlockIndex take_victim(std::size_t buffer) {
    std::deque<BlockIndex>& ring = rings_[buffer];
    for (;;) {
      const BlockIndex block = ring.front();
      ring.pop_front();
      if (was_read_[block.value()] == 0) {
        return block;
      }
      was_read_[block.value()] = 0;
      ring.push_back(block);
    }
  }

 private:
  std::vector<std::deque<BlockIndex>> rings_;
  std::vector<std::uint8_t> was_read_;  // by BlockIndex, since the hand last passed
};

}  // namespace

void register_policy_clock(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "clock";
  info.doc = "a hot buffer per layer, second chance for blocks read since the hand passed";
  info.source = "classic; SGLang's multi-step kernel";
  info.information = Information::kCausal;
  info.buffer_per_layer = true;
  info.make = [](const Parameters&) { return per_layer_buffers(ClockOrder()); };
  registry.add(std::move(info));
}

}  // namespace kvplace
