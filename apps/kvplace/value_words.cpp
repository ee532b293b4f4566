#include "value_words.h"

#include <algorithm>

#include "help_format.h"
#include "kvplace/generate/config.h"
#include "kvplace/hardware/hardware.h"
#include "kvplace/instance/engine.h"
#include "kvplace/model/model.h"
#include "kvplace/policy/registry.h"
#include "usage_error.h"

namespace kvplace::cli {
namespace {

std::vector<std::string> policy_names() {
  std::vector<std::string> names;
  for (const PolicyInfo& policy : PolicyRegistry::instance().policies()) {
    names.push_back(policy.name);
  }
  return names;
}

/// The words that one alternative of a value's name stands for.
std::vector<std::string> words_of(const std::string& alternative, const CLI::App& parser) {
  if (alternative == "POLICY") {
    return policy_names();
  }
  if (alternative == "HARDWARE") {
    return hardware_names();
  }
  if (alternative == "ENGINE") {
    return engine_names();
  }
  if (alternative == "MODEL") {
    return model_names();
  }
  if (alternative == "WORKLOAD") {
    return generator_names();
  }
  if (alternative == "VERB") {
    return verb_names(parser);
  }
  const bool literal = std::any_of(alternative.begin(), alternative.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  return literal ? std::vector<std::string>{alternative} : std::vector<std::string>();
}

}  // namespace

ValueWords value_words(const CLI::Option& option, const CLI::App& parser) {
  ValueWords found;
  for (const std::string& alternative : CLI::detail::split(value_name(option), '|')) {
    found.files = found.files || alternative == "FILE" || alternative == "OUTPUT";
    for (std::string& word : words_of(alternative, parser)) {
      found.words.push_back(std::move(word));
    }
  }
  return found;
}

std::string alternatives(const std::vector<std::string>& words) { return CLI::detail::join(words, "|"); }

std::vector<const CLI::Option*> positionals(const CLI::App& verb) {
  return verb.get_options([](const CLI::Option* option) { return option->get_positional(); });
}

std::vector<const CLI::Option*> flags(const CLI::App& verb) {
  return verb.get_options([](const CLI::Option* option) { return !option->get_positional(); });
}

}  // namespace kvplace::cli
