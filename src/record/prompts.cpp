#include "record/prompts.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "trace/byte_source.h"

namespace kvplace {
namespace {

using Json = nlohmann::json;

constexpr const char* kExpected =
    R"(expected a text, a list of token ids, or {"prompt": one of them, "max_tokens": N}, one per line)";

bool take_prompt(const Json& json, Prompt& prompt) {
  if (json.is_string()) {
    prompt.text = json.get<std::string>();
    return !prompt.text.empty();
  }
  if (!json.is_array() || json.empty()) {
    return false;
  }
  for (const Json& token : json) {
    if (!token.is_number_unsigned()) {
      return false;
    }
    prompt.tokens.push_back(token.get<std::uint64_t>());
  }
  return true;
}

Result<Prompt> prompt_of(const std::string& line, const std::string& place) {
  const Json json = Json::parse(line, nullptr, false);
  Prompt prompt;
  if (!json.is_object()) {
    return take_prompt(json, prompt) ? Result<Prompt>(std::move(prompt)) : bad_input(place + ": " + kExpected);
  }
  const auto text = json.find("prompt");
  if (text == json.end() || !take_prompt(*text, prompt)) {
    return bad_input(place + ": " + kExpected);
  }
  if (const auto most = json.find("max_tokens"); most != json.end()) {
    if (!most->is_number_unsigned() || most->get<std::uint64_t>() == 0 || most->get<std::uint64_t>() > 0xffffffffu) {
      return bad_input(place + ": max_tokens is a whole number of 1 to 2^32 - 1");
    }
    prompt.max_tokens = most->get<std::uint32_t>();
  }
  return prompt;
}

}  // namespace

Result<std::vector<Prompt>> read_prompts(const std::string& path) {
  KVPLACE_ASSIGN(source, ByteSource::open(path));
  KVPLACE_ASSIGN(bytes, source.read_all());
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) {
    return bad_input(path + ": holds no prompt");
  }
  std::vector<Prompt> prompts;
  if (std::string_view("{\"[").find(text[first]) == std::string_view::npos) {
    const Json whole = std::string(text);
    if (Json::parse(whole.dump(-1, ' ', false, Json::error_handler_t::replace)) != whole) {
      return bad_input(path + ": is no UTF-8 text");
    }
    prompts.push_back({std::string(text), {}, {}});
    return prompts;
  }
  std::uint64_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line(text.substr(at, end - at));
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == line.npos) {
      continue;
    }
    KVPLACE_ASSIGN(prompt, prompt_of(line, path + ":" + std::to_string(number)));
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

}  // namespace kvplace
