/// Responses of inference engines in JSON, with the ids that their indexers and routers chose: one response, a list of
/// them, or one per line.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/trace/formats.h"

namespace kvplace {

/// One request as an engine answered it.
struct EngineResponse {
  std::string path;
  std::string name;  ///< the engine's, or its number in the files from 0
  std::optional<std::uint64_t> prompt_tokens;
  std::optional<std::uint64_t> completion_tokens;
  std::string indexer_topk;     ///< base64, empty if there is none
  std::string routed_experts;   ///< likewise
  bool is_speculative = false;  ///< steps verified several tokens
};

/// Takes what one JSON object holds; false if it is no response of the engine.
using TakeResponses = bool (*)(nlohmann::json& object, std::vector<EngineResponse>& responses);

/// The names of all responses of the files.
[[nodiscard]] Result<std::vector<std::string>> response_names(TakeResponses take, std::string_view expected,
                                                              std::span<const std::string> sources);

/// Reads all files, chooses one response and imports its array: the indexer's, or the router's if there is no other or
/// if ImportOptions::experts is given.
[[nodiscard]] Result<ImportSummary> import_responses(TakeResponses take, std::string_view expected,
                                                     std::span<const std::string> sources, const std::string& out,
                                                     const ImportOptions& options, const RunContext& context);

/// A field of an object as a number, or nothing if it is missing or of another type.
[[nodiscard]] std::optional<std::uint64_t> json_count(const nlohmann::json& object, const char* key);
/// Takes a text out of an object; "" if it is missing or of another type.
[[nodiscard]] std::string take_text(nlohmann::json& object, const char* key);

}  // namespace kvplace
