/// Configuration: named fields of a plain struct, read from TOML files, from --set KEY=VALUE and printed back.
///
/// A struct's fields are one table (std::vector<Field<T>>) that drives parsing, printing and documentation.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/parse.h"
#include "kvplace/base/result.h"

namespace kvplace {

/// One "key = value" with dotted key, and where it stands, for messages ("machine.toml:12", "--set").
struct ConfigEntry {
  std::string key;
  std::string text;
  std::string where;
  std::string section = {};  ///< what without_prefix took off, with its dot, for messages
};

/// The entries of a TOML document in order; tables become dotted prefixes, arrays of tables "name.0.key".
[[nodiscard]] Result<std::vector<ConfigEntry>> parse_toml(std::string_view document, const std::string& name);

/// The place of entries that come from a --set flag.
inline constexpr const char* kSetFlag = "--set";

/// "KEY=VALUE" of a --set flag.
[[nodiscard]] Result<ConfigEntry> parse_assignment(std::string_view text);

/// One field of T: its dotted key, what it means (with unit and range), how to set it and print it.
template <class T>
struct Field {
  std::string key;
  std::string doc;
  std::function<Status(T&, std::string_view)> set;
  std::function<std::string(const T&)> get;  ///< empty text: not set, left out when printed
  bool is_text = true;                       ///< printed in quotes in TOML
};

/// Sets the field named by `entry.key`; an unknown key is an error that names the nearest known one.
template <class T>
[[nodiscard]] Status apply_entry(std::span<const Field<T>> fields, const ConfigEntry& entry, T& target) {
  std::vector<std::string> known;
  known.reserve(fields.size());
  for (const Field<T>& field : fields) {
    if (field.key == entry.key) {
      if (Status status = field.set(target, entry.text); !status) {
        return bad_input(entry.where + ": " + entry.section + entry.key + ": " + status.error().message);
      }
      return {};
    }
    known.push_back(entry.section + field.key);
  }
  return bad_input(entry.where + ": unknown key " + in_quotes(entry.section + entry.key) +
                   "; the nearest known key is " + in_quotes(nearest_name(entry.section + entry.key, known)));
}

/// `entry` without the leading "prefix."; REQUIRES: entry.key starts with it.
[[nodiscard]] ConfigEntry without_prefix(const ConfigEntry& entry, std::string_view prefix);

/// `text` as a TOML basic string, quotes included.
[[nodiscard]] std::string toml_string(std::string_view text);

}  // namespace kvplace
