#include "help_json.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "help_format.h"
#include "instance_flags.h"
#include "value_words.h"

namespace kvplace::cli {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const CLI::Option& option) {
  Json names = flag_names(option);
  if (option.get_positional()) {
    names.push_back(option.get_name(true));
  }
  return {{"names", std::move(names)},           {"value", value_name(option)},
          {"required", option.get_required()},   {"several", takes_several(option)},
          {"repeatable", is_repeatable(option)}, {"instance", option.get_group() == kInstanceGroup},
          {"default", option.get_default_str()}, {"doc", option.get_description()}};
}

Json json_of(const CLI::App& verb) {
  Json arguments = Json::array();
  for (const CLI::Option* option : positionals(verb)) {
    arguments.push_back(json_of(*option));
  }
  Json listed = Json::array();
  for (const CLI::Option* option : flags(verb)) {
    if (option != verb.get_help_ptr()) {
      listed.push_back(json_of(*option));
    }
  }
  return {{"verb", verb.get_name()},
          {"doc", verb.get_description()},
          {"arguments", std::move(arguments)},
          {"flags", std::move(listed)}};
}

}  // namespace

std::string help_json(const CLI::App& parser, const CLI::App* only) {
  Json list = Json::array();
  for (const CLI::App* verb : parser.get_subcommands({})) {
    if (only == nullptr || verb == only) {
      list.push_back(json_of(*verb));
    }
  }
  return list.dump(2, ' ', true);
}

}  // namespace kvplace::cli
