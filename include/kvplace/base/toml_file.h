/// Configuration from TOML files.
#pragma once

#include <string>
#include <vector>

#include "kvplace/base/config.h"

namespace kvplace {

/// The entries of a file, as parse_toml gives those of a document.
[[nodiscard]] Result<std::vector<ConfigEntry>> read_toml(const std::string& path);

}  // namespace kvplace
