/// Blocks in cells from which one can be taken at random or by name, each in constant time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kvplace::generate {

/// Of a block no more is kept here than its place and a mark, in eight bytes: what is gone through most stays in a
/// cache.
class BlockCells {
 public:
  static constexpr std::uint16_t kNone = 0xffff;

  explicit BlockCells(std::size_t num_cells) : rooms_(num_cells), counts_(num_cells) {}

  void add_blocks(std::size_t count) {
    if (blocks_.empty()) {
      blocks_.reserve(count + count / 8);  // a few are usually added later
    }
    blocks_.resize(blocks_.size() + count);
  }
  [[nodiscard]] std::size_t size() const { return blocks_.size(); }
  /// Whatever the caller wants to know of a block that is in its turn.
  [[nodiscard]] std::uint16_t mark(std::uint32_t block) const { return blocks_[block].mark; }
  void set_mark(std::uint32_t block, std::uint16_t mark) { blocks_[block].mark = mark; }

  /// So many blocks can be put into the cell by put_reserved().
  void reserve(std::size_t cell, std::size_t count) {
    std::vector<std::uint32_t>& room = rooms_[cell];
    if (counts_[cell] + count > room.size()) {
      room.resize(counts_[cell] + count + room.size() + 8);
    }
  }
  /// REQUIRES: the block is in no cell.
  void put(std::uint32_t block, std::size_t cell) {
    reserve(cell, 1);
    put_reserved(block, cell);
  }
  /// REQUIRES: as put(), and there is room.
  void put_reserved(std::uint32_t block, std::size_t cell) {
    const std::uint32_t at = counts_[cell]++;
    rooms_[cell].data()[at] = block;
    blocks_[block].at = at;
    blocks_[block].cell = static_cast<std::uint16_t>(cell);
  }
  /// REQUIRES: the block is in a cell.
  void take(std::uint32_t block) {
    const Entry place = blocks_[block];
    std::uint32_t* const members = rooms_[place.cell].data();
    const std::uint32_t left = --counts_[place.cell];
    const std::uint32_t last = members[left];
    members[place.at] = last;
    blocks_[last].at = place.at;
    blocks_[block].cell = kNone;
  }
  /// Takes the block at a place of the cell, and returns it.
  std::uint32_t take_at(std::size_t cell, std::uint32_t at) {
    std::uint32_t* const members = rooms_[cell].data();
    const std::uint32_t block = members[at];
    const std::uint32_t last = members[--counts_[cell]];
    members[at] = last;
    blocks_[last].at = at;
    blocks_[block].cell = kNone;
    return block;
  }
  void move(std::uint32_t block, std::size_t cell) {
    take(block);
    put(block, cell);
  }
  /// REQUIRES: the block is in another cell, and there is room.
  void move_reserved(std::uint32_t block, std::size_t cell) {
    // As take() and put_reserved(), but all is loaded before anything is stored, lest loads wait for the stores.
    const Entry from = blocks_[block];
    std::uint32_t* const members = rooms_[from.cell].data();
    std::uint32_t* const new_members = rooms_[cell].data();
    const std::uint32_t left = counts_[from.cell] - 1;
    const std::uint32_t at = counts_[cell];
    const std::uint32_t last = members[left];
    counts_[from.cell] = left;
    counts_[cell] = at + 1;
    members[from.at] = last;
    new_members[at] = block;
    blocks_[last].at = from.at;
    blocks_[block] = {at, static_cast<std::uint16_t>(cell), from.mark};
  }

  void prefetch(std::uint32_t block) const { __builtin_prefetch(&blocks_[block], 1); }
  [[nodiscard]] std::uint16_t cell_of(std::uint32_t block) const { return blocks_[block].cell; }
  [[nodiscard]] std::span<const std::uint32_t> members(std::size_t cell) const {
    return {rooms_[cell].data(), counts_[cell]};
  }
  /// Of all cells.
  [[nodiscard]] std::span<const std::uint32_t> counts() const { return counts_; }

 private:
  struct Entry {
    std::uint32_t at = 0;
    std::uint16_t cell = kNone;
    std::uint16_t mark = 0;
  };
  std::vector<std::vector<std::uint32_t>> rooms_;  ///< by cell; the first counts_[cell] places are taken
  std::vector<std::uint32_t> counts_;
  std::vector<Entry> blocks_;
};

}  // namespace kvplace::generate
