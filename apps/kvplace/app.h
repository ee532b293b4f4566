/// What all verbs of the command line share.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"

// What a flag's value is stands in its type_name(), alternatives divided by '|': help shows it, and completions are
// made of it (value_words.h). Its default stands in its default_str(), in words. Descriptions and defaults have what is
// typed as it is written in backquotes, and pages of docs/ by their path: the tables of docs/verbs are made of them.

namespace kvplace::cli {

/// Exit codes of the contract.
enum ExitCode { kDone = 0, kFailed = 1, kBadInput = 2, kLimitReached = 3, kRejected = 4 };

[[nodiscard]] ExitCode exit_code(ErrorKind kind);

/// A verb that did its work, perhaps cut short.
using VerbResult = Result<ExitCode>;

/// Registers verbs and remembers which one was chosen.
class App {
 public:
  App();

  /// Adds `name`; `run` is called after parsing if the user chose it.
  CLI::App* add_verb(const std::string& name, const std::string& doc, std::function<VerbResult()> run);

  /// What the command line may hold: help, completions and the manual page are made of it.
  [[nodiscard]] const CLI::App& parser() const { return parser_; }

  /// Adds a flag that names a file to write. If it is given, the file is claimed (FileScope) before the verb runs.
  CLI::Option* add_output(CLI::App& verb, const std::string& names, std::string& path, const std::string& doc);

  /// Parses and runs; prints errors on stderr. Returns the exit code.
  int main(int argc, const char* const* argv);

 private:
  struct Output {
    const CLI::Option* option;
    const std::string* path;
  };

  [[nodiscard]] VerbResult run_chosen() const;

  CLI::App parser_;
  std::function<VerbResult()> chosen_;
  std::vector<Output> outputs_;  // of all verbs
};

/// Makes an option name a file to read; "-" is standard input.
CLI::Option* reads_file(CLI::Option* option);

/// Makes an option name a file to write; "-" is refused: there is nothing to put into place once it is complete.
CLI::Option* writes_file(CLI::Option* option);

/// The --threads flag of a verb.
void add_threads_flag(CLI::App& verb, unsigned& threads);

/// The --json flag.
void add_json_flag(CLI::App& verb, bool& json);

/// The --quiet flag, of every verb that may take long.
void add_quiet_flag(CLI::App& verb);

/// Progress on stderr unless --quiet is given, a bar on a terminal and else a line now and then, and the stop request
/// of SIGINT and SIGTERM.
[[nodiscard]] RunContext run_context(unsigned threads);

/// Writes to stdout; an error if it cannot, on a full disk say. A pipe that its reader has closed is none: whoever
/// reads has enough.
[[nodiscard]] Status print(const std::string& text);

/// What a verb found out, also if one of its outputs could not be written: prints it, then fails if `outputs` did.
[[nodiscard]] VerbResult print_result(const std::string& text, const Status& outputs, ExitCode code);

/// A remark on stderr that does not belong to the result.
void remark(const std::string& text);

/// Width of the terminal in columns; 100 if there is none.
[[nodiscard]] int terminal_width();

/// The folder of the bundled traces, beside the program.
[[nodiscard]] Result<std::string> bundled_data(const std::string& file_name);

// One function per verb, each in verbs/<verb>.cpp.
void add_import(App& app);
void add_merge(App& app);
void add_record(App& app);
void add_generate(App& app);
void add_info(App& app);
void add_export(App& app);
void add_compare(App& app);
void add_bound(App& app);
void add_advise(App& app);
void add_size(App& app);
void add_budgets(App& app);
void add_calibrate(App& app);
void add_report(App& app);
void add_run(App& app);
void add_sweep(App& app);
void add_replay(App& app);
void add_verify(App& app);
void add_list(App& app);
void add_model(App& app);
void add_show_config(App& app);
void add_demo(App& app);
void add_help(App& app);
void add_completion(App& app);

}  // namespace kvplace::cli
