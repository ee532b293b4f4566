/// Traces from a running server of an inference engine, through its public HTTP API: `kvplace record`.
///
/// Each prompt is a request and makes a trace of its own, written when its answer is there. Beside them a small file
/// says what has come, so that the same call goes on where an earlier one ended; it is gone when all are there.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/record/http.h"
#include "kvplace/trace/formats.h"

namespace kvplace {

struct RecordOptions {
  std::string engine;   ///< one of record_engines()
  std::string prompts;  ///< a file: JSON lines, or else a text that is one prompt as a whole
  std::string out;      ///< trace to write; of several prompts NAME.kvt stands for NAME-0.kvt, NAME-1.kvt, ...
  std::uint32_t max_tokens = 512;  ///< that each request generates at most
  std::string sampling;            ///< further sampling parameters, a JSON object in the engine's own names
  ImportOptions import;            ///< what an answer does not say about itself
};

/// A trace that was made.
struct Recorded {
  std::uint32_t prompt = 0;  ///< from 0
  std::string path;
  ImportSummary summary;
};

/// A prompt that the server refused.
struct RefusedPrompt {
  std::uint32_t prompt = 0;
  std::string reason;
};

struct RecordSummary {
  std::uint32_t prompts = 0;
  std::uint32_t recorded = 0;  ///< by this call
  std::uint32_t before = 0;    ///< by earlier ones
  std::vector<RefusedPrompt> refused;
};

/// Names of the engines: "sglang", "vllm".
[[nodiscard]] std::vector<std::string> record_engines();

/// Where the trace of a prompt is written, of so many.
[[nodiscard]] std::string recorded_path(const std::string& out, std::size_t prompts, std::size_t prompt);

/// The file that says what has come of a recording into `out`.
[[nodiscard]] std::string record_state_path(const std::string& out);

/// Records what is not there yet; `take` is told of each trace when it is written.
///
/// Errors: bad input, before anything is sent, for a file that holds no prompts, a state of another recording, a server
/// that was started without its dump; bad input or failed for an answer that makes no trace; failed if the server does
/// not answer, or refuses the first prompt it is sent; interrupted. What came until then is kept. A later prompt that
/// the server refuses (a status of 4xx) is told in the summary.
[[nodiscard]] Result<RecordSummary> record(const RecordOptions& options, HttpClient& http,
                                           const std::function<Status(const Recorded&)>& take,
                                           const RunContext& context);

}  // namespace kvplace
