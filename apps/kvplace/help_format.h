/// How --help shows a flag.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace kvplace::cli {

/// A flag's value as it is named, without the ranges that its checks know; "..." only where several values may follow
/// one flag, and not where the flag is repeated for each.
class HelpFormat : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_option_desc(const CLI::Option* option) const override;
};

/// Text without the backquotes that stand around what is typed as it is written.
[[nodiscard]] std::string plain(std::string text);

/// What an option means and, if it has a default, in brackets what that is. The default is told by default_str().
[[nodiscard]] std::string description(const CLI::Option& option);

/// The name of an option's value, "FILE" or "inclusive|exclusive"; empty if it takes none.
[[nodiscard]] std::string value_name(const CLI::Option& option);

/// Whether a flag may be followed by several values, or a positional argument stand for several.
[[nodiscard]] bool takes_several(const CLI::Option& option);

/// Whether a flag may be given several times, each time with one value.
[[nodiscard]] bool is_repeatable(const CLI::Option& option);

/// "-o", "--out".
[[nodiscard]] std::vector<std::string> flag_names(const CLI::Option& option);

}  // namespace kvplace::cli
