// Synthetic traces: of settings, and like a real one.
#include "kvplace/generate/generate.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <filesystem>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/errors.h"
#include "bindings/run.h"
#include "kvplace/base/file_guard.h"
#include "kvplace/generate/twin.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace kvplace::python {

namespace {

/// JSON of a result, and its outputs.
using TwinTold = std::tuple<std::string, Outputs>;

}  // namespace

void bind_generate(nb::module_& module) {
  module.def(
      "generate",
      [](const std::string& workload, const std::vector<std::pair<std::string, std::string>>& settings,
         const std::filesystem::path& out, int zstd_level, unsigned threads, const nb::object& progress,
         const Interrupt* interrupt) {
        TraceWriterOptions writer;
        writer.zstd_level = zstd_level;
        run({threads, progress, interrupt}, [&](const RunContext& context) -> Status {
          KVPLACE_ASSIGN(config, load_generator(workload));
          for (const auto& [key, text] : settings) {
            KVPLACE_TRY(apply_generator_entry({key, text, "generate"}, config));
          }
          KVPLACE_TRY(validate(config, workload));
          KVPLACE_TRY(generate_trace(config, out.string(), writer, context));
          return {};
        });
      },
      "workload"_a, "settings"_a, "out"_a, "zstd_level"_a, "threads"_a, "progress"_a.none(), "interrupt"_a.none());
  module.def(
      "generate_like",
      [](const TraceReader& trace, std::optional<std::filesystem::path> out,
         std::optional<std::filesystem::path> save_config, std::optional<std::uint32_t> prompt_tokens,
         std::optional<std::uint32_t> layers, std::optional<std::uint32_t> steps,
         std::optional<std::uint32_t> ranking_depth, std::uint32_t seed, std::uint32_t tokens_per_step, int zstd_level,
         unsigned threads, const nb::object& progress, const Interrupt* interrupt) {
        const TwinShape shape{prompt_tokens, layers, steps, ranking_depth, seed, tokens_per_step};
        TraceWriterOptions writer;
        writer.zstd_level = zstd_level;
        return run({threads, progress, interrupt}, [&](const RunContext& context) -> Result<TwinTold> {
          FileScope files;
          for (const auto& output : {out, save_config}) {
            if (output) {
              KVPLACE_TRY(files.claim(output->string()));
              KVPLACE_TRY(check_twin(trace, shape));
            }
          }
          KVPLACE_ASSIGN(twin, Twin::fit(trace, context));
          Status written;
          if (save_config) {
            const GeneratorConfig config = twin.config(shape);
            const std::string path = save_config->string();
            written = validate(config, path).and_then([&] { return save_generator(config, path); });
          }
          if (written && out) {
            const Result<TraceTotals> totals = twin.write(shape, out->string(), writer, context);
            written = totals ? Status() : tl::unexpected(totals.error());
          }
          return TwinTold(to_json(twin.report()), Outputs{written});
        });
      },
      "trace"_a, "out"_a.none(), "save_config"_a.none(), "prompt_tokens"_a.none(), "layers"_a.none(), "steps"_a.none(),
      "ranking_depth"_a.none(), "seed"_a, "tokens_per_step"_a, "zstd_level"_a, "threads"_a, "progress"_a.none(),
      "interrupt"_a.none(), "JSON of the fit, and whether the outputs could be written.");
}

}  // namespace kvplace::python
