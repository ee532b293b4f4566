/// A file whatever it is called: device and inode.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <compare>
#include <optional>
#include <string>

namespace kvplace {

struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;

  auto operator<=>(const FileIdentity&) const = default;
};

/// Of the file behind all links; none if there is none.
[[nodiscard]] inline std::optional<FileIdentity> identity_of(const std::string& path) {
  struct stat info{};
  return stat(path.c_str(), &info) == 0 ? std::optional(FileIdentity{info.st_dev, info.st_ino}) : std::nullopt;
}

[[nodiscard]] inline std::optional<FileIdentity> identity_of(int descriptor) {
  struct stat info{};
  return fstat(descriptor, &info) == 0 ? std::optional(FileIdentity{info.st_dev, info.st_ino}) : std::nullopt;
}

}  // namespace kvplace
