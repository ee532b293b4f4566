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
using namespace nb::literals;

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
      "engine"_a, "url"_a, "prompts"_a, "out"_a, "max_tokens"_a, "sampling"_a, "timeout"_a, "experts"_a.none(),
      "layers"_a.none(), "block_tokens"_a.none(), "model"_a, "key"_a, "progress"_a.none(), "interrupt"_a.none());
  module.def("recorded_path", &recorded_path, "out"_a, "prompts"_a, "prompt"_a);
}

}  // namespace kvplace::python
