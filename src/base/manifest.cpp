#include "kvplace/base/manifest.h"

#include <fstream>
#include <thread>

#include "base/build_info.h"

namespace kvplace {
namespace {

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown processor";
}

}  // namespace

Manifest make_manifest() {
  Manifest manifest;
  manifest.version = kBuildVersion;
  manifest.commit = kBuildCommit;
  manifest.machine = processor_name() + ", " + std::to_string(std::thread::hardware_concurrency()) + " cores";
  return manifest;
}

}  // namespace kvplace
