/// Names, parameters and makers of selection methods. A method is one file in src/select/methods/ that defines
/// `void kvplace::register_select_<file name>(SelectRegistry&)`. What each computes: docs/select.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvplace/base/parameters.h"
#include "kvplace/base/result.h"

namespace kvplace {

class SelectMethod;
struct SelectorShape;

/// What a method looks at besides the position. Whatever else it is given it ignores.
enum class SelectNeeds : std::uint8_t {
  kNothing,          ///< the position alone
  kQueriesAndKeys,   ///< queries and keys
  kScoresOrQueries,  ///< scores, or queries and keys to compute them from
  kScores,           ///< scores
};

/// A method as a user names it: "mass:k=512". The name with its parameters is a versioned identity: a change of
/// behaviour changes the name.
struct SelectSpec {
  std::string name;
  Parameters parameters;

  /// The text form, with all parameters.
  [[nodiscard]] std::string text() const;
};

struct SelectMethodInfo {
  std::string name;
  std::string doc;     ///< one line
  std::string source;  ///< paper and section, or system
  SelectNeeds needs = SelectNeeds::kQueriesAndKeys;
  std::vector<ParameterInfo> parameters;
  /// The parameter that states the budget as a count of blocks, in place of which "share" may stand; empty if none.
  std::string count_parameter;
  std::unique_ptr<SelectMethod> (*make)(const Parameters& parameters, const SelectorShape& shape) = nullptr;
};

class SelectRegistry {
 public:
  /// All methods of the library, sorted by name.
  [[nodiscard]] static const SelectRegistry& instance();

  void add(SelectMethodInfo info) { methods_.push_back(std::move(info)); }
  [[nodiscard]] std::span<const SelectMethodInfo> methods() const { return methods_; }
  /// Errors with the nearest name.
  [[nodiscard]] Result<const SelectMethodInfo*> find(std::string_view name) const;
  /// "NAME" or "NAME:key=value,...": fills in defaults, checks ranges; errors name the range or the nearest key.
  [[nodiscard]] Result<SelectSpec> parse(std::string_view text) const;

 private:
  std::vector<SelectMethodInfo> methods_;
};

/// "nothing", "queries and keys", "scores or queries and keys", "scores".
[[nodiscard]] std::string to_text(SelectNeeds needs);

}  // namespace kvplace
