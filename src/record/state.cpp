#include "record/state.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"

namespace kvplace {

Result<RecordState> read_state(const std::string& path, const std::string& asked) {
  RecordState state;
  state.asked = asked;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return state;
  }
  // Read as what it is, not as an input: it will be written.
  std::string text;
  {
    KVPLACE_ASSIGN(content, read_small_file(path));
    text = std::move(content);
  }
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  const bool is_state = json.is_object() && json.contains("asked") && json["asked"].is_string() &&
                        json.contains("done") && json["done"].is_array();
  if (!is_state) {
    return bad_input(path + ": is no state of a recording; remove it to record anew");
  }
  if (json["asked"].get<std::string>() != asked) {
    return bad_input(path +
                     ": is of a recording of other prompts or with other options, which is not complete; go on with it "
                     "as it was begun, remove this file, or record under another name");
  }
  for (const nlohmann::json& number : json["done"]) {
    if (!number.is_number_unsigned() || number.get<std::uint64_t>() > 0xffffffffu) {
      return bad_input(path + ": is no state of a recording; remove it to record anew");
    }
    state.done.insert(number.get<std::uint32_t>());
  }
  return state;
}

Status write_state(const std::string& path, const RecordState& state) {
  nlohmann::json json;
  json["asked"] = state.asked;
  json["done"] = state.done;
  KVPLACE_ASSIGN(file, OutputFile::create(path));
  KVPLACE_TRY(file.write(json.dump() + "\n"));
  return file.commit();
}

}  // namespace kvplace
