/// vllm: JSON of vLLM's completions, asked with indexer_topk_prompt_start or routed experts: a choice holds a .npy file
/// [tokens, layers, k] in base64, from that token of the prompt on.
#include <nlohmann/json.hpp>

#include "kvplace/trace/formats.h"
#include "trace/engine_response.h"

namespace kvplace {
namespace {

bool recognise(std::string_view head) {
  return head.find_first_of("[{") == head.find_first_not_of(" \t\r\n") && head.find("\"choices\"") != head.npos &&
         head.find("\"meta_info\"") == head.npos;
}

bool take(nlohmann::json& object, std::vector<EngineResponse>& responses) {
  const auto choices = object.find("choices");
  if (choices == object.end() || !choices->is_array() || choices->empty()) {
    return false;
  }
  const std::string name = take_text(object, "id");
  const auto usage = object.find("usage");
  const bool has_usage = usage != object.end() && usage->is_object();
  for (nlohmann::json& choice : *choices) {
    if (!choice.is_object()) {
      return false;
    }
    EngineResponse response;
    response.name = name;
    if (choices->size() > 1 && !name.empty()) {
      response.name += "/" + std::to_string(json_count(choice, "index").value_or(0));
    }
    if (has_usage) {
      response.prompt_tokens = json_count(*usage, "prompt_tokens");
      // Of several choices the usage is of all.
      if (choices->size() == 1) {
        response.completion_tokens = json_count(*usage, "completion_tokens");
      }
    }
    if (const auto ids = choice.find("token_ids"); ids != choice.end() && ids->is_array()) {
      response.completion_tokens = ids->size();
    }
    response.indexer_topk = take_text(choice, "indexer_topk");
    response.routed_experts = take_text(choice, "routed_experts");
    responses.push_back(std::move(response));
  }
  return true;
}

constexpr std::string_view kExpected = "a response of vLLM with choices";

Result<ImportSummary> import_trace(std::span<const std::string> sources, const std::string& out,
                                   const ImportOptions& options, const RunContext& context) {
  return import_responses(take, kExpected, sources, out, options, context);
}

}  // namespace

void register_format_vllm(FormatRegistry& registry);

void register_format_vllm(FormatRegistry& registry) {
  registry.add({"vllm",
                "JSON of vLLM's completions: choices with indexer_topk or routed_experts, a .npy file in base64",
                recognise, import_trace, nullptr,
                [](std::span<const std::string> sources) { return response_names(take, kExpected, sources); }});
}

}  // namespace kvplace
