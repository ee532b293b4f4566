/// sglang: JSON of SGLang's /generate, asked with return_indexer_topk or return_routed_experts: `meta_info` holds the
/// ids as base64 of int32 [tokens, layers, k], the prompt's tokens first. Ids of a row have no order.
#include <nlohmann/json.hpp>

#include "kvplace/trace/formats.h"
#include "trace/engine_response.h"

namespace kvplace {
namespace {

bool recognise(std::string_view head) {
  return head.find_first_of("[{") == head.find_first_not_of(" \t\r\n") && head.find("\"meta_info\"") != head.npos;
}

bool take_meta_info(nlohmann::json& object, std::vector<EngineResponse>& responses) {
  const auto meta = object.find("meta_info");
  if (meta == object.end() || !meta->is_object()) {
    return false;
  }
  EngineResponse response;
  response.name = take_text(*meta, "id");
  response.prompt_tokens = json_count(*meta, "prompt_tokens");
  response.completion_tokens = json_count(*meta, "completion_tokens");
  response.indexer_topk = take_text(*meta, "indexer_topk");
  response.routed_experts = take_text(*meta, "routed_experts");
  response.is_speculative = json_count(*meta, "spec_verify_ct").value_or(0) > 0;
  responses.push_back(std::move(response));
  return true;
}

/// A response, or what the chat endpoint answers with return_meta_info: choices that hold one each.
bool take(nlohmann::json& object, std::vector<EngineResponse>& responses) {
  const auto choices = object.find("choices");
  if (choices == object.end() || !choices->is_array() || choices->empty()) {
    return take_meta_info(object, responses);
  }
  for (nlohmann::json& choice : *choices) {
    if (!choice.is_object() || !take_meta_info(choice, responses)) {
      return false;
    }
  }
  return true;
}

constexpr std::string_view kExpected = "a response of SGLang with meta_info";

Result<ImportSummary> import_trace(std::span<const std::string> sources, const std::string& out,
                                   const ImportOptions& options, const RunContext& context) {
  return import_responses(take, kExpected, sources, out, options, context);
}

}  // namespace

void register_format_sglang(FormatRegistry& registry);

void register_format_sglang(FormatRegistry& registry) {
  registry.add({"sglang", "JSON of SGLang's /generate: meta_info with indexer_topk or routed_experts in base64",
                recognise, import_trace, nullptr,
                [](std::span<const std::string> sources) { return response_names(take, kExpected, sources); }});
}

}  // namespace kvplace
