/// Blocks by value: the least can be taken, any value changed, O(log blocks). For orders that no list can keep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "kvplace/base/units.h"

namespace kvplace {

/// Where each block is in its heap, by BlockIndex; one table serves all heaps of a policy, as a block is in one of
/// them.
using HeapPlaces = std::vector<std::uint32_t>;

/// A binary heap. Of equal values the one set first is less.
class BlockHeap {
 public:
  explicit BlockHeap(HeapPlaces& places) : places_(&places) {}

  [[nodiscard]] bool empty() const { return nodes_.empty(); }
  /// REQUIRES: not empty.
  [[nodiscard]] double least_value() const { return nodes_.front().value; }
  /// REQUIRES: `block` is in this heap.
  [[nodiscard]] double value_of(BlockIndex block) const { return nodes_[(*places_)[block.value()]].value; }

  /// REQUIRES: `block` is in no heap of this table.
  void add(BlockIndex block, double value) {
    nodes_.push_back({value, clock_++, block});
    rise(nodes_.size() - 1);
  }
  /// REQUIRES: `block` is in this heap.
  void change(BlockIndex block, double value) {
    const std::size_t place = (*places_)[block.value()];
    const bool grows = value >= nodes_[place].value;
    nodes_[place] = {value, clock_++, block};
    grows ? sink(place) : rise(place);
  }
  /// REQUIRES: `block` is in this heap.
  void remove(BlockIndex block) {
    const std::size_t place = (*places_)[block.value()];
    const Node last = nodes_.back();
    nodes_.pop_back();
    if (place < nodes_.size()) {
      const bool falls = nodes_[place].less_than(last);
      put(place, last);
      falls ? sink(place) : rise(place);
    }
  }
  /// REQUIRES: not empty.
  BlockIndex take_least() {
    const BlockIndex block = nodes_.front().block;
    nodes_.front() = nodes_.back();
    nodes_.pop_back();
    if (!nodes_.empty()) {
      sink(0);
    }
    return block;
  }

 private:
  struct Node {
    double value;
    std::uint64_t set_at;
    BlockIndex block;
    [[nodiscard]] bool less_than(const Node& other) const {
      return value != other.value ? value < other.value : set_at < other.set_at;
    }
  };

  void put(std::size_t place, const Node& node) {
    nodes_[place] = node;
    (*places_)[node.block.value()] = static_cast<std::uint32_t>(place);
  }
  void rise(std::size_t place) {
    const Node node = nodes_[place];
    while (place > 0 && node.less_than(nodes_[(place - 1) / 2])) {
      put(place, nodes_[(place - 1) / 2]);
      place = (place - 1) / 2;
    }
    put(place, node);
  }
  void sink(std::size_t place) {
    const Node node = nodes_[place];
    for (;;) {
      std::size_t child = 2 * place + 1;
      if (child >= nodes_.size()) {
        break;
      }
      if (child + 1 < nodes_.size() && nodes_[child + 1].less_than(nodes_[child])) {
        ++child;
      }
      if (!nodes_[child].less_than(node)) {
        break;
      }
      put(place, nodes_[child]);
      place = child;
    }
    put(place, node);
  }

  HeapPlaces* places_;
  std::vector<Node> nodes_;
  std::uint64_t clock_ = 0;
};

}  // namespace kvplace
