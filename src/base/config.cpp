#include "kvplace/base/config.h"

#include <toml++/toml.h>

#include <algorithm>

namespace kvplace {
namespace {

class Flattener {
 public:
  explicit Flattener(const std::string& name) : name_(name) {}

  Status add(const std::string& key, const toml::node& node) {
    if (const toml::table* table = node.as_table()) {
      return add_table(key, *table);
    }
    if (const toml::array* array = node.as_array()) {
      if (array->empty()) {
        return bad_input(place(node) + ": " + in_quotes(key) + " is an empty list: give a value, or leave it out");
      }
      std::size_t i = 0;
      for (const toml::node& element : *array) {
        KVPLACE_TRY(add(joined(key, std::to_string(i++)), element));
      }
      return {};
    }
    std::string text;
    if (const auto* string = node.as_string()) {
      text = string->get();
    } else if (const auto* integer = node.as_integer()) {
      text = std::to_string(integer->get());
    } else if (const auto* number = node.as_floating_point()) {
      text = format_number(number->get());
    } else if (const auto* boolean = node.as_boolean()) {
      text = boolean->get() ? "true" : "false";
    } else {
      return bad_input(place(node) + ": " + in_quotes(key) +
                       " is a date; only text, numbers and true or false are used");
    }
    entries.push_back({key, std::move(text), place(node)});
    return {};
  }

  Status add_table(const std::string& prefix, const toml::table& table) {
    std::vector<std::pair<std::string, const toml::node*>> in_file_order;
    for (const auto& [key, node] : table) {
      in_file_order.emplace_back(std::string(key.str()), &node);
    }
    std::stable_sort(in_file_order.begin(), in_file_order.end(), [](const auto& a, const auto& b) {
      return a.second->source().begin.line < b.second->source().begin.line;
    });
    for (const auto& [key, node] : in_file_order) {
      KVPLACE_TRY(add(joined(prefix, key), *node));
    }
    return {};
  }

  std::vector<ConfigEntry> entries;

 private:
  [[nodiscard]] static std::string joined(const std::string& prefix, const std::string& key) {
    std::string whole = prefix;
    whole.append(prefix.empty() ? "" : ".").append(key);
    return whole;
  }

  [[nodiscard]] std::string place(const toml::node& node) const {
    return name_ + ":" + std::to_string(node.source().begin.line);
  }

  const std::string& name_;
};

}  // namespace

Result<std::vector<ConfigEntry>> parse_toml(std::string_view document, const std::string& name) {
  // The parser recurses for nested values; nothing here nests deeply, and a hostile file should not use up the stack.
  constexpr std::ptrdiff_t kMostBrackets = 1000;
  if (std::count_if(document.begin(), document.end(), [](char c) { return c == '[' || c == '{'; }) > kMostBrackets) {
    return bad_input(name + ": more than " + std::to_string(kMostBrackets) +
                     " brackets: this is no kvplace configuration");
  }
  constexpr std::ptrdiff_t kMostDotsInALine = 200;
  for (std::size_t begin = 0; begin < document.size();) {
    const std::size_t end = std::min(document.find('\n', begin), document.size());
    const std::string_view line = document.substr(begin, end - begin);
    if (std::count(line.begin(), line.end(), '.') > kMostDotsInALine) {
      return bad_input(name + ": a line with more than " + std::to_string(kMostDotsInALine) +
                       " dots: this is no kvplace configuration");
    }
    begin = end + 1;
  }
  toml::table table;
  try {  // the parser's exceptions end here
    table = toml::parse(document, name);
  } catch (const toml::parse_error& error) {
    return bad_input(name + ":" + std::to_string(error.source().begin.line) +
                     ": not valid TOML: " + std::string(error.description()));
  }
  Flattener flattener(name);
  KVPLACE_TRY(flattener.add_table("", table));
  return std::move(flattener.entries);
}

Result<ConfigEntry> parse_assignment(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return bad_input("--set " + in_quotes(text) + ": write it as KEY=VALUE, like hardware.far.link_read=55GB/s");
  }
  return ConfigEntry{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)), kSetFlag};
}

ConfigEntry without_prefix(const ConfigEntry& entry, std::string_view prefix) {
  ConfigEntry stripped = entry;
  stripped.section += stripped.key.substr(0, prefix.size() + 1);
  stripped.key.erase(0, prefix.size() + 1);
  return stripped;
}

std::string toml_string(std::string_view text) {
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += kHexDigits[byte >> 4];
      out += kHexDigits[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace kvplace
