// Comparisons and replays, and their results.
#include "kvplace/simulate/compare.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>

#include "bindings/check_same.h"
#include "bindings/errors.h"
#include "bindings/run.h"
#include "kvplace/base/file_guard.h"
#include "kvplace/simulate/report.h"
#include "kvplace/simulate/schedules.h"
#include "page_words.h"
#include "tables.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace kvplace::python {
namespace {}  // namespace

void check_same(const TraceReader& trace, const Instance& instance) {
  const BlockLayout& a = trace.meta().layout;
  const BlockLayout& b = instance.layout();
  if (trace.meta().layers != instance.layers() || trace.totals().steps != instance.steps() ||
      trace.totals().blocks_per_layer != instance.blocks_per_layer() || a.experts != b.experts ||
      a.requests != b.requests || a.block_tokens != b.block_tokens || a.prompt_tokens != b.prompt_tokens) {
    throw ErrorException({ErrorKind::kBadInput, trace.path() + ": the instance was made for another trace; make one "
                                                               "with Instance(trace, ...)"});
  }
}

void bind_compare(nb::module_& module) {
  nb::class_<Comparison>(module, "Comparison")
      .def_ro("complete", &Comparison::complete)
      .def_prop_ro("outputs", [](const Comparison& c) { return Outputs{c.outputs}; })
      .def(
          "json", [](const Comparison& c, const Instance& instance) { return to_json(c, instance); }, "instance"_a)
      .def(
          "table",
          [](const Comparison& c, const Instance& instance, int width) { return cli::table(c, instance, width); },
          "instance"_a, "width"_a);
  nb::class_<ScheduleReplay>(module, "ScheduleReplay")
      .def(
          "json",
          [](const ScheduleReplay& r, const TraceReader& trace, const Instance& instance) {
            return to_json(r.result, r.bounds, make_manifest(trace), instance);
          },
          "trace"_a, "instance"_a)
      .def(
          "table",
          [](const ScheduleReplay& r, const Instance& instance, int width) { return cli::table(r, instance, width); },
          "instance"_a, "width"_a);
  module.def(
      "policies",
      [](const Instance& instance) {
        std::vector<std::string> texts;
        for (const PolicySpec& policy : default_policies(instance)) {
          texts.push_back(policy.text());
        }
        return texts;
      },
      "instance"_a, "The policies compared if none is named, with all parameters.");
  module.def(
      "policy", [](const std::string& text) { return unwrap(PolicyRegistry::instance().parse(text)).text(); }, "text"_a,
      "A policy's text with all its parameters.");
  module.def(
      "compare",
      [](const TraceReader& trace, const Instance& instance, const std::vector<std::string>& policies, bool bound,
         const std::string& schedule, const std::string& html, unsigned threads, const nb::object& progress,
         const Interrupt* interrupt) {
        check_same(trace, instance);
        const CompareOptions options{unwrap(named_policies(policies, trace.meta(), instance)), bound, schedule};
        return run({threads, progress, interrupt}, [&](const RunContext& context) -> Result<Comparison> {
          FileScope files;
          for (const std::string& path : {schedule, html}) {
            KVPLACE_TRY(path.empty() ? Status() : files.claim(path));
          }
          KVPLACE_ASSIGN(comparison, make_comparison(trace, instance, options, context));
          if (comparison.outputs) {
            comparison.outputs = cli::write_page_of(html, comparison, trace, instance,
                                                    {"compare", bound ? "--bound" : "", options.policies});
          }
          return comparison;
        });
      },
      "trace"_a, "instance"_a, "policies"_a, "bound"_a, "schedule"_a, "html"_a, "threads"_a, "progress"_a.none(),
      "interrupt"_a.none());
  module.def(
      "record_schedule",
      [](const TraceReader& trace, const Instance& instance, const std::string& policy,
         const std::filesystem::path& path, unsigned threads, const nb::object& progress, const Interrupt* interrupt) {
        check_same(trace, instance);
        const PolicySpec spec = unwrap(PolicyRegistry::instance().parse(policy));
        static_cast<void>(run({threads, progress, interrupt}, [&](const RunContext& context) {
          return kvplace::record_schedule(trace, instance, spec, path.string(), context);
        }));
      },
      "trace"_a, "instance"_a, "policy"_a, "path"_a, "threads"_a, "progress"_a.none(), "interrupt"_a.none());
  module.def(
      "replay",
      [](const TraceReader& trace, const std::filesystem::path& schedule, const Instance& instance, unsigned threads,
         const nb::object& progress, const Interrupt* interrupt) {
        check_same(trace, instance);
        return run({threads, progress, interrupt}, [&](const RunContext& context) {
          return replay_schedule(trace, schedule.string(), instance, context);
        });
      },
      "trace"_a, "schedule"_a, "instance"_a, "threads"_a, "progress"_a.none(), "interrupt"_a.none());
}

}  // namespace kvplace::python
