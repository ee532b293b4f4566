#include "model/support/hf_config.h"

#include <nlohmann/json.hpp>

#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMostOfACount = std::int64_t{1} << 20;

constexpr std::int64_t kMostOfAWidth = std::int64_t{1} << 24;

}  // namespace

Result<HfConfig> HfConfig::parse(std::string_view document, const std::string& where) {
  auto whole = std::make_shared<const Json>(Json::parse(document, nullptr, false));
  if (!whole->is_object()) {
    return bad_input(where + ": is no JSON object, as a model's config.json is");
  }
  HfConfig config;
  config.where_ = where;
  config.whole_ = whole;
  config.text_model_ = whole.get();
  for (const char* part : {"text_config", "language_config", "llm_config"}) {
    const auto text = whole->find(part);
    if (text != whole->end() && text->is_object()) {
      config.text_model_ = &*text;
      config.has_other_parts_ = true;
      break;
    }
  }
  config.model_type_ = config.text("model_type", "");
  if (config.model_type_.empty() && !config.error_) {
    config.fail("model_type is missing, so its family is not known");
  }
  if (config.error_) {
    return tl::unexpected(*config.error_);
  }
  return config;
}

const Json* HfConfig::find(const std::string& key) const {
  const auto found = text_model_->find(key);
  return found == text_model_->end() || found->is_null() ? nullptr : &*found;
}

std::int64_t HfConfig::nested_or(const std::string& key, const std::string& part, const std::string& count,
                                 std::int64_t otherwise) const {
  const Json* whole = find(key);
  const auto inner = whole != nullptr && whole->is_object() ? whole->find(part) : Json::const_iterator();
  if (whole == nullptr || !whole->is_object() || inner == whole->end()) {
    return otherwise;
  }
  if (!inner->is_object()) {
    return number(key + "." + part, *inner, 1);
  }
  const auto value = inner->find(count);
  return value == inner->end() || value->is_null() ? otherwise : number(key + "." + part + "." + count, *value, 1);
}

std::int64_t HfConfig::width(const std::string& name, std::int64_t product) const {
  if (product > kMostOfAWidth) {
    fail(name + " = " + std::to_string(product) + " is absurd; at most 2^24");
    return 1;
  }
  return product;
}

void HfConfig::fail(const std::string& what) const {
  if (!error_) {
    error_ = Error{ErrorKind::kBadInput, where_ + ": " + what};
  }
}

std::int64_t HfConfig::number(const std::string& key, const Json& value, std::int64_t least) const {
  const bool whole = value.is_number_integer();
  // Signed and unsigned alike: what is beyond 2^63 is absurd as well.
  const double size = whole ? value.get<double>() : -1;
  if (!whole || size < static_cast<double>(least) || size > static_cast<double>(kMostOfACount)) {
    fail(key + " = " + value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 40) +
         " is not a number of " + std::to_string(least) + " to 2^20");
    return 1;
  }
  return value.get<std::int64_t>();
}

std::int64_t HfConfig::count(const std::string& key) const {
  const Json* value = find(key);
  if (value == nullptr) {
    fail(key + " is missing, which model_type " + in_quotes(model_type_) + " needs");
    return 1;
  }
  return number(key, *value, 1);
}

std::int64_t HfConfig::count_or(const std::string& key, std::int64_t otherwise) const {
  const Json* value = find(key);
  return value == nullptr ? otherwise : number(key, *value, 0);
}

bool HfConfig::has(const std::string& key) const { return find(key) != nullptr; }

bool HfConfig::flag(const std::string& key, bool otherwise) const {
  const Json* value = find(key);
  if (value == nullptr && text_model_ != whole_.get() && key == "tie_word_embeddings") {
    const auto found = whole_->find(key);  // which may stand outside
    value = found != whole_->end() && found->is_boolean() ? &*found : nullptr;
  }
  if (value == nullptr) {
    return otherwise;
  }
  if (!value->is_boolean()) {
    fail(key + " is neither true nor false");
    return otherwise;
  }
  return value->get<bool>();
}

std::string HfConfig::text(const std::string& key, const std::string& otherwise) const {
  const Json* value = find(key);
  if (value == nullptr && text_model_ != whole_.get() && (key == "dtype" || key == "torch_dtype")) {
    const auto found = whole_->find(key);
    value = found != whole_->end() && found->is_string() ? &*found : nullptr;
  }
  if (value == nullptr) {
    return otherwise;
  }
  if (!value->is_string()) {
    fail(key + " is no text");
    return otherwise;
  }
  return value->get<std::string>();
}

const Json* HfConfig::list(const std::string& key) const {
  const Json* value = find(key);
  if (value != nullptr && !value->is_array()) {
    fail(key + " is no list");
    return nullptr;
  }
  return value;
}

std::vector<std::string> HfConfig::texts(const std::string& key) const {
  const Json* elements = list(key);
  if (elements == nullptr) {
    return {};
  }
  std::vector<std::string> found;
  for (const Json& element : *elements) {
    if (!element.is_string()) {
      fail(key + " is no list of words");
      return {};
    }
    found.push_back(element.get<std::string>());
  }
  return found;
}

std::vector<std::int64_t> HfConfig::counts(const std::string& key) const {
  const Json* elements = list(key);
  if (elements == nullptr) {
    return {};
  }
  std::vector<std::int64_t> found;
  for (const Json& element : *elements) {
    found.push_back(number(key, element, 0));
  }
  return found;
}

const Json* HfConfig::object(const std::string& key) const {
  const Json* value = find(key);
  if (value == nullptr) {
    const auto found = whole_->find(key);
    value = found == whole_->end() ? nullptr : &*found;
  }
  if (value != nullptr && !value->is_object() && !value->is_null()) {
    fail(key + " is no object");
  }
  return value != nullptr && value->is_object() ? value : nullptr;
}

}  // namespace kvplace
