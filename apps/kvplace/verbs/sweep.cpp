#include "kvplace/sweep/sweep.h"

#include <memory>

#include "app.h"
#include "kvplace/sweep/page.h"
#include "sweep_text.h"

namespace kvplace::cli {
namespace {

struct SweepFlags {
  std::string source;
  std::string output;
  std::string format;
  std::string report;
  std::string executor;
  bool status = false;
  bool retry = false;
  bool json = false;
  unsigned threads = 0;
};

/// What the program alone cannot do, and the Python package, whose `kvplace` takes the same flags, can.
Error of_the_package(const std::string& what, const std::string& extra) {
  return {ErrorKind::kBadInput, what + " is done by the Python package: pip install 'kvplace[" + extra +
                                    "]' and give the same command to the kvplace that comes with it"};
}

VerbResult print_status(const SweepFlags& flags, const SweepStatus& status, const std::string& database) {
  KVPLACE_TRY(print(flags.json ? to_json(status) + "\n" : sweep_text(status, database)));
  return kDone;
}

VerbResult export_rows(const SweepFlags& flags) {
  if (flags.format == "parquet") {
    return tl::unexpected(of_the_package("--export parquet", "parquet"));
  }
  if (flags.format != "csv") {
    return bad_input("--export is csv or parquet, not " + flags.format);
  }
  KVPLACE_ASSIGN(database, SweepDatabase::open_to_read(flags.source));
  if (flags.output.empty()) {
    KVPLACE_TRY(database.write_csv([](std::string_view text) { return print(std::string(text)); }));
  } else {
    KVPLACE_TRY(database.write_csv_file(flags.output));
  }
  return kDone;
}

VerbResult write_report(const SweepFlags& flags) {
  if (flags.report != "html") {
    return bad_input("--report is html, not " + flags.report);
  }
  if (flags.output.empty()) {
    return bad_input("no page is named: give -o FILE.html");
  }
  KVPLACE_ASSIGN(page, sweep_page(flags.source));
  KVPLACE_TRY(write_page(flags.output, page));
  KVPLACE_TRY(print(page.verdict.front() + "\n" + flags.output + ": open it in a browser\n"));
  return kDone;
}

VerbResult run(const SweepFlags& flags) {
  if (!flags.report.empty()) {
    return write_report(flags);
  }
  if (!flags.format.empty()) {
    return export_rows(flags);
  }
  if (flags.status) {
    const std::string& path = flags.output.empty() ? flags.source : flags.output;
    KVPLACE_ASSIGN(database, SweepDatabase::open_to_read(path));
    KVPLACE_ASSIGN(status, database.status());
    return print_status(flags, status, path);
  }
  if (!flags.executor.empty()) {
    return tl::unexpected(of_the_package("--executor", "cluster"));
  }
  if (flags.output.empty()) {
    return bad_input("no database is named: give -o FILE.sqlite");
  }
  KVPLACE_ASSIGN(study, read_study(flags.source));
  KVPLACE_ASSIGN(database, SweepDatabase::open(flags.output, study));
  if (flags.retry) {
    KVPLACE_TRY(database.forget_failures());
  }
  KVPLACE_TRY(run_sweep(study, database, run_context(flags.threads)));
  KVPLACE_ASSIGN(status, database.status());
  return print_status(flags, status, flags.output);
}

}  // namespace

void add_sweep(App& app) {
  auto flags = std::make_shared<SweepFlags>();
  CLI::App* verb =
      app.add_verb("sweep", "Many settings, traces and policies, kept in a database", [flags] { return run(*flags); });
  reads_file(verb->add_option("study", flags->source,
                              "the study (`.toml`); of `--status`, `--export` and `--report` the database (`.sqlite`)"))
      ->required();
  app.add_output(*verb, "-o,--output", flags->output,
                 "the database (`.sqlite`); one that holds a part of the study is gone on with. Of `--export` and "
                 "`--report` the file")
      ->default_str("stdout of `--export csv`");
  verb->add_flag("--status", flags->status, "only say how far the database is");
  verb->add_option("--export", flags->format, "write the rows of the database: `csv`, or `parquet` (Python package)")
      ->type_name("csv|parquet");
  verb->add_option("--report", flags->report, "write a page to explore the rows of the database with: `html`")
      ->type_name("html");
  verb->add_flag("--retry", flags->retry, "compute points that failed again");
  verb->add_option("--executor", flags->executor,
                   "compute on a Dask cluster, `dask://HOST:PORT` (Python package, docs/verbs/sweep.md)")
      ->type_name("URL")
      ->default_str("this machine");
  add_threads_flag(*verb, flags->threads);
  add_quiet_flag(*verb);
  add_json_flag(*verb, flags->json);
}

}  // namespace kvplace::cli
