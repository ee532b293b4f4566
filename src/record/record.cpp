#include "kvplace/record/record.h"

#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/file.h"
#include "kvplace/base/file_guard.h"
#include "kvplace/base/parse.h"
#include "record/engine.h"
#include "record/prompts.h"
#include "record/state.h"

namespace kvplace {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kEnding = ".kvt";

/// A name without its ending .kvt.
std::string stem_of(const std::string& out) {
  return out.ends_with(kEnding) ? out.substr(0, out.size() - kEnding.size()) : out;
}

Result<const RecordEngine*> find_engine(const std::string& name) {
  for (const RecordEngine& engine : all_record_engines()) {
    if (name == engine.name) {
      return &engine;
    }
  }
  return bad_input("there is no recorder for " + in_quotes(name) + "; did you mean " +
                   in_quotes(nearest_name(name, record_engines())) + "?");
}

Result<Json> sampling_of(const std::string& text) {
  Json sampling = text.empty() ? Json::object() : Json::parse(text, nullptr, false);
  if (!sampling.is_object()) {
    return bad_input("--sampling: " + in_quotes(text) + R"( is no JSON object, as {"temperature": 0.6})");
  }
  return sampling;
}

/// Equal for equal recordings.
std::string asked_text(const RecordOptions& options, const std::vector<Prompt>& prompts, const Json& sampling) {
  Json asked = {options.engine, options.max_tokens, sampling, options.import.model};
  for (const auto& number : {options.import.block_tokens, options.import.experts, options.import.layers}) {
    asked.push_back(number ? Json(*number) : Json(nullptr));
  }
  std::uint64_t hash = 0;  // of all prompts, in order
  for (const Prompt& prompt : prompts) {
    const std::string text = Json({prompt.text, prompt.tokens, prompt.max_tokens.value_or(0)}).dump();
    hash = XXH64(text.data(), text.size(), hash);
  }
  asked.push_back(hash);
  asked.push_back(prompts.size());
  return asked.dump();
}

/// What the server answers to one prompt, in a file, or why it refused.
class Asker {
 public:
  Asker(const RecordEngine& engine, HttpClient& http, ServerFacts facts, Wish wish, std::string answer_path)
      : engine_(engine), http_(http), facts_(std::move(facts)), wish_(wish), path_(std::move(answer_path)) {}

  [[nodiscard]] Result<std::optional<std::string>> ask(const Prompt& prompt) const {
    constexpr std::size_t kMostOfError = 65536;
    KVPLACE_ASSIGN(json, engine_.request(http_, facts_, prompt, wish_));
    KVPLACE_ASSIGN(file, OutputFile::create(path_));
    Status written;
    std::string begin;
    KVPLACE_ASSIGN(status, http_.send({engine_.path, json.dump()}, [&](std::string_view part) {
      begin += part.substr(0, kMostOfError - std::min(begin.size(), kMostOfError));
      written = file.write(part);
      return written.has_value();
    }));
    KVPLACE_TRY(written);
    constexpr int kOk = 200;
    constexpr int kRefused = 400;
    constexpr int kServerFails = 500;
    if (status >= kRefused && status < kServerFails) {
      return std::optional("the server refused it, " + reason_of(status, begin));
    }
    if (status != kOk) {
      return failed("the server failed, " + reason_of(status, begin));
    }
    KVPLACE_TRY(file.commit());
    return std::optional<std::string>();
  }

 private:
  const RecordEngine& engine_;
  HttpClient& http_;
  ServerFacts facts_;
  Wish wish_;
  std::string path_;
};

/// An error with what has come until it.
Error with_state(Error error, const RecordSummary& summary, std::uint32_t prompt) {
  const std::uint32_t done = summary.before + summary.recorded;
  error.message = "prompt " + std::to_string(prompt) + ": " + error.message;
  if (done > 0) {
    error.message += "; " + std::to_string(done) + " of " + std::to_string(summary.prompts) +
                     " prompts are recorded, and the same command goes on from there";
  }
  return error;
}

}  // namespace

