/// The command's verbs and flags as JSON: `kvplace help --json`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace kvplace::cli {

/// An array of the verbs, or of `only` that one; keys as in docs/json.md.
[[nodiscard]] std::string help_json(const CLI::App& parser, const CLI::App* only);

}  // namespace kvplace::cli
