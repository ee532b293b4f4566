// Flows of least cost against the linear programme, and their prices against what proves them.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>

#include "solve/exact/coin.h"
#include "solve/flow/min_cost_flow.h"

namespace kvplace {
namespace {

struct Network {
  std::vector<std::int64_t> supply;
  std::vector<FlowArc> arcs;
};

/// There is always a way through: a dear one from every node to the next, round.
Network random_network() {
  Network network;
  const auto nodes = *rc::gen::inRange<std::uint32_t>(2, 9);
  network.supply.assign(nodes, 0);
  for (std::uint32_t node = 0; node < nodes; ++node) {
    network.arcs.push_back({node, (node + 1) % nodes, 1'000'000, 1000});
    const auto amount = *rc::gen::inRange<std::int64_t>(0, 20);
    network.supply[node] += amount;
    network.supply[*rc::gen::inRange<std::uint32_t>(0, nodes)] -= amount;
  }
  const auto more = *rc::gen::inRange<std::size_t>(0, 30);
  for (std::size_t i = 0; i < more; ++i) {
    network.arcs.push_back({*rc::gen::inRange<std::uint32_t>(0, nodes), *rc::gen::inRange<std::uint32_t>(0, nodes),
                            *rc::gen::inRange<std::int64_t>(0, 15), *rc::gen::inRange<std::int64_t>(0, 50)});
  }
  return network;
}

RC_GTEST_PROP(MinCostFlow, IsTheLinearProgrammes, ()) {
  const Network network = random_network();
  LinearProgram program;
  for (const FlowArc& arc : network.arcs) {
    program.add_column(0, static_cast<double>(arc.capacity), static_cast<double>(arc.cost));
  }
  for (std::uint32_t node = 0; node < network.supply.size(); ++node) {
    const auto supply = static_cast<double>(network.supply[node]);
    const int row = program.add_row(supply, supply);
    for (std::size_t i = 0; i < network.arcs.size(); ++i) {
      const FlowArc& arc = network.arcs[i];
      if (arc.from != arc.to && (arc.from == node || arc.to == node)) {
        program.add_entry(row, static_cast<int>(i), arc.from == node ? 1 : -1);
      }
    }
  }
  const FlowSolution flow = min_cost_flow(network.supply, network.arcs);
  RC_ASSERT(flow.optimal);
  std::int64_t cost = 0;
  std::vector<std::int64_t> left = network.supply;
  for (std::size_t i = 0; i < network.arcs.size(); ++i) {
    const FlowArc& arc = network.arcs[i];
    RC_ASSERT(flow.flow[i] >= 0 && flow.flow[i] <= arc.capacity);
    left[arc.from] -= flow.flow[i];
    left[arc.to] += flow.flow[i];
    cost += flow.flow[i] * arc.cost;
    // What has room is not worth using; what is used is worth it.
    const std::int64_t gain = flow.price[arc.to] - flow.price[arc.from] - arc.cost;
    RC_ASSERT(flow.flow[i] == arc.capacity || gain <= 0);
    RC_ASSERT(flow.flow[i] == 0 || gain >= 0);
  }
  RC_ASSERT(std::all_of(left.begin(), left.end(), [](std::int64_t amount) { return amount == 0; }));
  const RunContext context;
  const LinearSolution solved =
      solve_relaxed(program, {std::chrono::steady_clock::now() + std::chrono::seconds(60), &context});
  RC_ASSERT(solved.optimal);
  RC_ASSERT(std::abs(solved.objective - static_cast<double>(cost)) < 1e-6 * (1 + static_cast<double>(cost)));
}

}  // namespace
}  // namespace kvplace
