/// Flows of least cost, with prices that prove it.
#pragma once

#include <cstdint>
#include <vector>

namespace kvplace {

struct FlowArc {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::int64_t capacity = 0;
  std::int64_t cost = 0;
};

struct FlowSolution {
  bool optimal = false;
  std::vector<std::int64_t> flow;   ///< by arc
  std::vector<std::int64_t> price;  ///< by node: price[to] - price[from] <= cost along arcs with room
};

/// `supply`: by node, summing to zero. By LEMON's network simplex; not interruptible.
[[nodiscard]] FlowSolution min_cost_flow(const std::vector<std::int64_t>& supply, const std::vector<FlowArc>& arcs);

}  // namespace kvplace
