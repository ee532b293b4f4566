/// A workload in a trace's place: how a model's attention reads, at a context of one's own.
///
/// `dense` reads all KV in every step, in blocks of a 1024th of the context at most, so that its traces are small; what
/// is near of them is exact to such a block. The others are generator presets, with the layers of a model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/generate/config.h"
#include "kvplace/model/model.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

struct Workload {
  std::string name;                      ///< one of workload_names()
  std::optional<std::uint32_t> context;  ///< tokens before the first decode step; default: the preset's
  std::optional<std::uint32_t> steps;    ///< decode steps; default: so many that some million blocks are read
};

/// `dense`, `dsa`, `quest`, `experts`, and the generator presets.
[[nodiscard]] std::vector<std::string> workload_names();

/// The workload that fits a model's attention: `dsa` if it selects tokens itself, else `dense`.
[[nodiscard]] std::string workload_of(const Model& model);

/// The settings of its trace, for the layers of the model whose KV grows, or, where these differ in size, those with
/// the most KV. Errors: unknown name; no experts in the model; a context of 0.
[[nodiscard]] Result<GeneratorConfig> workload_config(const Workload& workload, const Model& model);

/// Layers of the model whose KV grows, or, where these differ in size, those with the most KV.
[[nodiscard]] std::uint32_t traced_layers(const Model& model);

/// Makes the trace of `config`, called `name`, in a file without a name, which is gone with the reader.
[[nodiscard]] Result<TraceReader> open_generated(const GeneratorConfig& config, const std::string& name,
                                                 const RunContext& context);

/// The two in one.
[[nodiscard]] Result<TraceReader> open_workload(const Workload& workload, const Model& model,
                                                const RunContext& context);

/// "64K", "65536", "1M": tokens; K and M are powers of 1024.
[[nodiscard]] Result<std::uint32_t> parse_tokens(std::string_view text);
/// The other way: "64K" of 65536.
[[nodiscard]] std::string format_tokens(std::uint64_t tokens);

}  // namespace kvplace
