/// Budgets and sizes as JSON text, with the keys of docs/json.md, and as files.
#pragma once

#include <optional>
#include <string>

#include "kvplace/size/budgets.h"
#include "kvplace/size/engine_settings.h"
#include "kvplace/size/size.h"

namespace kvplace {

/// Settings, or why there are none.
struct EngineAdvice {
  std::optional<EngineSettings> settings;
  std::string why_none;  ///< empty with settings
};

/// The settings of the buffer that an answer for `lru` stands for.
[[nodiscard]] EngineAdvice engine_advice(const TraceReader& trace, const Instance& instance, const SizeResult& result);
/// The settings nearest to the budgets: engines take one size for all layers.
[[nodiscard]] EngineAdvice engine_advice(const BudgetTrace& trace, const LayerBudgets& budgets);

[[nodiscard]] std::string to_json(const SizeResult& result, const TraceReader& trace, const Instance& instance);
[[nodiscard]] std::string to_json(const LayerBudgets& budgets, const BudgetTrace& trace);

/// Bad input unless budgets can be written under that name: .json or .toml.
[[nodiscard]] Status check_layer_budgets_name(const std::string& path);

/// Writes what --layer-budgets reads back: .json the whole result, .toml the budgets with what they were made for. The
/// file appears only when it is complete. Errors: bad input for another ending.
[[nodiscard]] Status write_layer_budgets(const std::string& path, const LayerBudgets& budgets,
                                         const BudgetTrace& trace);

}  // namespace kvplace
