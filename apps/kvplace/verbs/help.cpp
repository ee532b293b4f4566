#include <memory>

#include "app.h"
#include "help_json.h"
#include "man_page.h"
#include "usage_error.h"

namespace kvplace::cli {
namespace {

struct HelpFlags {
  std::string verb;
  bool man = false;
  bool json = false;
};

VerbResult run(const HelpFlags& flags, const CLI::App& parser) {
  if (flags.man) {
    KVPLACE_TRY(print(man_page(parser)));
    return kDone;
  }
  const CLI::App* verb = flags.verb.empty() ? nullptr : find_verb(parser, flags.verb);
  if (verb == nullptr && !flags.verb.empty()) {
    return bad_input(unknown_verb(flags.verb, parser));
  }
  if (flags.json) {
    KVPLACE_TRY(print(help_json(parser, verb) + "\n"));
    return kDone;
  }
  if (verb == nullptr) {
    // Not parser.help(): that is the help of the verb chosen, this one.
    KVPLACE_TRY(print(parser.get_formatter()->make_help(&parser, parser.get_name(), CLI::AppFormatMode::Normal)));
    return kDone;
  }
  // A verb's parser has no parse of its own behind it here, except that of help itself.
  KVPLACE_TRY(print(verb->help(parser.get_name())));
  return kDone;
}

}  // namespace

void add_help(App& app) {
  auto flags = std::make_shared<HelpFlags>();
  CLI::App* verb = app.add_verb("help", "How to use the command, or one of its verbs",
                                [flags, &app] { return run(*flags, app.parser()); });
  CLI::Option* of = verb->add_option("verb", flags->verb, "the verb to explain")
                        ->default_str("the command, with all verbs")
                        ->type_name("VERB");
  verb->add_flag("--man", flags->man, "the manual page of the command and all verbs: `kvplace help --man | man -l -`")
      ->excludes(of);
  verb->add_flag("--json", flags->json,
                 "one JSON array of the verbs, or of this one, with their flags; its keys are in docs/json.md");
}

}  // namespace kvplace::cli
