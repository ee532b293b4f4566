/// What may be said in a study: settings of an instance, and the keys of its own.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/config.h"
#include "kvplace/base/parameters.h"

namespace kvplace {

/// A key of studies alone.
struct StudyKey {
  std::string key;
  std::function<Status(std::string_view)> check;
};
[[nodiscard]] std::span<const StudyKey> study_keys();

/// One of these, or a generator's.
[[nodiscard]] bool is_study_key(std::string_view key);

/// "generator.FIELD": changes the generator preset that a workload is.
[[nodiscard]] inline bool is_generator_key(std::string_view key) { return key.starts_with("generator."); }

/// Bad input unless the key is known and its value one that can be read.
[[nodiscard]] Status check_setting(const ConfigEntry& entry);

/// "sa-guided:w=5|10,r=0..1..0.5" as one text for each combination of values.
[[nodiscard]] Result<std::vector<std::string>> expand_policy(std::string_view text);

}  // namespace kvplace
