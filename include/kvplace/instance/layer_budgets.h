/// Budgets per layer as a user writes them: options.layer_shares, and the files of --layer-budgets.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"

namespace kvplace {

/// "[2, 1, 1]", or without brackets: finite numbers, none negative, not all 0.
[[nodiscard]] Result<std::vector<double>> parse_layer_shares(std::string_view text);
/// "[2, 1, 1]"; empty text for no shares.
[[nodiscard]] std::string format_layer_shares(std::span<const double> shares);
/// Bad input unless they are finite, none negative and not all 0.
[[nodiscard]] Status check_layer_shares(std::span<const double> shares);

/// Key of the list in a file of budgets.
inline constexpr const char* kLayerBudgetsKey = "layer_budgets";

/// The list `layer_budgets` of a .json or .toml file, as `kvplace budgets` writes it; other keys are for people.
[[nodiscard]] Result<std::vector<double>> read_layer_budgets(const std::string& path);

}  // namespace kvplace
