/// The members of a zip archive, which .npz files are.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "kvplace/base/result.h"

namespace kvplace {

/// Members by name, decompressed and checked against their checksums. Errors name the file.
[[nodiscard]] Result<std::map<std::string, std::vector<std::byte>>> read_zip(const std::string& path);

}  // namespace kvplace
