/// The manual page kvplace(1), made from the description of the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace kvplace::cli {

/// In the macros of man(7).
[[nodiscard]] std::string man_page(const CLI::App& parser);

}  // namespace kvplace::cli
