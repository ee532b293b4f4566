/// Doubly linked lists of blocks without allocation: any block is taken out in O(1), and each list knows its bytes.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "kvplace/instance/instance.h"

namespace kvplace {

/// The links of all lists whose members are disjoint, by BlockIndex, and what a list needs to know of its blocks.
class BlockLinks {
 public:
  void reset(const Instance& instance) {
    instance_ = &instance;
    links_.assign(instance.num_blocks(), {});
  }

 private:
  friend class BlockList;
  struct Link {
    std::uint32_t previous = 0;
    std::uint32_t next = 0;
  };
  std::vector<Link> links_;
  const Instance* instance_ = nullptr;
};

/// One list, oldest first. A block is in at most one list of the same links.
class BlockList {
 public:
  explicit BlockList(BlockLinks& links) : links_(&links) {}

  [[nodiscard]] bool empty() const { return first_ == kNone; }
  [[nodiscard]] Bytes bytes() const { return bytes_; }
  /// REQUIRES: not empty.
  [[nodiscard]] BlockIndex front() const { return BlockIndex(first_); }
  [[nodiscard]] BlockIndex back() const { return BlockIndex(last_); }
  /// The block that came after `block`. REQUIRES: `block` is in this list and is not its last.
  [[nodiscard]] BlockIndex after(BlockIndex block) const { return BlockIndex(links_->links_[block.value()].next); }

  /// REQUIRES: `block` is in no list of these links.
  void push_back(BlockIndex block) {
    links_->links_[block.value()] = {last_, kNone};
    (last_ == kNone ? first_ : links_->links_[last_].next) = block.value();
    last_ = block.value();
    bytes_ += links_->instance_->block_bytes(block);
  }
  /// REQUIRES: `block` is in this list.
  void remove(BlockIndex block) {
    const BlockLinks::Link link = links_->links_[block.value()];
    (link.previous == kNone ? first_ : links_->links_[link.previous].next) = link.next;
    (link.next == kNone ? last_ : links_->links_[link.next].previous) = link.previous;
    bytes_ -= links_->instance_->block_bytes(block);
  }
  void move_to_back(BlockIndex block) {
    if (last_ != block.value()) {
      remove(block);
      push_back(block);
    }
  }
  /// REQUIRES: not empty.
  BlockIndex pop_front() {
    const BlockIndex block = front();
    remove(block);
    return block;
  }

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;

  BlockLinks* links_;
  std::uint32_t first_ = kNone;
  std::uint32_t last_ = kNone;
  Bytes bytes_;
};

}  // namespace kvplace
