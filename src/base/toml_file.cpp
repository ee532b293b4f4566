#include "kvplace/base/toml_file.h"

#include "base/file.h"

namespace kvplace {

Result<std::vector<ConfigEntry>> read_toml(const std::string& path) {
  KVPLACE_ASSIGN(document, read_small_file(path));
  return parse_toml(document, path);
}

}  // namespace kvplace
