#include "select/support/budget.h"

#include <algorithm>
#include <cmath>

namespace kvplace {
namespace {

double value_or(const Parameters& parameters, const std::string& name, double otherwise) {
  const auto found = parameters.find(name);
  return found == parameters.end() ? otherwise : found->second;
}

}  // namespace

void add_budget_parameters(SelectMethodInfo& info, const std::string& count_name, double count) {
  info.count_parameter = count_name;
  info.parameters.push_back({count_name, "size of a set", "blocks", count, 1, kMostBlocks, true});
  info.parameters.push_back({"share", "size of a set, rounded up; 0 = " + count_name + " says it",
                             "share of the blocks that exist", 0, 0, 1, false});
  info.parameters.push_back({"sinks", "first blocks that are always read", "blocks", 0, 0, kMostBlocks, true});
  info.parameters.push_back(
      {"recent", "last blocks that are always read, with the one being written", "blocks", 1, 1, kMostBlocks, true});
}

ParameterInfo block_parameter(const std::string& name, double tokens) {
  return {name, "size of a block", "tokens", tokens, 1, 65536, true};
}

ParameterInfo sets_parameter() {
  return {"sets", "one set for the layer, or one per KV head or query head, whose union the layer reads",
          "word", 0,
          0,      2,
          true,   {"layer", "kv-head", "query-head"}};
}

BudgetRule::BudgetRule(const Parameters& parameters, const std::string& count_name)
    : count_(static_cast<std::uint32_t>(value_or(parameters, count_name, 0))),
      share_(value_or(parameters, "share", 0)),
      sinks_(static_cast<std::uint32_t>(value_or(parameters, "sinks", 0))),
      recent_(static_cast<std::uint32_t>(value_or(parameters, "recent", 1))) {}

Budget BudgetRule::at(std::uint32_t blocks) const {
  Budget budget{count_, 0, sinks_, recent_};
  if (share_ > 0) {
    // 0.1 * 30 is a little more than 3: what is that close to a whole number counts as one.
    constexpr double kRoundingError = 1e-9;
    const double exact = std::ceil(share_ * blocks * (1 - kRoundingError));
    const std::uint64_t forced = std::uint64_t{sinks_} + recent_;
    budget.blocks = std::min(blocks, std::max(static_cast<std::uint32_t>(exact),
                                              static_cast<std::uint32_t>(std::min<std::uint64_t>(forced, blocks))));
  }
  return budget;
}

Sets sets_of(const Parameters& parameters) { return static_cast<Sets>(value_or(parameters, "sets", 0)); }

std::uint32_t heads_of(Sets sets, const SelectorShape& shape) {
  switch (sets) {
    case Sets::kKvHead:
      return shape.kv_heads;
    case Sets::kQueryHead:
      return shape.query_heads;
    case Sets::kLayer:
      break;
  }
  return 0;
}

std::uint32_t list_of(Sets sets, const SelectorShape& shape, std::uint32_t query_head) {
  switch (sets) {
    case Sets::kKvHead:
      return query_head / group_size(shape);
    case Sets::kQueryHead:
      return query_head;
    case Sets::kLayer:
      break;
  }
  return 0;
}

}  // namespace kvplace
