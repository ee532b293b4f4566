#include "kvplace/base/parse.h"
#include "kvplace/trace/formats.h"

namespace kvplace {

/// Defined in a generated file: calls register_format_<stem> of every file in src/trace/formats.
void register_all(FormatRegistry& registry);

const FormatRegistry& FormatRegistry::instance() {
  static const FormatRegistry kRegistry = [] {
    FormatRegistry all;
    register_all(all);
    return all;
  }();
  return kRegistry;
}

Result<const Format*> FormatRegistry::find(std::string_view name) const {
  std::vector<std::string> names;
  for (const Format& format : formats_) {
    if (format.name == name) {
      return &format;
    }
    names.push_back(format.name);
  }
  return bad_input("unknown format " + in_quotes(name) + "; the nearest is " + in_quotes(nearest_name(name, names)) +
                   " (kvplace list formats shows all)");
}

}  // namespace kvplace
