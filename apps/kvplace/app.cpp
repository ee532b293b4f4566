#include "app.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>

#include "kvplace/base/manifest.h"
#include "kvplace/base/parse.h"
#include "progress_bar.h"

namespace kvplace::cli {
namespace {

Interrupt stop_request;

extern "C" void on_stop_signal(int) { stop_request.request(); }

void install_signal_handlers() {
  struct sigaction action{};
  action.sa_handler = on_stop_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // a second signal ends the program at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

/// One line, whatever is in a file's name.
void print_error(std::string message) {
  std::replace_if(message.begin(), message.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, '?');
  fmt::print(stderr, "kvplace: {}\n", message);
}

/// What is wrong with the words of a command line, with the nearest known ones.
std::string explain(const CLI::ParseError& error, const CLI::App& parser, int argc, const char* const* argv) {
  std::vector<std::string> verbs;
  const CLI::App* chosen = nullptr;
  for (const CLI::App* verb : parser.get_subcommands({})) {
    verbs.push_back(verb->get_name());
    chosen = argc > 1 && verb->get_name() == argv[1] ? verb : chosen;
  }
  if (chosen == nullptr && argc > 1 && argv[1][0] != '-') {
    return "unknown verb " + in_quotes(argv[1]) + "; the nearest known verb is " +
           in_quotes(nearest_name(argv[1], verbs));
  }
  if (chosen != nullptr && dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    std::vector<std::string> flags;
    for (const CLI::Option* option : chosen->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        flags.push_back("--" + name);
      }
    }
    for (int i = 2; i < argc; ++i) {
      const std::string word = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
      if (word.starts_with("--") && std::find(flags.begin(), flags.end(), word) == flags.end()) {
        return chosen->get_name() + ": unknown flag " + in_quotes(word) + "; the nearest known flag is " +
               in_quotes(nearest_name(word, flags));
      }
    }
  }
  return error.what();
}

/// The last sentence of a usage error says how to get help.
int usage_error(const std::string& message) {
  print_error(message + " (--help shows the usage)");
  return kBadInput;
}

}  // namespace

ExitCode exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kFailed:
      return kFailed;
    case ErrorKind::kBadInput:
      return kBadInput;
    case ErrorKind::kInterrupted:
      return kLimitReached;
    case ErrorKind::kRejected:
      return kRejected;
  }
  return kFailed;
}

App::App()
    : parser_("Places the KV cache of LLM decode across memory tiers: what each policy costs, and what is possible.") {
  parser_.name("kvplace");
  parser_.require_subcommand(1);
  parser_.set_version_flag("--version", [] {
    const Manifest manifest = make_manifest();
    return "kvplace " + manifest.version + (manifest.commit.empty() ? "" : " (" + manifest.commit + ")");
  });
}

CLI::App* App::add_verb(const std::string& name, const std::string& doc, std::function<VerbResult()> run) {
  CLI::App* verb = parser_.add_subcommand(name, doc);
  verb->callback([this, run = std::move(run)] { chosen_ = run; });
  return verb;
}

int App::main(int argc, const char* const* argv) {
  install_signal_handlers();
  try {
    parser_.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return parser_.exit(success);
  } catch (const CLI::ParseError& error) {
    return usage_error(explain(error, parser_, argc, argv));
  }
  try {
    const VerbResult result = chosen_();
    if (!result) {
      print_error(result.error().message);
      return exit_code(result.error().kind);
    }
    return *result;
  } catch (const std::bad_alloc&) {
    print_error("out of memory");
    return kFailed;
  }
}

void add_threads_flag(CLI::App& verb, unsigned& threads) {
  verb.add_option("--threads", threads, "worker threads (default: all cores)")->check(CLI::Range(0u, 4096u));
}

RunContext run_context(unsigned threads) {
  static ProgressBar bar;
  RunContext context;
  context.threads = threads;
  context.interrupt = &stop_request;
  context.progress = isatty(STDERR_FILENO) != 0 ? &bar : nullptr;
  return context;
}

Status print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return failed("the output cannot be written");
  }
  return {};
}

Status check_output(const std::string& input, const std::string& output) {
  std::error_code error;
  if (std::filesystem::equivalent(input, output, error) && !error) {
    return bad_input(output + ": is the input as well; give the output another name");
  }
  return {};
}

void remark(const std::string& text) { fmt::print(stderr, "kvplace: note: {}\n", text); }

int terminal_width() {
  winsize size{};
  constexpr int kUsual = 100;
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

Result<std::string> bundled_data(const std::string& file_name) {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path file = program.parent_path().parent_path() / "share/kvplace/data" / file_name;
  if (error || !std::filesystem::exists(file, error)) {
    return bad_input(file.string() + ": the bundled trace is missing; build or install kvplace anew");
  }
  return file.string();
}

}  // namespace kvplace::cli
