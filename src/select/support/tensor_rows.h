/// TensorViews as contiguous float32.
#pragma once

#include <string_view>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/select/tensor.h"

namespace kvplace {

/// Elements [begin, end) of the second dimension as [shape 0][end - begin][shape 2]. Errors with the place of the first
/// value that is not finite; `names` says what the three dimensions count, `what` what the tensor is.
struct TensorNames {
  std::string_view what;
  std::string_view first;
  std::string_view second;
};
[[nodiscard]] Status copy_rows(const TensorView& tensor, const TensorNames& names, std::size_t begin, std::size_t end,
                               std::vector<float>& out);

/// Error unless the shape is as expected; an expected size of 0 stands for any.
[[nodiscard]] Status check_shape(const TensorView& tensor, std::string_view what, std::string_view dimensions,
                                 const std::array<std::size_t, 3>& expected);

}  // namespace kvplace
