#include "trace/flat_topk.h"

#include <algorithm>
#include <span>

#include "trace/byte_order.h"
#include "trace/kvt_format.h"

namespace kvplace {
namespace {

constexpr std::size_t kElementBytes = sizeof(std::int32_t);

/// Layers of a row whose every layer begins with equally many ids, at least one, and ends with padding; 0 if there is
/// no such number.
std::uint64_t layers_of_row(std::span<const std::byte> row) {
  const std::uint64_t width = row.size() / kElementBytes;
  const auto is_id = [&row](std::uint64_t i) {
    return load_little_endian<std::int32_t>(row.data() + i * kElementBytes) != -1;
  };
  std::uint64_t count = 0;
  while (count < width && is_id(count)) {
    ++count;
  }
  std::uint64_t k = count;
  while (k < width && !is_id(k)) {
    ++k;
  }
  if (count == 0 || k == count || width % k != 0) {
    return 0;
  }
  for (std::uint64_t i = 0; i < width; ++i) {
    if (is_id(i) != (i % k < count)) {
      return 0;
    }
  }
  return width / k;
}

std::uint64_t layers_by_padding(std::span<const std::byte> elements, std::uint64_t row_bytes) {
  for (std::uint64_t at = 0; at < elements.size(); at += row_bytes) {
    const auto row = elements.subspan(at, row_bytes);
    const bool is_empty = std::all_of(row.begin(), row.end(), [](std::byte b) { return b == std::byte{0xff}; });
    if (!is_empty) {
      return layers_of_row(row);
    }
  }
  return 0;
}

}  // namespace

Result<TopkArray> shape_flat(const std::string& path, std::vector<std::byte> elements, const FlatShape& known) {
  const std::uint64_t count = elements.size() / kElementBytes;
  if (elements.empty() || elements.size() % kElementBytes != 0) {
    return bad_input(path + ": its array of " + std::to_string(elements.size()) +
                     " bytes is no array of int32; copy or make it anew");
  }
  FlatShape shape = known;
  const auto too_few = [&path, count](std::uint64_t parts, const std::string& what) {
    return bad_input(path + ": its array of " + std::to_string(count) + " ids cannot be divided by " +
                     std::to_string(parts) + " " + what + "; is it one request's whole array, and are they right?");
  };
  if (!shape.tokens) {
    if (!shape.layers || !shape.k || *shape.layers == 0 || *shape.k == 0) {
      return bad_input(path +
                       ": does not say how many tokens, layers and ids per row its array has; save it as an array "
                       "of these three dimensions with numpy.save");
    }
    const std::uint64_t of_token = *shape.layers * *shape.k;
    if (count % of_token != 0) {
      return too_few(of_token, "ids of a token");
    }
    shape.tokens = count / of_token;
  }
  if (*shape.tokens == 0 || count % *shape.tokens != 0) {
    return too_few(*shape.tokens, "tokens of prompt and output but the last");
  }
  const std::uint64_t width = count / *shape.tokens;
  if (!shape.layers && shape.k) {
    if (*shape.k == 0 || width % *shape.k != 0) {
      return too_few(*shape.k, "ids per row");
    }
    shape.layers = width / *shape.k;
  }
  if (!shape.layers) {
    shape.layers = layers_by_padding(elements, width * kElementBytes);
    if (*shape.layers == 0) {
      return bad_input(path + ": its array has " + std::to_string(width) +
                       " ids per token and nothing that tells its layers apart; say how many they are with --layers");
    }
  }
  if (*shape.layers == 0 || width % *shape.layers != 0) {
    return too_few(*shape.layers, "layers");
  }
  if (*shape.tokens >= kNeverRead || *shape.layers > kvt::kMostLayers) {
    return bad_input(path + ": its array has " + std::to_string(*shape.tokens) + " tokens and " +
                     std::to_string(*shape.layers) + " layers, more than are supported");
  }
  KVPLACE_ASSIGN(type, id_type("<i4"));
  return TopkArray{path,
                   {type, *shape.tokens, *shape.layers, width / *shape.layers},
                   std::make_shared<const std::vector<std::byte>>(std::move(elements))};
}

}  // namespace kvplace
