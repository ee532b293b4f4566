#include "completion.h"

#include <functional>
#include <map>
#include <memory>

#include "app.h"
#include "kvplace/base/parse.h"
#include "value_words.h"

namespace kvplace::cli {
namespace {

const std::map<std::string, std::function<std::string(const CLI::App&)>> kShells{
    {"bash", bash_completion},
    {"fish", fish_completion},
    {"zsh", zsh_completion},
};

std::vector<std::string> shell_names() {
  std::vector<std::string> names;
  for (const auto& [name, write] : kShells) {
    names.push_back(name);
  }
  return names;
}

VerbResult run_completion(const std::string& shell, const CLI::App& parser) {
  const auto found = kShells.find(shell);
  if (found == kShells.end()) {
    return bad_input("completion: there are scripts for bash, fish and zsh, not for " + in_quotes(shell) +
                     "; the nearest is " + in_quotes(nearest_name(shell, shell_names())));
  }
  KVPLACE_TRY(print(found->second(parser)));
  return kDone;
}

}  // namespace

void add_completion(App& app) {
  auto shell = std::make_shared<std::string>();
  CLI::App* verb = app.add_verb("completion", "A script by which a shell completes command lines of kvplace",
                                [shell, &app] { return run_completion(*shell, app.parser()); });
  verb->add_option("shell", *shell, "the shell, as in `source <(kvplace completion bash)`")
      ->type_name(alternatives(shell_names()))
      ->required();
}

}  // namespace kvplace::cli