std::vector<std::string> record_engines() {
  std::vector<std::string> names;
  for (const RecordEngine& engine : all_record_engines()) {
    names.emplace_back(engine.name);
  }
  return names;
}

std::string recorded_path(const std::string& out, std::size_t prompts, std::size_t prompt) {
  return prompts == 1 ? out : stem_of(out) + "-" + std::to_string(prompt) + std::string(kEnding);
}

std::string record_state_path(const std::string& out) { return stem_of(out) + ".record.json"; }

Result<RecordSummary> record(const RecordOptions& options, HttpClient& http,
                             const std::function<Status(const Recorded&)>& take, const RunContext& context) {
  KVPLACE_ASSIGN(engine, find_engine(options.engine));
  KVPLACE_ASSIGN(format, FormatRegistry::instance().find(engine->format));
  KVPLACE_ASSIGN(sampling, sampling_of(options.sampling));
  if (options.max_tokens == 0) {
    return bad_input("--max-tokens must be at least 1");
  }
  FileScope files;
  KVPLACE_ASSIGN(prompts, read_prompts(options.prompts));
  const std::string state_path = record_state_path(options.out);
  const std::string answer_path = options.out + ".answer";
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    KVPLACE_TRY(files.claim(recorded_path(options.out, prompts.size(), i)));
  }
  KVPLACE_TRY(files.claim(answer_path, OutputMode::kUpdates));
  KVPLACE_TRY(files.claim(state_path, OutputMode::kUpdates));
  KVPLACE_ASSIGN(state, read_state(state_path, asked_text(options, prompts, sampling)));
  KVPLACE_ASSIGN(facts, engine->look(http));
  const Asker asker(*engine, http, facts, {options.max_tokens, &sampling}, answer_path);

  RecordSummary summary;
  summary.prompts = static_cast<std::uint32_t>(prompts.size());
  RunContext quiet = context;
  quiet.progress = nullptr;  // the bar counts prompts
  if (context.progress != nullptr) {
    context.progress->start("recording", prompts.size(), "prompts");
  }
  for (std::uint32_t i = 0; i < summary.prompts; ++i) {
    Recorded recorded{i, recorded_path(options.out, prompts.size(), i), {}};
    if (state.done.contains(i) && std::filesystem::exists(recorded.path)) {
      ++summary.before;
      continue;
    }
    Result<std::optional<std::string>> refusal = asker.ask(prompts[i]);
    if (refusal && *refusal && summary.before + summary.recorded == 0) {
      refusal = bad_input(**refusal);  // what is wrong with the first is wrong with all
    }
    if (!refusal) {
      return tl::unexpected(with_state(std::move(refusal.error()), summary, i));
    }
    if (*refusal) {
      summary.refused.push_back({i, std::move(**refusal)});
      continue;
    }
    ImportOptions import = options.import;
    import.source = options.engine + (facts.model.empty() ? "" : ", " + facts.model) + ": prompt " + std::to_string(i) +
                    " of " + std::filesystem::path(options.prompts).filename().string();
    Result<ImportSummary> imported = format->import_trace({{answer_path}}, recorded.path, import, quiet);
    if (!imported) {
      Error error = std::move(imported.error());
      error.message += "; the answer is in that file, for import";
      return tl::unexpected(with_state(std::move(error), summary, i));
    }
    recorded.summary = std::move(*imported);
    state.done.insert(i);
    KVPLACE_TRY(write_state(state_path, state));
    std::filesystem::remove(answer_path);
    ++summary.recorded;
    KVPLACE_TRY(take(recorded));
    if (context.progress != nullptr) {
      context.progress->update(i + 1);
    }
  }
  if (context.progress != nullptr) {
    context.progress->finish();
  }
  if (summary.refused.empty()) {
    std::filesystem::remove(state_path);
  }
  return summary;
}

}  // namespace kvplace
