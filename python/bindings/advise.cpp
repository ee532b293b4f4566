// From a deployment to an answer.
#include "kvplace/advise/advise.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <tuple>
#include <vector>

#include "advise_text.h"
#include "bindings/errors.h"
#include "bindings/run.h"
#include "kvplace/base/file_guard.h"
#include "kvplace/generate/workload.h"
#include "kvplace/instance/resolve.h"
#include "page_words.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace kvplace::python {
namespace {

/// JSON and text of a result, and its outputs.
using AdviceTold = std::tuple<std::string, std::string, Outputs>;

}  // namespace

void bind_advise(nb::module_& module) {
  module.def(
      "advise",
      [](const std::vector<std::tuple<std::string, std::string, std::string>>& entries, const std::string& tokens,
         const std::string& output, const TraceReader* trace, const std::string& workload, double target,
         double time_limit, const std::string& html, unsigned threads, const nb::object& progress,
         const Interrupt* interrupt) {
        AdviseOptions options;
        options.trace = trace;
        options.context = trace != nullptr ? trace->meta().layout.prompt_tokens : 0;
        if (!tokens.empty()) {
          options.context = unwrap(parse_tokens(tokens));
        }
        options.output = unwrap(parse_tokens(output));
        options.workload = workload;
        options.time_limit = Seconds(time_limit);
        if (target > 0) {
          options.target = target;
        }
        std::vector<ConfigEntry> list;
        for (const auto& [key, text, where] : entries) {
          list.push_back({key, text, where});
          options.all_gpus = options.all_gpus && key != "options.gpus";
        }
        const InstanceSpec spec = unwrap(resolve_spec(list, trace != nullptr ? trace->meta() : TraceMeta()));
        return run({threads, progress, interrupt}, [&](const RunContext& context) -> Result<AdviceTold> {
          FileScope files;
          KVPLACE_TRY(html.empty() ? Status() : files.claim(html));
          KVPLACE_ASSIGN(advice, kvplace::advise(spec, options, context));
          const Status written = cli::write_page_of(html, advice, trace != nullptr ? trace->path() : "");
          return AdviceTold(to_json(advice), cli::advise_text(advice), Outputs{written});
        });
      },
      "entries"_a, "context"_a, "output"_a, "trace"_a.none(), "workload"_a, "target"_a, "time_limit"_a, "html"_a,
      "threads"_a, "progress"_a.none(), "interrupt"_a.none(),
      "JSON, text and outputs. An empty name stands for an output that is not wanted.");
}

}  // namespace kvplace::python
