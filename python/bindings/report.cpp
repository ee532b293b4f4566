// Pages of results, and their figures.
#include "kvplace/report/report.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <tuple>
#include <vector>

#include "bindings/check_same.h"
#include "bindings/errors.h"
#include "bindings/run.h"
#include "kvplace/base/file_guard.h"
#include "kvplace/report/figures.h"
#include "page_words.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace kvplace::python {
namespace {

/// Id, title, alternative text, note and plotly's JSON.
using FigureTold = std::tuple<std::string, std::string, std::string, std::string, std::string>;
/// JSON, the verdict's sentences and outputs.
using ReportTold = std::tuple<std::string, std::vector<std::string>, Outputs>;

}  // namespace

void bind_report(nb::module_& module) {
  module.def(
      "figures",
      [](const std::string& kind, const std::string& json) {
        std::vector<FigureTold> told;
        for (const Figure& figure : unwrap(figures_of(kind, json))) {
          told.emplace_back(figure.id, figure.title, figure.alt, figure.note, figure.plotly);
        }
        return told;
      },
      "kind"_a, "json"_a,
      "Id, title, alternative text, note and plotly's JSON, empty where a result has none, of each.");
  module.def(
      "report",
      [](const TraceReader& trace, const Instance& instance, const std::vector<std::string>& policies,
         const std::string& out, double time_limit, unsigned threads, const nb::object& progress,
         const Interrupt* interrupt) {
        check_same(trace, instance);
        ReportOptions options;
        options.policies = unwrap(named_policies(policies, trace.meta(), instance));
        options.given = !policies.empty();
        options.time_limit = Seconds(time_limit);
        return run({threads, progress, interrupt}, [&](const RunContext& context) -> Result<ReportTold> {
          FileScope files;
          KVPLACE_TRY(files.claim(out));
          KVPLACE_ASSIGN(report, make_report(trace, instance, options, context));
          const std::string json = to_json(report, trace, instance);
          const PageWords words =
              cli::words_of(report.comparison, trace, instance,
                            {"report", "", options.given ? options.policies : std::vector<PolicySpec>()});
          KVPLACE_ASSIGN(page, make_page("report", json, words));
          return ReportTold(json, words.verdict, Outputs{write_page(out, page)});
        });
      },
      "trace"_a, "instance"_a, "policies"_a, "out"_a, "time_limit"_a, "threads"_a, "progress"_a.none(),
      "interrupt"_a.none(), "JSON, the verdict's sentences and outputs.");
}

}  // namespace kvplace::python
