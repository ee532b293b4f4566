/// Logs of requests that a service got: when each came, and how long its prompt and its answer were. They say nothing
/// of what a step reads; `merge_traces` takes arrivals from them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/units.h"

namespace kvplace {

struct LoggedRequest {
  Seconds arrival;  ///< after the log's first
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;
};

struct RequestLog {
  std::string format;                   ///< for people: "Mooncake", "Qwen-Bailian", "Azure"
  std::vector<LoggedRequest> requests;  ///< by arrival; those that came together in the file's order
  std::uint64_t without_output = 0;     ///< left out: they generated nothing
};

/// Finds the format by the first line; plain, gzip or zstd:
/// - Mooncake (FAST 2025): JSON lines with `timestamp` in ms, `input_length`, `output_length`, `hash_ids`;
/// - Qwen-Bailian: the same with `chat_id`, and `timestamp` in s;
/// - Azure LLM inference 2023 and 2024: CSV with TIMESTAMP, ContextTokens, GeneratedTokens.
/// Errors name the file and the line.
[[nodiscard]] Result<RequestLog> read_request_log(const std::string& path);

/// Whether a file's first line is one of a request log.
[[nodiscard]] bool is_request_log(std::string_view first_line);

}  // namespace kvplace
