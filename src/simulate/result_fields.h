/// The fields of a result, in one table: JSON, `kvplace list results`, kvplace.Result of Python and the table of
/// docs/json.md are made from it.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "kvplace/simulate/compare.h"

namespace kvplace {

/// What a result's fields are computed from.
struct ResultContext {
  const ReplayResult& result;
  const Bounds& bounds;
  Seconds certified;    ///< 0 if no bound is proven
  bool stored = false;  ///< of a stored schedule, whose policy is only a name
};

/// One field. Texts have what is typed as it is written in backquotes, as Markdown does.
struct ResultField {
  std::string key;
  std::string unit;  ///< empty: none
  std::string type;  ///< of its JSON, "integer" or "number or null"
  std::string doc;
  bool optional = false;                                            ///< left out where there is none
  std::function<nlohmann::ordered_json(const ResultContext&)> get;  ///< null: there is none
};

/// In the order of JSON.
[[nodiscard]] std::span<const ResultField> result_fields();

}  // namespace kvplace
