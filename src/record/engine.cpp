#include "record/engine.h"

#include <array>
#include <nlohmann/json.hpp>

namespace kvplace {
namespace {

using Json = nlohmann::json;

Json text_or_tokens(const Prompt& prompt) { return prompt.tokens.empty() ? Json(prompt.text) : Json(prompt.tokens); }

void add_sampling(const Wish& wish, Json& object) {
  for (const auto& [name, value] : wish.sampling->items()) {
    object[name] = value;
  }
}

bool is_off(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && !found->get<bool>();
}

/// A GET whose answer is a JSON object; an empty one if the server has no such page.
Result<Json> page(HttpClient& http, const std::string& path) {
  std::string body;
  KVPLACE_ASSIGN(status, http.send({path, ""}, [&body](std::string_view part) {
    body += part;
    return true;
  }));
  Json json = status == 200 ? Json::parse(body, nullptr, false) : Json();
  return json.is_object() ? json : Json::object();
}

// SGLang.

Result<ServerFacts> look_at_sglang(HttpClient& http) {
  KVPLACE_ASSIGN(info, page(http, "/server_info"));
  if (info.empty()) {
    KVPLACE_ASSIGN(older, page(http, "/get_server_info"));
    info = std::move(older);
  }
  ServerFacts facts;
  facts.has_indexer_topk = !is_off(info, "enable_return_indexer_topk");
  facts.has_routed_experts = !is_off(info, "enable_return_routed_experts");
  if (!facts.has_indexer_topk && !facts.has_routed_experts) {
    return bad_input(
        "the server returns neither its indexers' nor its routers' choices: start it with --enable-return-indexer-topk "
        "(DeepSeek sparse attention, with SGLANG_DSA_FUSE_TOPK=0) or --enable-return-routed-experts (mixture of "
        "experts)");
  }
  const auto speculative = info.find("speculative_algorithm");
  if (speculative != info.end() && speculative->is_string()) {
    return bad_input("the server decodes several tokens per step (speculative decoding, " +
                     speculative->get<std::string>() + "): traces of such steps are not read yet, start it without");
  }
  return facts;
}

Result<Json> request_to_sglang(HttpClient&, const ServerFacts& facts, const Prompt& prompt, const Wish& wish) {
  Json json;
  json[prompt.tokens.empty() ? "text" : "input_ids"] = text_or_tokens(prompt);
  json["sampling_params"] = {{"max_new_tokens", prompt.max_tokens.value_or(wish.max_tokens)}};
  add_sampling(wish, json["sampling_params"]);
  if (facts.has_indexer_topk) {
    json["return_indexer_topk"] = true;
  }
  if (facts.has_routed_experts) {
    json["return_routed_experts"] = true;
  }
  return json;
}

// vLLM.

Result<ServerFacts> look_at_vllm(HttpClient& http) {
  KVPLACE_ASSIGN(models, page(http, "/v1/models"));
  ServerFacts facts;
  const Json::json_pointer first_id("/data/0/id");
  if (models.contains(first_id) && models[first_id].is_string()) {
    facts.model = models[first_id].get<std::string>();
  }
  return facts;
}

/// Tokens of a prompt, by the server's own tokenizer; 0 if it does not say.
Result<std::uint64_t> tokens_of(HttpClient& http, const ServerFacts& facts, const Prompt& prompt) {
  if (!prompt.tokens.empty()) {
    return prompt.tokens.size();
  }
  std::string body;
  Json json = {{"prompt", prompt.text}};
  if (!facts.model.empty()) {
    json["model"] = facts.model;
  }
  KVPLACE_ASSIGN(status, http.send({"/tokenize", json.dump()}, [&body](std::string_view part) {
    body += part;
    return true;
  }));
  const Json answer = status == 200 ? Json::parse(body, nullptr, false) : Json();
  const auto count = answer.find("count");
  return answer.is_object() && count != answer.end() && count->is_number_unsigned() ? count->get<std::uint64_t>() : 0;
}

Result<Json> request_to_vllm(HttpClient& http, const ServerFacts& facts, const Prompt& prompt, const Wish& wish) {
  Json json;
  if (!facts.model.empty()) {
    json["model"] = facts.model;
  }
  json["prompt"] = text_or_tokens(prompt);
  json["max_tokens"] = prompt.max_tokens.value_or(wish.max_tokens);
  json["return_token_ids"] = true;
  // An indexer's rows of the prompt are by far the most of the answer, and no decode steps.
  KVPLACE_ASSIGN(tokens, tokens_of(http, facts, prompt));
  if (tokens > 0) {
    json["indexer_topk_prompt_start"] = tokens;
  }
  add_sampling(wish, json);
  return json;
}

constexpr std::array kEngines{
    RecordEngine{"sglang", "/generate", "sglang", look_at_sglang, request_to_sglang},
    RecordEngine{"vllm", "/v1/completions", "vllm", look_at_vllm, request_to_vllm},
};

}  // namespace

std::span<const RecordEngine> all_record_engines() { return kEngines; }

std::string reason_of(int status, const std::string& body) {
  constexpr std::size_t kMost = 300;
  std::string said = body;
  const Json json = Json::parse(body, nullptr, false);
  for (const char* place : {"/error/message", "/message", "/detail", "/error"}) {
    const Json::json_pointer pointer(place);
    if (json.is_object() && json.contains(pointer) && json[pointer].is_string()) {
      said = json[pointer].get<std::string>();
      break;
    }
  }
  if (said.size() > kMost) {
    said = said.substr(0, kMost) + " ...";
  }
  return "status " + std::to_string(status) + (said.empty() ? "" : ": " + said);
}

}  // namespace kvplace
