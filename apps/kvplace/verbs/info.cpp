#include <memory>

#include "app.h"
#include "instance_flags.h"
#include "kvplace/simulate/report.h"
#include "tables.h"

namespace kvplace::cli {
namespace {

struct InfoFlags {
  TraceFlags trace;
  bool json = false;
  bool check = false;
  unsigned threads = 0;
};

VerbResult run(const InfoFlags& flags) {
  KVPLACE_ASSIGN(trace, flags.trace.open());
  if (flags.check) {
    KVPLACE_TRY(trace.verify_digest());
  }
  KVPLACE_ASSIGN(statistics, compute_statistics(trace, run_context(flags.threads)));
  KVPLACE_TRY(print(flags.json ? to_json(statistics, trace) + "\n" : table(statistics, trace)));
  return kDone;
}

}  // namespace

void add_info(App& app) {
  auto flags = std::make_shared<InfoFlags>();
  CLI::App* verb = app.add_verb("info", "What is in a trace, and its locality", [flags] { return run(*flags); });
  flags->trace.add_to(*verb);
  verb->add_flag("--check", flags->check, "also compare the contents with their digest");
  add_threads_flag(*verb, flags->threads);
  add_quiet_flag(*verb);
  add_json_flag(*verb, flags->json);
}

}  // namespace kvplace::cli
