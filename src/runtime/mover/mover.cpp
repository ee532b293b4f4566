#include "runtime/mover/mover.h"

namespace kvplace {
namespace {

constexpr unsigned kKindShift = 32;  // of a tag, above the block

constexpr Direction direction_of(Moves kind) {
  return kind == Moves::kDemote || kind == Moves::kNewKv ? Direction::kWrite : Direction::kRead;
}

}  // namespace

void Mover::move(BlockIndex block, Moves kind, std::uint64_t far_offset, std::byte* frame) {
  const std::uint64_t tag = std::uint64_t{block.value()} | std::uint64_t{static_cast<std::uint8_t>(kind)} << kKindShift;
  pieces_.push_back({direction_of(kind), far_offset, frame, page_bytes_, tag});
  ++(kind == Moves::kPromoteIdle ? background_ : demand_);
  ++traffic_.pages[static_cast<std::size_t>(kind)];
}

Status Mover::flush() {
  if (pieces_.empty()) {
    return {};
  }
  Status status = far_.submit(pieces_);
  pieces_.clear();
  return status;
}

Status Mover::poll(bool wait, std::vector<Moved>& moved) {
  complete_.clear();
  KVPLACE_TRY(flush());
  KVPLACE_TRY(far_.collect(complete_, wait));
  for (const std::uint64_t tag : complete_) {
    const auto kind = static_cast<Moves>(tag >> kKindShift);
    --(kind == Moves::kPromoteIdle ? background_ : demand_);
    moved.push_back({BlockIndex(static_cast<std::uint32_t>(tag)), direction_of(kind)});
  }
  return {};
}

}  // namespace kvplace
