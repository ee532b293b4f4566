/// A Hugging Face config.json: its fields, read with their ranges. The first error sticks; values read after it are
/// harmless, so that a family need not look at each.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"

namespace kvplace {

class HfConfig {
 public:
  /// Of a model with other parts (images, audio) the text model. `where` is for messages.
  [[nodiscard]] static Result<HfConfig> parse(std::string_view document, const std::string& where);

  [[nodiscard]] const std::string& model_type() const { return model_type_; }
  /// Whether the file holds more than the text model.
  [[nodiscard]] bool has_other_parts() const { return has_other_parts_; }

  /// A count from 1 to 2^20; an error if it is missing.
  [[nodiscard]] std::int64_t count(const std::string& key) const;
  /// The same, or what holds where it is missing or null. 0 is legal.
  [[nodiscard]] std::int64_t count_or(const std::string& key, std::int64_t otherwise) const;
  /// Of the object under `key` its `part`, or a count of that; what holds where it is missing.
  [[nodiscard]] std::int64_t nested_or(const std::string& key, const std::string& part, const std::string& count,
                                       std::int64_t otherwise) const;
  /// A product of counts that is to be multiplied once more, at most 2^24; `name` is for messages.
  [[nodiscard]] std::int64_t width(const std::string& name, std::int64_t product) const;
  /// Whether it is there and not null.
  [[nodiscard]] bool has(const std::string& key) const;
  [[nodiscard]] bool flag(const std::string& key, bool otherwise) const;
  [[nodiscard]] std::string text(const std::string& key, const std::string& otherwise) const;
  /// Empty if it is missing.
  [[nodiscard]] std::vector<std::string> texts(const std::string& key) const;
  [[nodiscard]] std::vector<std::int64_t> counts(const std::string& key) const;
  /// The object under a key, or else of the whole file; null if there is none.
  [[nodiscard]] const nlohmann::ordered_json* object(const std::string& key) const;

  /// The first error sticks.
  void fail(const std::string& what) const;
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  [[nodiscard]] const nlohmann::ordered_json* find(const std::string& key) const;
  /// The list under a key; null if there is none.
  [[nodiscard]] const nlohmann::ordered_json* list(const std::string& key) const;
  [[nodiscard]] std::int64_t number(const std::string& key, const nlohmann::ordered_json& value,
                                    std::int64_t least) const;

  std::string where_;
  std::string model_type_;
  bool has_other_parts_ = false;
  std::shared_ptr<const nlohmann::ordered_json> whole_;
  const nlohmann::ordered_json* text_model_ = nullptr;
  mutable std::optional<Error> error_;
};

}  // namespace kvplace
