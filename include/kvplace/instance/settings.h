/// The words of what may be said about an instance. They stand in one table: the flags and their help, the keywords of
/// Python and the tables of docs/ are made from it.
#pragma once

#include <span>
#include <string>

namespace kvplace {

/// The field of the model that --kv-dtype sets.
inline constexpr const char* kKvDtypeKey = "model.attention.dtype";

/// One setting. Texts have what is typed as it is written in backquotes, as Markdown does.
struct Setting {
  std::string key;      ///< in a configuration file, "options.batch"; empty: it has none
  std::string flag;     ///< "--batch"; empty: it is set by its key
  std::string keyword;  ///< of kvplace.Instance in Python; empty: it is given by its key
  std::string value;    ///< what a flag's value is called: "SIZE", "HARDWARE|FILE"; words in small letters as they are
  std::string range;    ///< the kind of value and its range: "size", "0 to 1"
  std::string by_default;  ///< empty: nothing takes its place
  std::string doc;
};

/// All: files and presets, the fields of InstanceOptions in their order, then what sets several of them.
[[nodiscard]] std::span<const Setting> settings();

}  // namespace kvplace
