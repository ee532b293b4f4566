#include "trace/request_choice.h"

#include <algorithm>

#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

std::string listed(std::span<const std::string> names) {
  constexpr std::size_t kShown = 4;
  std::string text;
  for (const std::string& name : names.first(std::min(names.size(), kShown))) {
    text += (text.empty() ? "" : ", ") + in_quotes(name);
  }
  return text + (names.size() > kShown ? ", ..." : "");
}

}  // namespace

tl::unexpected<Error> several_requests(const std::string& place, std::span<const std::string> names) {
  return bad_input(place + ": holds several requests (" + listed(names) +
                   "), and a trace is made of one here; choose it with --request NAME");
}

Result<std::size_t> choose_request(const std::string& path, std::span<const std::string> names,
                                   const std::string& wanted) {
  if (wanted.empty()) {
    if (names.size() > 1) {
      return several_requests(path, names);
    }
    return std::size_t{0};
  }
  const auto found = std::find(names.begin(), names.end(), wanted);
  if (found == names.end()) {
    return bad_input(path + ": holds no request " + in_quotes(wanted) + ", but " + listed(names));
  }
  if (std::find(found + 1, names.end(), wanted) != names.end()) {
    return bad_input(path + ": holds several requests that are called " + in_quotes(wanted) +
                     "; import a file with one of them alone");
  }
  return static_cast<std::size_t>(found - names.begin());
}

}  // namespace kvplace
