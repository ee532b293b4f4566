#include "help_format.h"

namespace kvplace::cli {
namespace {

bool is_unlimited(const CLI::Option& option) {
  return option.get_expected_max() == CLI::detail::expected_max_vector_size;
}

}  // namespace

std::string plain(std::string text) {
  std::erase(text, '`');
  return text;
}

std::string description(const CLI::Option& option) {
  const std::string by_default = option.get_default_str();
  return plain(option.get_description() + (by_default.empty() ? "" : " (default: " + by_default + ")"));
}

std::string value_name(const CLI::Option& option) {
  const std::string type = option.get_type_size() == 0 ? std::string() : option.get_type_name();
  return type.substr(0, type.find(':'));  // behind it stand the checks
}

bool takes_several(const CLI::Option& option) {
  return is_unlimited(option) && (option.get_positional() || option.get_allow_extra_args());
}

bool is_repeatable(const CLI::Option& option) {
  return is_unlimited(option) && !option.get_positional() && !option.get_allow_extra_args();
}

std::vector<std::string> flag_names(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) {
    names.push_back("-" + name);
  }
  for (const std::string& name : option.get_lnames()) {
    names.push_back("--" + name);
  }
  return names;
}

std::string HelpFormat::make_option_opts(const CLI::Option* option) const {
  const std::string value = value_name(*option);
  return (value.empty() ? "" : " " + value) + (takes_several(*option) ? " ..." : "") +
         (option->get_required() ? " (required)" : "");
}

std::string HelpFormat::make_option_desc(const CLI::Option* option) const { return description(*option); }

}  // namespace kvplace::cli
