/// s3-fifo:
///
///     on entry:   remembered: push to main;  else push to small
///     on a hit:   count it, 3 at most
///     to make room:   main over its share: its front leaves, or goes round again with one hit less;
///                     else small's front: fewer than `threshold` hits: evict, remember;  else move to main
#include <algorithm>

#include "kvplace/policy/registry.h"
#include "policy/support/block_list.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {
namespace {

/// Three queues, first in, first out. Blocks enter the small one; those read twice there go on to the main one, the
/// others leave and are remembered, to enter the main one if read again soon. In the main one a block gets another
/// round for each of up to three reads.
class ThreeFifoOrder {
 public:
  ThreeFifoOrder(double small_share, double ghost_share, std::uint8_t threshold)
      : small_share_(small_share), ghost_share_(ghost_share), threshold_(threshold) {}

  void start(const PolicyContext& context, std::size_t num_buffers) {
    instance_ = context.instance;
    links_.reset(*instance_);
    queues_.clear();
    for (std::size_t buffer = 0; buffer < num_buffers; ++buffer) {
      const Bytes budget = buffer_budget(*instance_, num_buffers, buffer);
      const Bytes block = block_of_buffer(*instance_, num_buffers, buffer);
      const Bytes small = share_in_blocks(budget, small_share_, block);
      queues_.push_back({BlockList(links_), BlockList(links_), BlockList(links_), small, budget - small,
                         share_in_blocks(budget, ghost_share_, block), false});
    }
    place_.assign(instance_->num_blocks(), Place::kNone);
    reads_.assign(instance_->num_blocks(), 0);
  }
  void hit(std::size_t, std::span<const BlockIndex> hits) {
    for (const BlockIndex block : hits) {
      std::uint8_t& reads = reads_[block.value()];
      reads = static_cast<std::uint8_t>(std::min(reads + 1, 255));
    }
  }
  void expect(std::size_t buffer, BlockIndex block) {
    was_ghost_ = place_[block.value()] == Place::kGhost;
    if (was_ghost_) {
      queues_[buffer].ghosts.remove(block);
      place_[block.value()] = Place::kNone;
    }
  }
  void insert(std::size_t buffer, BlockIndex block) {
    Queues& queues = queues_[buffer];
    // Before the buffer is full for the first time, what the small queue has no room for is not yet held to be cold.
    const bool to_main = was_ghost_ || (!queues.was_full && queues.small.bytes() >= queues.most_small);
    put(to_main ? queues.main : queues.small, to_main ? Place::kMain : Place::kSmall, block);
  }
  void remove(std::size_t buffer, std::span<const BlockIndex> ended) {
    for (const BlockIndex block : ended) {
      (place_[block.value()] == Place::kMain ? queues_[buffer].main : queues_[buffer].small).remove(block);
      place_[block.value()] = Place::kNone;
    }
  }
  BlockIndex take_victim(std::size_t buffer) {
    Queues& queues = queues_[buffer];
    queues.was_full = true;
    if (queues.main.bytes() <= queues.most_main) {
      while (!queues.small.empty()) {
        const BlockIndex block = queues.small.pop_front();
        if (reads_[block.value()] < threshold_) {
          remember(queues, block);
          return block;
        }
        put(queues.main, Place::kMain, block);
      }
    }
    for (;;) {
      const BlockIndex block = queues.main.pop_front();
      const std::uint8_t reads = std::min(reads_[block.value()], kMostRounds);
      if (reads == 0) {
        place_[block.value()] = Place::kNone;
        return block;
      }
      put(queues.main, Place::kMain, block);
      reads_[block.value()] = static_cast<std::uint8_t>(reads - 1);
    }
  }

 private:
  static constexpr std::uint8_t kMostRounds = 3;
  enum class Place : std::uint8_t { kNone, kSmall, kMain, kGhost };
  struct Queues {
    BlockList small;
    BlockList main;
    BlockList ghosts;
    Bytes most_small;
    Bytes most_main;
    Bytes most_ghosts;
    bool was_full;
  };

  void put(BlockList& queue, Place place, BlockIndex block) {
    queue.push_back(block);
    place_[block.value()] = place;
    reads_[block.value()] = 0;
  }
  void remember(Queues& queues, BlockIndex block) {
    put(queues.ghosts, Place::kGhost, block);
    while (queues.ghosts.bytes() > queues.most_ghosts) {
      place_[queues.ghosts.pop_front().value()] = Place::kNone;
    }
  }

  double small_share_;
  double ghost_share_;
  std::uint8_t threshold_;
  const Instance* instance_ = nullptr;
  bool was_ghost_ = false;  // the block expected
  BlockLinks links_;
  std::vector<Queues> queues_;       // by buffer
  std::vector<Place> place_;         // by BlockIndex
  std::vector<std::uint8_t> reads_;  // by BlockIndex: since it entered its queue
};

}  // namespace

void register_policy_s3_fifo(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "s3-fifo";
  info.doc = "S3-FIFO per layer: a small queue filters what is read once, the main one gives rounds for reads";
  info.source = "Yang et al., SOSP 2023; filling as in its authors' libCacheSim";
  info.information = Information::kCausal;
  info.parameters = {
      {"small", "small queue", "share of the buffer", 0.1, 0, 1, false},
      {"ghosts", "blocks remembered that left the small queue", "share of the buffer", 0.9, 0, 10, false},
      {"threshold", "reads in the small queue that make a block go on", "reads", 2, 1, 100, true}};
  info.by_default = false;
  info.buffer_per_layer = true;
  info.make = [](const Parameters& p) {
    return per_layer_buffers(
        ThreeFifoOrder(p.at("small"), p.at("ghosts"), static_cast<std::uint8_t>(p.at("threshold"))));
  };
  registry.add(std::move(info));
}

}  // namespace kvplace
