/// What a selection method chose: per decode step the blocks read, and their ranking.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/base/units.h"

namespace kvplace {

/// Lists of block ids one behind the other: list i is ids[offsets[i]] ... ids[offsets[i + 1] - 1].
struct IdLists {
  std::vector<std::uint64_t> offsets{0};
  std::vector<BlockId> ids;

  [[nodiscard]] std::size_t size() const { return offsets.size() - 1; }
  /// REQUIRES: i < size().
  [[nodiscard]] std::span<const BlockId> operator[](std::size_t i) const {
    return std::span(ids).subspan(offsets[i], offsets[i + 1] - offsets[i]);
  }
  void add(std::span<const BlockId> list) {
    ids.insert(ids.end(), list.begin(), list.end());
    offsets.push_back(ids.size());
  }
};

/// One layer over consecutive decode steps. A ranking has max(requested depth, size of the set) ids, fewer only if
/// fewer blocks exist; its first |set| ids are the set, best first, the others the runners-up, best first. Equal
/// scores: the lower id first.
struct Selection {
  std::uint32_t steps = 0;
  IdLists sets;  ///< list s: the layer's set in step s, ascending: the union of the heads' sets, what a trace stores
  IdLists rankings;  ///< list s: the layer's ranking in step s; no lists if the depth asked for is 0

  /// Sets per step and layer that were chosen independently: query heads, KV heads, or 0 if there is only the layer's.
  std::uint32_t heads = 0;
  IdLists head_sets;      ///< list s * heads + h, ascending
  IdLists head_rankings;  ///< list s * heads + h
};

}  // namespace kvplace
