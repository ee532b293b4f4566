/// Files of presets/ compiled into the library, so that a binary needs nothing beside it.
#pragma once

#include <span>
#include <string_view>

namespace kvplace {

struct EmbeddedFile {
  std::string_view name;  ///< file name without .toml
  std::string_view text;
};

[[nodiscard]] std::span<const EmbeddedFile> embedded_hardware();
[[nodiscard]] std::span<const EmbeddedFile> embedded_models();
[[nodiscard]] std::span<const EmbeddedFile> embedded_engines();
[[nodiscard]] std::span<const EmbeddedFile> embedded_generators();

}  // namespace kvplace
