#include "app.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>
#include <new>
#include <sstream>
#include <stop_token>
#include <thread>

#include "help_format.h"
#include "kvplace/base/file_guard.h"
#include "kvplace/base/manifest.h"
#include "progress_bar.h"
#include "progress_lines.h"
#include "usage_error.h"

namespace kvplace::cli {
namespace {

Interrupt stop_request;
bool quiet = false;

/// To stderr, which nobody may be reading any more.
void say(const std::string& text) { static_cast<void>(std::fwrite(text.data(), 1, text.size(), stderr)); }

/// Lines on stderr, also while the work at hand reports nothing.
class LoggedProgress {
 public:
  LoggedProgress() : lines_(ProgressLines::Clock::now, say) {}

  [[nodiscard]] ProgressLines& lines() { return lines_; }

 private:
  void watch(const std::stop_token& stop) {
    constexpr std::chrono::seconds kLookEvery{1};
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any never;
    while (!stop.stop_requested()) {
      never.wait_for(lock, stop, kLookEvery, [] { return false; });
      lines_.look();
    }
  }

  ProgressLines lines_;
  std::jthread watcher_{[this](const std::stop_token& stop) { watch(stop); }};
};

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
  say("kvplace: " + message + "\n");
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
  parser_.formatter(std::make_shared<HelpFormat>());
  parser_.require_subcommand(1);
  parser_.set_help_flag("-h,--help", "how to use it, and stop");
  parser_.set_version_flag(
      "--version",
      [] {
        const Manifest manifest = make_manifest();
        return "kvplace " + manifest.version + (manifest.commit.empty() ? "" : " (" + manifest.commit + ")");
      },
      "version and commit");
}

CLI::App* App::add_verb(const std::string& name, const std::string& doc, std::function<VerbResult()> run) {
  CLI::App* verb = parser_.add_subcommand(name, doc);
  verb->callback([this, run = std::move(run)] { chosen_ = run; });
  return verb;
}

CLI::Option* App::add_output(CLI::App& verb, const std::string& names, std::string& path, const std::string& doc) {
  CLI::Option* option = writes_file(verb.add_option(names, path, doc));
  outputs_.push_back({option, &path});
  return option;
}

int App::main(int argc, const char* const* argv) {
  install_signal_handlers();
  try {
    parser_.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    std::ostringstream text;
    parser_.exit(success, text);
    const Status printed = print(text.str());
    if (!printed) {
      print_error(printed.error().message);
    }
    return printed ? kDone : kFailed;
  } catch (const CLI::ParseError& error) {
    print_error(explain_usage(error, parser_, {argv + 1, argv + argc}));
    return kBadInput;
  }
  try {
    const VerbResult result = run_chosen();
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

CLI::Option* reads_file(CLI::Option* option) {
  return option->type_name("FILE")->transform([](const std::string& path) { return path == "-" ? "/dev/stdin" : path; },
                                              "");
}

CLI::Option* writes_file(CLI::Option* option) {
  const auto check = [](const std::string& path) {
    return path != "-" ? std::string()
                       : std::string(
                             "an output appears only when it is complete, so it cannot be standard output: name a "
                             "file (./- if it is to be called so)");
  };
  return option->type_name("OUTPUT")->check(check, "");
}

VerbResult App::run_chosen() const {
  FileScope files;
  for (const Output& output : outputs_) {
    if (output.option->count() > 0) {
      KVPLACE_TRY(files.claim(*output.path));
    }
  }
  return chosen_();
}

void add_threads_flag(CLI::App& verb, unsigned& threads) {
  verb.add_option("--threads", threads, "worker threads, 0 to 4096; 0 = all cores; never changes a result")
      ->default_str("0")
      ->type_name("N")
      ->check(CLI::Range(0u, 4096u));
}

void add_json_flag(CLI::App& verb, bool& json) {
  verb.add_flag("--json", json, "one JSON object instead of text; its keys are in docs/json.md");
}

void add_quiet_flag(CLI::App& verb) {
  verb.add_flag("--quiet", quiet, "no progress on stderr (docs/files.md, \"Progress\")");
}

RunContext run_context(unsigned threads) {
  RunContext context;
  context.threads = threads;
  context.interrupt = &stop_request;
  if (!quiet && isatty(STDERR_FILENO) != 0) {
    static ProgressBar bar;
    context.progress = &bar;
  } else if (!quiet) {
    static LoggedProgress logged;
    context.progress = &logged.lines();
  }
  return context;
}

Status print(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written && errno != EPIPE) {
    return failed("the output cannot be written");
  }
  return {};
}

VerbResult print_result(const std::string& text, const Status& outputs, ExitCode code) {
  KVPLACE_TRY(print(text));
  KVPLACE_TRY(outputs);
  return code;
}

void remark(const std::string& text) { say("kvplace: note: " + text + "\n"); }

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
