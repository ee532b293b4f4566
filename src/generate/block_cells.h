/// Blocks in cells from which one can be taken at random or by name, each in constant time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kvplace::generate {

/// With each block something is kept, beside its place, since both are needed together.
template <class Block>
class BlockCells {
 public:
  static constexpr std::uint16_t kNone = 0xffff;

  explicit BlockCells(std::size_t num_cells) : cells_(num_cells), counts_(num_cells) {}

  void add_block() { blocks_.emplace_back(); }
  [[nodiscard]] std::size_t size() const { return blocks_.size(); }
  [[nodiscard]] Block& operator[](std::size_t block) { return blocks_[block].kept; }
  [[nodiscard]] const Block& operator[](std::size_t block) const { return blocks_[block].kept; }

  /// REQUIRES: the block is in no cell.
  void put(std::uint32_t block, std::size_t cell) {
    blocks_[block].at = static_cast<std::uint32_t>(cells_[cell].size());
    blocks_[block].cell = static_cast<std::uint16_t>(cell);
    cells_[cell].push_back(block);
    ++counts_[cell];
  }
  /// REQUIRES: the block is in a cell.
  void take(std::uint32_t block) {
    const Entry place = blocks_[block];
    std::vector<std::uint32_t>& cell = cells_[place.cell];
    const std::uint32_t last = cell.back();
    cell[place.at] = last;
    blocks_[last].at = place.at;
    cell.pop_back();
    --counts_[place.cell];
    blocks_[block].cell = kNone;
  }
  void move(std::uint32_t block, std::size_t cell) {
    take(block);
    put(block, cell);
  }

  void prefetch(std::uint32_t block) const { __builtin_prefetch(&blocks_[block], 1); }
  [[nodiscard]] std::uint16_t cell_of(std::uint32_t block) const { return blocks_[block].cell; }
  [[nodiscard]] const std::vector<std::uint32_t>& members(std::size_t cell) const { return cells_[cell]; }
  /// Of all cells.
  [[nodiscard]] std::span<const std::uint32_t> counts() const { return counts_; }

 private:
  struct Entry {
    Block kept;
    std::uint32_t at = 0;
    std::uint16_t cell = kNone;
  };
  std::vector<std::vector<std::uint32_t>> cells_;
  std::vector<std::uint32_t> counts_;
  std::vector<Entry> blocks_;
};

}  // namespace kvplace::generate
