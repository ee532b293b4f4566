/// What a prompt's tokens chose of the experts, as far as it tells what is near when decoding begins.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvplace {

/// Collects choices in order of tokens, layers in any order.
class PromptExperts {
 public:
  void use(std::uint64_t layer, std::span<const std::uint32_t> experts);

  /// By layer from `first_layer` on the experts that were used, the last used last. Empty if nothing was, or if a trace
  /// cannot hold it: then nothing is known.
  [[nodiscard]] std::vector<std::vector<std::uint32_t>> lists(std::uint64_t first_layer, std::uint32_t layers) const;

 private:
  std::vector<std::vector<std::uint64_t>> last_use_;  // [layer][expert]; 0: never
  std::uint64_t uses_ = 0;
};

}  // namespace kvplace
