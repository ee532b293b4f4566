/// What a result was made by and from, so that it can be made again.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace kvplace {

struct Manifest {
  std::string version;  ///< of kvplace
  std::string commit;   ///< source revision, or empty
  std::string machine;  ///< processor and number of cores, for times that were measured
  std::vector<std::pair<std::string, std::string>> inputs;  ///< file -> digest
};

/// Version, commit and machine of this program; no inputs.
[[nodiscard]] Manifest make_manifest();

}  // namespace kvplace
