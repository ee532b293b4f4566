/// Pages on their way between near frames and far memory, beside the computation.
///
/// Demand is what a step waits for: reads of far pages, new KV, demotions, and promotions of copies within the step.
/// The background is promotions that nobody waits for: they are put on their way only while no demand is, a few at a
/// time, so that what comes next waits for no more than those.
#pragma once

#include <cstdint>
#include <vector>

#include "kvplace/base/units.h"
#include "kvplace/runtime/memory.h"
#include "kvplace/runtime/traffic.h"

namespace kvplace {

class Mover {
 public:
  /// `page_bytes`: of a transfer. `far` must outlive it.
  Mover(Memory& far, std::uint32_t page_bytes) : far_(far), page_bytes_(page_bytes) {}

  struct Moved {
    BlockIndex block;
    Direction direction = Direction::kRead;
  };

  /// Puts a page on its way, with the next flush(). Frame and place in far memory must stay as they are until it has
  /// moved.
  void move(BlockIndex block, Moves kind, std::uint64_t far_offset, std::byte* frame);
  /// Hands over what was put on its way since, together.
  [[nodiscard]] Status flush();

  /// Appends what has moved since; with `wait` something has, unless nothing is on its way.
  [[nodiscard]] Status poll(bool wait, std::vector<Moved>& moved);

  [[nodiscard]] bool idle() const { return demand_ == 0 && background_ == 0; }
  [[nodiscard]] std::size_t demand() const { return demand_; }
  [[nodiscard]] bool may_start_background() const { return demand_ == 0 && background_ < kMostInBackground; }
  [[nodiscard]] const Traffic& traffic() const { return traffic_; }
  /// A far page that is read where it lies.
  void note_read_in_place() { ++traffic_.pages[static_cast<std::size_t>(Moves::kRead)]; }
  void forget_traffic() { traffic_ = {}; }

 private:
  static constexpr std::size_t kMostInBackground = 4;

  Memory& far_;
  std::uint32_t page_bytes_;
  std::size_t demand_ = 0;
  std::size_t background_ = 0;
  Traffic traffic_;
  std::vector<Piece> pieces_;  // not handed over yet
  std::vector<std::uint64_t> complete_;
};

}  // namespace kvplace
