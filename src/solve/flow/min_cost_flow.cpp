// Compiled as C++17: LEMON 1.3.1 uses members of std::allocator that C++20 took away.
#include "solve/flow/min_cost_flow.h"

#include <lemon/network_simplex.h>
#include <lemon/smart_graph.h>

namespace kvplace {

FlowSolution min_cost_flow(const std::vector<std::int64_t>& supply, const std::vector<FlowArc>& arcs) {
  using Graph = lemon::SmartDigraph;
  Graph graph;
  graph.reserveNode(static_cast<int>(supply.size()));
  graph.reserveArc(static_cast<int>(arcs.size()));
  for (std::size_t i = 0; i < supply.size(); ++i) {
    graph.addNode();
  }
  for (const FlowArc& arc : arcs) {
    graph.addArc(Graph::nodeFromId(static_cast<int>(arc.from)), Graph::nodeFromId(static_cast<int>(arc.to)));
  }
  Graph::NodeMap<std::int64_t> supplies(graph);
  for (std::size_t i = 0; i < supply.size(); ++i) {
    supplies[Graph::nodeFromId(static_cast<int>(i))] = supply[i];
  }
  Graph::ArcMap<std::int64_t> capacities(graph);
  Graph::ArcMap<std::int64_t> costs(graph);
  for (std::size_t i = 0; i < arcs.size(); ++i) {
    const Graph::Arc arc = Graph::arcFromId(static_cast<int>(i));
    capacities[arc] = arcs[i].capacity;
    costs[arc] = arcs[i].cost;
  }
  using Simplex = lemon::NetworkSimplex<Graph, std::int64_t, std::int64_t>;
  Simplex simplex(graph);
  simplex.upperMap(capacities).costMap(costs).supplyMap(supplies);
  FlowSolution solution;
  solution.optimal = simplex.run() == Simplex::OPTIMAL;
  if (!solution.optimal) {
    return solution;
  }
  solution.flow.resize(arcs.size());
  for (std::size_t i = 0; i < arcs.size(); ++i) {
    solution.flow[i] = simplex.flow(Graph::arcFromId(static_cast<int>(i)));
  }
  solution.price.resize(supply.size());
  for (std::size_t i = 0; i < supply.size(); ++i) {
    solution.price[i] = simplex.potential(Graph::nodeFromId(static_cast<int>(i)));
  }
  return solution;
}

}  // namespace kvplace
