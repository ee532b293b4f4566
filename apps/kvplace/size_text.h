/// Sizes and budgets as text that a person reads at a glance.
#pragma once

#include <string>

#include "kvplace/size/budgets.h"
#include "kvplace/size/size.h"

namespace kvplace::cli {

[[nodiscard]] std::string table(const SizeResult& result, const TraceReader& trace, const Instance& instance);
/// `first`: the first of the traces given.
[[nodiscard]] std::string table(const LayerBudgets& budgets, const BudgetTrace& first);

}  // namespace kvplace::cli
