/// Arrays of ids [tokens, layers, k] that come without their shape, as int32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kvplace/base/result.h"
#include "trace/topk_array.h"

namespace kvplace {

/// What is known of the shape.
struct FlatShape {
  std::optional<std::uint64_t> tokens;
  std::optional<std::uint64_t> layers;
  std::optional<std::uint64_t> k;
};

/// Finds the shape from two of its sizes, or from the number of tokens and the padding of the first row that holds ids:
/// there every layer holds the same few at its begin. Errors ask for --layers.
[[nodiscard]] Result<TopkArray> shape_flat(const std::string& path, std::vector<std::byte> elements,
                                           const FlatShape& known);

}  // namespace kvplace
