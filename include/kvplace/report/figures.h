/// Figures of results, made from their JSON (docs/json.md), so that a figure shows what the JSON says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/report/page.h"

namespace kvplace {

/// The figures of a kind of result: "compare", "bound", "size", "budgets", "advise", "info" or "report". What a result
/// has not (as the JSON of one that was interrupted) gets a figure that says so.
///
/// Errors: bad input for another kind, or for JSON that is no such result.
[[nodiscard]] Result<std::vector<Figure>> figures_of(std::string_view kind, const std::string& json);

}  // namespace kvplace
