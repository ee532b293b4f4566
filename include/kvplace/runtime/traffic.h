/// What the runtime moved between near and far memory.
#pragma once

#include <array>
#include <cstdint>

namespace kvplace {

/// Why a page moves.
enum class Moves : std::uint8_t {
  kRead,         ///< far -> staging: a step reads it; or in place, of far memory that has an address
  kPromote,      ///< far -> near, and a step waits for it
  kPromoteIdle,  ///< far -> near, in idle time of the link
  kDemote,       ///< near -> far, exclusive mode
  kNewKv,        ///< near -> far: a page that is full
};
inline constexpr std::size_t kNumMoves = 5;

/// Pages; each is of one size.
struct Traffic {
  std::array<std::uint64_t, kNumMoves> pages{};

  [[nodiscard]] std::uint64_t of(Moves kind) const { return pages[static_cast<std::size_t>(kind)]; }
  [[nodiscard]] std::uint64_t from_far() const {
    return of(Moves::kRead) + of(Moves::kPromote) + of(Moves::kPromoteIdle);
  }
  [[nodiscard]] std::uint64_t to_far() const { return of(Moves::kDemote) + of(Moves::kNewKv); }
  bool operator==(const Traffic&) const = default;
};

}  // namespace kvplace
