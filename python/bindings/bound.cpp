// Certified bounds, and re-checking their certificates.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <string>
#include <tuple>

#include "bindings/check_same.h"
#include "bindings/errors.h"
#include "bindings/run.h"
#include "kvplace/simulate/prove.h"
#include "kvplace/simulate/report.h"
#include "tables.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace kvplace::python {

void bind_bound(nb::module_& module) {
  nb::class_<Proof>(module, "Proof")
      .def_prop_ro("outputs", [](const Proof& proof) { return Outputs{proof.outputs}; })
      .def(
          "json", [](const Proof& proof, const Instance& instance) { return to_json(proof, instance); }, "instance"_a)
      .def(
          "table", [](const Proof& proof, const Instance& instance) { return cli::table(proof, instance); },
          "instance"_a);
  module.def(
      "prove",
      [](const TraceReader& trace, const Instance& instance, const std::string& certificate,
         const std::string& any_certificate, const std::string& schedule, const std::string& values, bool exact,
         double time_limit, double gap, bool resume, unsigned threads, const nb::object& progress,
         const Interrupt* interrupt) {
        check_same(trace, instance);
        ProveOptions options;
        options.search.time_limit = Seconds(time_limit);
        options.enough_gap = gap;
        options.certificate_path = certificate;
        options.any_path = any_certificate;
        options.resume = resume;
        options.schedule_path = schedule;
        options.values_path = values;
        options.exact = exact;
        return run({threads, progress, interrupt},
                   [&](const RunContext& context) { return kvplace::prove(trace, instance, options, context); });
      },
      "trace"_a, "instance"_a, "certificate"_a, "any_certificate"_a, "schedule"_a, "values"_a, "exact"_a,
      "time_limit"_a, "gap"_a, "resume"_a, "threads"_a, "progress"_a.none(), "interrupt"_a.none(),
      "An empty name stands for an output that is not wanted.");
  module.def(
      "verify",
      [](const TraceReader& trace, const std::string& path, const Instance* meant, unsigned threads,
         const nb::object& progress, const Interrupt* interrupt) {
        return run({threads, progress, interrupt},
                   [&](const RunContext& context) -> Result<std::tuple<std::string, std::string>> {
                     KVPLACE_ASSIGN(certificate, read_certificate(path));
                     if (meant != nullptr) {
                       KVPLACE_TRY(check_instance(certificate, *meant, trace));
                     }
                     KVPLACE_ASSIGN(bound, kvplace::verify(trace, certificate, context));
                     return std::tuple(to_json(&certificate, &bound, ""), cli::table(trace, certificate, bound));
                   });
      },
      "trace"_a, "path"_a, "meant"_a.none(), "threads"_a, "progress"_a.none(), "interrupt"_a.none(), "JSON and text.");
}

}  // namespace kvplace::python
