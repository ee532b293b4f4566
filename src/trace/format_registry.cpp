#include <array>

#include "kvplace/base/parse.h"
#include "kvplace/trace/formats.h"
#include "kvplace/trace/request_log.h"
#include "trace/byte_source.h"
#include "trace/kvt_format.h"

namespace kvplace {
namespace {

/// How much of a file is looked at. Engines put the text that they generated before what is told of it.
constexpr std::size_t kHeadBytes = std::size_t{4} << 20;

/// What a file is that no format reads, and the mend; "" if that is not known.
std::string known_otherwise(std::string_view head) {
  constexpr std::size_t kFirstName = 512;
  const std::string_view first = head.substr(0, kFirstName);
  if (head.empty()) {
    return "is empty; expected a trace of an engine or a tool";
  }
  if (head.starts_with(kvt::kMagic)) {
    return "is a trace (.kvt) already";
  }
  if (is_request_log(head.substr(0, head.find_first_of("\r\n")))) {
    return "is a log of requests, which says nothing of what a step reads; kvplace merge takes arrivals from it "
           "(--arrivals)";
  }
  if (head.starts_with("PAR1")) {
    return "is Parquet, which the Python package reads: kvplace.import_trace(\"x.parquet\", \"x.kvt\", "
           "columns=\"...\")";
  }
  if (head.starts_with("PK\x03\x04") && first.find("data.pkl") != first.npos) {
    return "is of PyTorch, which the Python package reads: kvplace.import_trace(\"x.pt\", \"x.kvt\")";
  }
  return "";
}

}  // namespace

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

Result<const Format*> FormatRegistry::recognise(const std::string& path) const {
  KVPLACE_ASSIGN(source, ByteSource::open(path));
  std::vector<std::byte> bytes(kHeadBytes);
  KVPLACE_ASSIGN(count, source.read_fully(bytes));
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), count);
  for (const Format& format : formats_) {
    if (format.recognise != nullptr && format.recognise(head)) {
      return &format;
    }
  }
  const std::string known = known_otherwise(head);
  constexpr std::size_t kShown = 40;
  return bad_input(path + ": " +
                   (known.empty()
                        ? "begins with " + in_quotes(head.substr(0, kShown)) +
                              ", which is no format known by its content; name it with --format, or the names of "
                              "its columns with --columns (kvplace list formats shows all)"
                        : known));
}

}  // namespace kvplace
