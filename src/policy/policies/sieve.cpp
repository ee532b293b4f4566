/// sieve:
///
///     on a hit:   mark the block
///     on entry:   push it as the newest
///     to make room:   from the hand towards the newest, and round again:   a marked block is unmarked and stays;
///                     the first unmarked one leaves, and the hand stays there
#include "kvplace/policy/registry.h"
#include "policy/support/block_list.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {
namespace {

/// One queue by entry. The hand goes from the oldest to the newest and round again; it passes a block read since it
/// last passed, and takes out the first that was not. Unlike clock, blocks passed keep their place.
class SieveOrder {
 public:
  void start(const PolicyContext& context, std::size_t num_buffers) {
    links_.reset(*context.instance);
    sieves_.assign(num_buffers, Sieve{BlockList(links_), BlockIndex(0), false});
    was_read_.assign(context.instance->num_blocks(), 0);
  }
  void hit(std::size_t, std::span<const BlockIndex> hits) {
    for (const BlockIndex block : hits) {
      was_read_[block.value()] = 1;
    }
  }
  void insert(std::size_t buffer, BlockIndex block) {
    was_read_[block.value()] = 0;
    sieves_[buffer].queue.push_back(block);
  }
  void remove(std::size_t buffer, std::span<const BlockIndex> ended) {
    for (const BlockIndex block : ended) {
      take_out(sieves_[buffer], block);
    }
  }
  BlockIndex take_victim(std::size_t buffer) {
    Sieve& sieve = sieves_[buffer];
    BlockIndex block = sieve.hand_is_set ? sieve.hand : sieve.queue.front();
    while (was_read_[block.value()] != 0) {
      was_read_[block.value()] = 0;
      block = block == sieve.queue.back() ? sieve.queue.front() : sieve.queue.after(block);
    }
    sieve.hand = block;
    sieve.hand_is_set = true;
    take_out(sieve, block);
    return block;
  }

 private:
  struct Sieve {
    BlockList queue;
    BlockIndex hand;
    bool hand_is_set;  // else it starts from the oldest
  };

  /// A hand on the block goes on to the next newer one.
  static void take_out(Sieve& sieve, BlockIndex block) {
    if (sieve.hand_is_set && sieve.hand == block) {
      sieve.hand_is_set = block != sieve.queue.back();
      sieve.hand = sieve.hand_is_set ? sieve.queue.after(block) : block;
    }
    sieve.queue.remove(block);
  }

  BlockLinks links_;
  std::vector<Sieve> sieves_;           // by buffer
  std::vector<std::uint8_t> was_read_;  // by BlockIndex, since the hand last passed
};

}  // namespace

void register_policy_sieve(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "sieve";
  info.doc = "SIEVE per layer: a hand takes out the first block not read since it last passed; blocks keep their place";
  info.source = "Zhang et al., NSDI 2024";
  info.information = Information::kCausal;
  info.by_default = false;
  info.buffer_per_layer = true;
  info.make = [](const Parameters&) { return per_layer_buffers(SieveOrder()); };
  registry.add(std::move(info));
}

}  // namespace kvplace
