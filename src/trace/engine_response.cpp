#include "trace/engine_response.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kvplace/base/file_guard.h"
#include "kvplace/base/parse.h"
#include "kvplace/model/model.h"
#include "trace/base64.h"
#include "trace/flat_topk.h"
#include "trace/request_choice.h"
#include "trace/topk_array.h"

namespace kvplace {
namespace {

using Json = nlohmann::json;

Status take_document(TakeResponses take, std::string_view expected, const std::string& place, Json document,
                     std::vector<EngineResponse>& responses) {
  if (document.is_array() && !document.empty()) {
    for (Json& element : document) {
      if (!element.is_object() || !take(element, responses)) {
        return bad_input(place + ": expected " + std::string(expected) + " in its list");
      }
    }
    return {};
  }
  if (!document.is_object() || !take(document, responses)) {
    return bad_input(place + ": expected " + std::string(expected));
  }
  return {};
}

Status read_responses(TakeResponses take, std::string_view expected, const std::string& path,
                      std::vector<EngineResponse>& responses) {
  KVPLACE_ASSIGN(source, ByteSource::open(path));
  KVPLACE_ASSIGN(bytes, source.read_all());
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t first = responses.size();
  Json whole = Json::parse(text, nullptr, false);
  if (!whole.is_discarded()) {
    KVPLACE_TRY(take_document(take, expected, path, std::move(whole), responses));
  } else {
    std::uint64_t number = 0;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      const std::string_view line = text.substr(at, end - at);
      at = end + 1;
      ++number;
      if (line.find_first_not_of(" \t\r") == line.npos) {
        continue;
      }
      const std::string place = path + ":" + std::to_string(number);
      Json document = Json::parse(line, nullptr, false);
      if (document.is_discarded()) {
        return bad_input(place + ": is no JSON; expected one document, or one per line, whole");
      }
      KVPLACE_TRY(take_document(take, expected, place, std::move(document), responses));
    }
  }
  for (std::size_t i = first; i < responses.size(); ++i) {
    responses[i].path = path;
  }
  return responses.size() > first ? Status() : bad_input(path + ": is empty; expected " + std::string(expected));
}

/// Completes what is open of a router's array by its model, if that is a preset.
Status complete_by_model(ImportOptions& options) {
  const std::vector<std::string> names = model_names();
  if (std::find(names.begin(), names.end(), options.model) == names.end()) {
    return {};
  }
  KVPLACE_ASSIGN(model, load_model(options.model));
  if (!options.experts && model.experts.count > 0) {
    options.experts = model.experts.count;
  }
  if (!options.layers) {
    options.layers = model.layers;  // engines return rows of dense layers too
  }
  return {};
}

/// `layers` is what the user says.
Result<TopkArray> array_of(const EngineResponse& response, bool are_experts, const ImportOptions& options,
                           std::optional<std::uint32_t> layers) {
  std::optional<std::vector<std::byte>> bytes =
      base64_decode(are_experts ? response.routed_experts : response.indexer_topk);
  if (!bytes) {
    return bad_input(response.path + ": the array of request " + in_quotes(response.name) +
                     " is no base64; copy or make it anew");
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  if (text.starts_with(kNpyMagic)) {
    KVPLACE_ASSIGN(array, npy_in_memory(response.path, std::move(*bytes)));
    if (layers && *layers != array.shape.layers) {
      return bad_input(response.path + ": its array has " + std::to_string(array.shape.layers) +
                       " layers, --layers says " + std::to_string(*layers) + "; leave it out");
    }
    return array;
  }
  FlatShape shape;
  shape.layers = options.layers;
  if (response.prompt_tokens && response.completion_tokens) {
    shape.tokens = std::max<std::uint64_t>(*response.prompt_tokens + *response.completion_tokens, 1) - 1;
  }
  return shape_flat(response.path, std::move(*bytes), shape);
}

}  // namespace

std::optional<std::uint64_t> json_count(const Json& object, const char* key) {
  const auto found = object.find(key);
  constexpr std::uint64_t kMost = std::uint64_t{1} << 48;
  if (found == object.end() || !found->is_number_unsigned() || found->get<std::uint64_t>() > kMost) {
    return std::nullopt;
  }
  return found->get<std::uint64_t>();
}

std::string take_text(Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? std::move(found->get_ref<std::string&>()) : std::string();
}

namespace {

/// Of all files; those without a name are called by their number.
Result<std::vector<EngineResponse>> read_all_responses(TakeResponses take, std::string_view expected,
                                                       std::span<const std::string> sources) {
  std::vector<EngineResponse> responses;
  for (const std::string& path : sources) {
    KVPLACE_TRY(read_responses(take, expected, path, responses));
  }
  for (std::size_t i = 0; i < responses.size(); ++i) {
    if (responses[i].name.empty()) {
      responses[i].name = std::to_string(i);
    }
  }
  return responses;
}

std::vector<std::string> names_of(const std::vector<EngineResponse>& responses) {
  std::vector<std::string> names;
  for (const EngineResponse& response : responses) {
    names.push_back(response.name);
  }
  return names;
}

}  // namespace

Result<std::vector<std::string>> response_names(TakeResponses take, std::string_view expected,
                                                std::span<const std::string> sources) {
  KVPLACE_ASSIGN(responses, read_all_responses(take, expected, sources));
  return names_of(responses);
}

Result<ImportSummary> import_responses(TakeResponses take, std::string_view expected,
                                       std::span<const std::string> sources, const std::string& out,
                                       const ImportOptions& given, const RunContext& context) {
  FileScope files;
  KVPLACE_TRY(begin_import(files, sources, out));
  KVPLACE_ASSIGN(responses, read_all_responses(take, expected, sources));
  const std::vector<std::string> names = names_of(responses);
  KVPLACE_ASSIGN(chosen, choose_request(sources.front(), names, given.request));
  const EngineResponse& response = responses[chosen];
  if (response.indexer_topk.empty() && response.routed_experts.empty()) {
    return bad_input(response.path + ": request " + in_quotes(response.name) +
                     " holds neither indexer_topk nor routed_experts; ask the engine to return them");
  }
  if (response.is_speculative) {
    return bad_input(response.path + ": request " + in_quotes(response.name) +
                     " was decoded several tokens per step (speculative decoding); traces of such steps are not read "
                     "yet: record without it");
  }
  TopkRequest request;
  request.is_engines = true;
  request.are_experts = response.indexer_topk.empty() || (given.experts && !response.routed_experts.empty());
  ImportOptions options = given;
  request.prompt_tokens = response.prompt_tokens;
  if (response.prompt_tokens && response.completion_tokens) {
    request.rows = std::max<std::uint64_t>(*response.prompt_tokens + *response.completion_tokens, 1) - 1;
  }
  if (request.are_experts) {
    KVPLACE_TRY(complete_by_model(options));
  }
  KVPLACE_ASSIGN(array, array_of(response, request.are_experts, options, given.layers));
  TakenOptions takes;
  takes.request = takes.layers = true;
  Result<ImportSummary> summary = import_topk(std::span(&array, 1), request, takes, out, options, context);
  if (summary) {
    summary->taken = std::string(request.are_experts ? "routed_experts" : "indexer_topk") + " of request " +
                     in_quotes(response.name) + (summary->taken.empty() ? "" : ", ") + summary->taken;
  }
  return summary;
}

}  // namespace kvplace
