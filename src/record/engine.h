/// How an engine is asked for what its indexers and routers choose.
///
/// Sources: sgl-project/sglang 0.5.23, python/sglang/srt/managers/io_struct.py (GenerateReqInput: return_indexer_topk,
/// return_routed_experts) and docs/basic_usage/native_api.md (/generate, /server_info); vllm-project/vllm 0.29
/// to 0.32, /v1/completions with --enable-return-routed-experts, and its pull request 49555
/// (--enable-return-indexer-topk, indexer_topk_prompt_start).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "kvplace/base/result.h"
#include "kvplace/record/http.h"
#include "record/prompts.h"

namespace kvplace {

/// What is asked for, whatever the prompt.
struct Wish {
  std::uint32_t max_tokens = 0;
  const nlohmann::json* sampling = nullptr;  ///< an object
};

/// What was found out about the server.
struct ServerFacts {
  std::string model;               ///< as the server calls it; "" if it does not say
  bool has_indexer_topk = true;    ///< false: it was started without
  bool has_routed_experts = true;  ///< likewise
};

struct RecordEngine {
  const char* name;
  const char* path;    ///< where prompts are posted
  const char* format;  ///< of the answers, as `import` calls it
  /// Asks the server what it is. Errors: no answer; bad input if it was started without any dump.
  Result<ServerFacts> (*look)(HttpClient& http);
  /// The JSON that is posted for a prompt.
  Result<nlohmann::json> (*request)(HttpClient& http, const ServerFacts& facts, const Prompt& prompt, const Wish& wish);
};

[[nodiscard]] std::span<const RecordEngine> all_record_engines();

/// What an answer that is an error says, cut short.
[[nodiscard]] std::string reason_of(int status, const std::string& body);

}  // namespace kvplace
