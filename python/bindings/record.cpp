// Recording from a running server.
#include "kvplace/record/record.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <filesystem>
#include <optional>
#include <string>

#include "bindings/errors.h"
#include "bindings/run.h"
#include "http/http_client.h"

namespace nb = nanobind;

namespace kvplace::python {
namespace {

/// How many prompts there are; an error if the server refused some.
std::uint32_t record_all(const RecordOptions& options, const cli::ServerAddress& server, const nb::object& progress,
                         const Interrupt* interrupt) {
  return run({1, progress, interrupt}, [&](const RunContext& context) -> Result<std::uint32_t> {
    KVPLACE_ASSIGN(http, cli::connect(server, context));
    KVPLACE_ASSIGN(summary, record(options, *http, [](const Recorded&) { return Status(); }, context));
    if (!summary.refused.empty()) {
      const RefusedPrompt& first = summary.refused.front();
      return failed("prompt " + std::to_string(first.prompt) + ": " + first.reason + "; " +
                    std::to_string(summary.refused.size()) + " of " + std::to_string(summary.prompts) +
                    " prompts are not recorded, and the same call tries them again");
    }
    return summary.prompts;
  });
}

}  // namespace

void bind_record(nb::module_& module) {
  module.def(
      "record",
      [](const std::string& engine, const std::string& url, const std::filesystem::path& prompts,
         const std::filesystem::path& out, std::uint32_t max_tokens, const std::string& sampling, double timeout,
         std::optional<std::uint32_t> experts, std::optional<std::uint32_t> layers,
         std::optional<std::uint32_t> block_tokens, const std::string& model, const std::string& key,
         const nb::object& progress, const Interrupt* interrupt) {
        RecordOptions options;
        options.engine = engine;
        options.prompts = prompts.string();
        options.out = out.string();
        options.max_tokens = max_tokens;
        options.sampling = sampling;
        options.import.experts = experts;
        options.import.layers = layers;
        options.import.block_tokens = block_tokens;
        options.import.model = model;
        return record_all(options, {url, key, Seconds(timeout)}, progress, interrupt);
      },
      nb::arg("engine"), nb::arg("url"), nb::arg("prompts"), nb::arg("out"), nb::arg("max_tokens"), nb::arg("sampling"),
      nb::arg("timeout"), nb::arg("experts").none(), nb::arg("layers").none(), nb::arg("block_tokens").none(),
      nb::arg("model"), nb::arg("key"), nb::arg("progress").none(), nb::arg("interrupt").none());
  module.def("recorded_path", &recorded_path, nb::arg("out"), nb::arg("prompts"), nb::arg("prompt"));
}

}  // namespace kvplace::python
