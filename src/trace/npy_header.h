/// The head of a NumPy .npy file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"
#include "trace/byte_source.h"

namespace kvplace {

/// How a .npy file begins.
inline constexpr std::string_view kNpyMagic{"\x93NUMPY", 6};

struct NpyHeader {
  std::string descr;  ///< element type, such as "<i4"
  bool fortran_order = false;
  std::vector<std::uint64_t> shape;
};

/// Reads the head (versions 1 to 3) and leaves `source` at the first element. Errors name the file.
[[nodiscard]] Result<NpyHeader> read_npy_header(ByteSource& source);

/// The text between the length and the elements: a Python dictionary.
[[nodiscard]] Result<NpyHeader> parse_npy_dictionary(std::string_view text);

/// A head of version 1, laid out as NumPy does it.
[[nodiscard]] std::string make_npy_header(const NpyHeader& header);

}  // namespace kvplace
