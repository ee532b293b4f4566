/// 2q:
///
///     on entry:   if remembered in out: push to main (LRU);  else push to in (FIFO)
///     on a hit:   in main: move to the back;  in `in`: nothing
///     to make room:   if in has more than its share: evict its front, remember it in out;  else evict main's front
///     out forgets its front when it holds more than its share
#include "kvplace/policy/registry.h"
#include "policy/support/block_list.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {
namespace {

/// The full version of the paper. A first read enters A1in, first in, first out; a block that left it is remembered in
/// A1out, and one read from far while it is remembered enters Am, least recently used out.
class TwoQueueOrder {
 public:
  TwoQueueOrder(double in_share, double out_share) : in_share_(in_share), out_share_(out_share) {}

  void start(const PolicyContext& context, std::size_t num_buffers) {
    links_.reset(*context.instance);
    queues_.clear();
    for (std::size_t buffer = 0; buffer < num_buffers; ++buffer) {
      const Bytes budget = buffer_budget(*context.instance, num_buffers, buffer);
      queues_.push_back({BlockList(links_), BlockList(links_), BlockList(links_), share_of(budget, in_share_),
                         share_of(budget, out_share_)});
    }
    place_.assign(context.instance->num_blocks(), Place::kNone);
  }
  void hit(std::size_t buffer, std::span<const BlockIndex> hits) {
    for (const BlockIndex block : hits) {
      if (place_[block.value()] == Place::kMain) {
        queues_[buffer].main.move_to_back(block);
      }
    }
  }
  void expect(std::size_t buffer, BlockIndex block) {
    was_out_ = place_[block.value()] == Place::kOut;
    if (was_out_) {
      queues_[buffer].out.remove(block);
      place_[block.value()] = Place::kNone;
    }
  }
  void insert(std::size_t buffer, BlockIndex block) {
    Queues& queues = queues_[buffer];
    (was_out_ ? queues.main : queues.in).push_back(block);
    place_[block.value()] = was_out_ ? Place::kMain : Place::kIn;
  }
  void remove(std::size_t buffer, std::span<const BlockIndex> ended) {
    for (const BlockIndex block : ended) {
      (place_[block.value()] == Place::kMain ? queues_[buffer].main : queues_[buffer].in).remove(block);
      place_[block.value()] = Place::kNone;
    }
  }
  BlockIndex take_victim(std::size_t buffer) {
    Queues& queues = queues_[buffer];
    if (queues.main.empty() || queues.in.bytes() > queues.most_in) {
      const BlockIndex block = queues.in.pop_front();
      remember(queues, block);
      return block;
    }
    const BlockIndex block = queues.main.pop_front();
    place_[block.value()] = Place::kNone;
    return block;
  }

 private:
  enum class Place : std::uint8_t { kNone, kIn, kOut, kMain };
  struct Queues {
    BlockList in;
    BlockList out;
    BlockList main;
    Bytes most_in;
    Bytes most_out;
  };

  void remember(Queues& queues, BlockIndex block) {
    queues.out.push_back(block);
    place_[block.value()] = Place::kOut;
    while (queues.out.bytes() > queues.most_out) {
      place_[queues.out.pop_front().value()] = Place::kNone;
    }
  }

  double in_share_;
  double out_share_;
  bool was_out_ = false;  // the block expected
  BlockLinks links_;
  std::vector<Queues> queues_;  // by buffer
  std::vector<Place> place_;    // by BlockIndex
};

}  // namespace

void register_policy_2q(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "2q";
  info.doc = "2Q per layer: blocks read once pass through a short queue, those read again later get the main one";
  info.source = "Johnson, Shasha, VLDB 1994, full version";
  info.information = Information::kCausal;
  info.parameters = {{"in", "Kin, queue of blocks read for the first time", "share of the buffer", 0.25, 0, 1, false},
                     {"out", "Kout, blocks remembered that left it", "share of the buffer", 0.5, 0, 10, false}};
  info.by_default = false;
  info.buffer_per_layer = true;
  info.make = [](const Parameters& p) { return per_layer_buffers(TwoQueueOrder(p.at("in"), p.at("out"))); };
  registry.add(std::move(info));
}

}  // namespace kvplace
