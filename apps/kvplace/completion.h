/// Scripts by which shells complete a command line of kvplace, made from its description.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace kvplace::cli {

[[nodiscard]] std::string bash_completion(const CLI::App& parser);
[[nodiscard]] std::string zsh_completion(const CLI::App& parser);
[[nodiscard]] std::string fish_completion(const CLI::App& parser);

}  // namespace kvplace::cli
