#include "kvplace/bound/verify.h"

#include <memory>
#include <optional>
#include <utility>

#include "app.h"
#include "instance_flags.h"
#include "kvplace/simulate/report.h"
#include "tables.h"

namespace kvplace::cli {
namespace {

struct VerifyFlags {
  std::string trace;
  std::string certificate;
  InstanceFlags instance;
  bool json = false;
};

VerbResult run(const VerifyFlags& flags) {
  KVPLACE_ASSIGN(trace, TraceReader::open(flags.trace));
  std::optional<Instance> meant;
  if (flags.instance.given()) {
    KVPLACE_ASSIGN(instance, flags.instance.instance(trace));
    meant = std::move(instance);
  }
  const Result<Certificate> certificate = read_certificate(flags.certificate);
  const Result<VerifiedBound> bound = certificate.and_then([&](const Certificate& c) {
    return (meant ? check_instance(c, *meant, trace) : Status())
        .and_then([&] { return verify(trace, c, run_context(flags.instance.threads())); })
        .map_error([&](const Error& error) {
          return error.kind == ErrorKind::kRejected ? Error{error.kind, flags.certificate + ": " + error.message}
                                                    : error;
        });
  });
  if (!bound) {
    if (flags.json && bound.error().kind == ErrorKind::kRejected) {
      KVPLACE_TRY(print(to_json(certificate ? &*certificate : nullptr, nullptr, bound.error().message) + "\n"));
      return kRejected;
    }
    return tl::unexpected(bound.error());
  }
  KVPLACE_TRY(print(flags.json ? to_json(&*certificate, &*bound, "") + "\n" : table(trace, *certificate, *bound)));
  return kDone;
}

}  // namespace

void add_verify(App& app) {
  auto flags = std::make_shared<VerifyFlags>();
  CLI::App* verb = app.add_verb("verify", "Re-checks the proof of a lower bound", [flags] { return run(*flags); });
  reads_file(verb->add_option("trace", flags->trace, "trace (`.kvt`)"))->required();
  reads_file(verb->add_option("certificate", flags->certificate, "certificate (`.cert`)"))->required();
  flags->instance.add_to(*verb);
  add_quiet_flag(*verb);
  add_json_flag(*verb, flags->json);
}

}  // namespace kvplace::cli
