#include "trace/topk_array.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "kvplace/base/parse.h"
#include "trace/kvt_format.h"

namespace kvplace {
namespace {

constexpr std::uint64_t kWidestRow = std::uint64_t{1} << 26;

template <class T, bool kSwapped>
T load_element(const std::byte* at) {
  std::array<std::byte, sizeof(T)> bytes{};
  std::copy_n(at, sizeof(T), bytes.begin());
  if constexpr (kSwapped) {
    std::reverse(bytes.begin(), bytes.end());
  }
  return std::bit_cast<T>(bytes);
}

template <class T, bool kSwapped>
std::optional<std::string> append_ids(std::span<const std::byte> row, std::vector<std::uint32_t>& ids) {
  constexpr T kPadding = static_cast<T>(-1);
  for (std::size_t at = 0; at < row.size(); at += sizeof(T)) {
    const T value = load_element<T, kSwapped>(row.data() + at);
    if constexpr (std::is_signed_v<T>) {
      if (value == kPadding) {
        continue;
      }
      if (value < 0) {
        return std::to_string(value);
      }
    }
    if (static_cast<std::uint64_t>(value) >= kvt::kMostBlocksPerLayer) {
      return std::to_string(value);
    }
    ids.push_back(static_cast<std::uint32_t>(value));
  }
  return std::nullopt;
}

// Elements are stored little-endian and loaded as they lie.
static_assert(std::endian::native == std::endian::little);

constexpr std::array kTypes{
    IdType{"<i4", 4, append_ids<std::int32_t, false>},  IdType{"<i8", 8, append_ids<std::int64_t, false>},
    IdType{"<i2", 2, append_ids<std::int16_t, false>},  IdType{"|i1", 1, append_ids<std::int8_t, false>},
    IdType{"<u4", 4, append_ids<std::uint32_t, false>}, IdType{"<u8", 8, append_ids<std::uint64_t, false>},
    IdType{"<u2", 2, append_ids<std::uint16_t, false>}, IdType{"|u1", 1, append_ids<std::uint8_t, false>},
    IdType{">i4", 4, append_ids<std::int32_t, true>},   IdType{">i8", 8, append_ids<std::int64_t, true>},
    IdType{">i2", 2, append_ids<std::int16_t, true>},   IdType{">u4", 4, append_ids<std::uint32_t, true>},
    IdType{">u8", 8, append_ids<std::uint64_t, true>},  IdType{">u2", 2, append_ids<std::uint16_t, true>}};

std::string shape_text(const NpyHeader& header) {
  std::string text;
  for (const std::uint64_t size : header.shape) {
    text += (text.empty() ? "" : ", ") + std::to_string(size);
  }
  return "(" + text + ")";
}

class TopkSource : public RecordSource {
 public:
  TopkSource(ByteSource source, const TopkShape& shape, const TopkPart& part)
      : source_(std::move(source)), shape_(shape), part_(part), row_bytes_(shape.row_bytes()) {}

  Result<bool> next(SourceRecord& record) override {
    while (true) {
      const std::uint64_t row = next_row_++;
      token_ = row / shape_.layers;
      layer_ = row % shape_.layers;
      if (token_ == shape_.tokens) {
        return at_end();
      }
      KVPLACE_TRY(read_row());
      if (token_ >= part_.first_row && layer_ >= part_.first_layer) {
        break;
      }
    }
    record.step = token_ - part_.first_row;
    record.layer = layer_ - part_.first_layer;
    ids_.clear();
    const std::optional<std::string> bad = shape_.type->append(std::span(row_).first(row_bytes_), ids_);
    if (bad) {
      return bad_input(place() + ": " + *bad + " is no id; ids are 0 to " +
                       std::to_string(kvt::kMostBlocksPerLayer - 1) + ", and -1 where a row has fewer");
    }
    (part_.are_experts ? record.experts : record.kv) = ids_;
    return true;
  }

  std::string place() const override {
    if (part_.first_row == 0) {
      return source_.path() + ": decode step " + std::to_string(token_) + ", layer " + std::to_string(layer_);
    }
    return source_.path() + ": row " + std::to_string(token_) + ", layer " + std::to_string(layer_);
  }

 private:
  /// Memory grows with what the file really holds, whatever its head claims.
  Status read_row() {
    constexpr std::size_t kStepBytes = std::size_t{1} << 20;
    for (std::size_t done = 0; done < row_bytes_;) {
      const std::size_t part = std::min(row_bytes_ - done, kStepBytes);
      if (row_.size() < done + part) {
        row_.resize(done + part);
      }
      KVPLACE_ASSIGN(got, source_.read_fully(std::span(row_).subspan(done, part)));
      if (got < part) {
        return bad_input(place() + ": the file ends here, its header promises " + std::to_string(shape_.tokens) +
                         " decode steps of " + std::to_string(shape_.layers) + " layers; copy or make it anew");
      }
      done += part;
    }
    return {};
  }

  Result<bool> at_end() {
    std::array<std::byte, 1> rest{};
    KVPLACE_ASSIGN(got, source_.read_fully(rest));
    if (got > 0) {
      return bad_input(source_.path() + ": there is more behind the array of " + std::to_string(shape_.tokens) +
                       " decode steps and " + std::to_string(shape_.layers) +
                       " layers that its header promises; save one array alone with numpy.save");
    }
    --next_row_;
    return false;
  }

  ByteSource source_;
  TopkShape shape_;
  TopkPart part_;
  std::size_t row_bytes_;
  std::uint64_t next_row_ = 0;
  std::uint64_t token_ = 0;
  std::uint64_t layer_ = 0;
  std::vector<std::byte> row_;
  std::vector<std::uint32_t> ids_;
};

/// Elements [tokens, layers, k] of which the first index runs fastest, in C order.
Result<std::vector<std::byte>> from_fortran_order(const std::string& path, const TopkShape& shape,
                                                  const std::vector<std::byte>& stored) {
  const std::size_t size = shape.type->size;
  if (stored.size() / size / shape.k / shape.layers != shape.tokens ||
      stored.size() != size * shape.k * shape.layers * shape.tokens) {
    return bad_input(path + ": holds " + std::to_string(stored.size()) +
                     " bytes of elements, which is not what its header promises; copy or make it anew");
  }
  std::vector<std::byte> ordered(stored.size());
  std::byte* to = ordered.data();
  for (std::uint64_t token = 0; token < shape.tokens; ++token) {
    for (std::uint64_t layer = 0; layer < shape.layers; ++layer) {
      for (std::uint64_t i = 0; i < shape.k; ++i, to += size) {
        std::copy_n(stored.data() + size * (token + shape.tokens * (layer + shape.layers * i)), size, to);
      }
    }
  }
  return ordered;
}

/// Takes the elements of `source`, which stands behind the header.
Result<TopkArray> with_elements(TopkArray array, bool fortran_order, ByteSource& source) {
  KVPLACE_ASSIGN(bytes, source.read_all());
  if (fortran_order) {
    KVPLACE_ASSIGN(ordered, from_fortran_order(array.path, array.shape, bytes));
    bytes = std::move(ordered);
  }
  array.bytes = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  return array;
}

}  // namespace

Result<const IdType*> id_type(std::string_view descr) {
  const auto type =
      std::find_if(kTypes.begin(), kTypes.end(), [descr](const IdType& known) { return known.descr == descr; });
  if (type == kTypes.end()) {
    return bad_input("has elements of type " + in_quotes(descr) +
                     "; ids must be integers, as int32 ('<i4') or uint16 ('<u2'): save array.astype('<i4')");
  }
  return type;
}

Result<TopkShape> topk_shape(const NpyHeader& header) {
  KVPLACE_ASSIGN(type, id_type(header.descr));
  if (header.shape.size() != 3) {
    return bad_input("has the shape " + shape_text(header) +
                     "; expected three dimensions: decode steps, layers, ids per row");
  }
  if (header.shape[0] == 0 || header.shape[1] == 0 || header.shape[2] == 0) {
    return bad_input("has the shape " + shape_text(header) + ": there is nothing in it");
  }
  if (header.shape[0] >= kNeverRead || header.shape[1] > kvt::kMostLayers || header.shape[2] > kWidestRow) {
    return bad_input("has the shape " + shape_text(header) + "; at most " + std::to_string(kNeverRead - 1) +
                     " decode steps, " + std::to_string(kvt::kMostLayers) + " layers and " +
                     std::to_string(kWidestRow) + " ids per row are supported");
  }
  return TopkShape{type, header.shape[0], header.shape[1], header.shape[2]};
}

Result<TopkArray> open_npy(const std::string& path) {
  KVPLACE_ASSIGN(source, ByteSource::open(path));
  KVPLACE_ASSIGN(header, read_npy_header(source));
  const Result<TopkShape> shape = topk_shape(header);
  if (!shape) {
    return bad_input(path + ": " + shape.error().message);
  }
  const TopkArray array{path, *shape, nullptr};
  return header.fortran_order ? with_elements(array, true, source) : array;
}

Result<TopkArray> npy_in_memory(const std::string& path, std::vector<std::byte> bytes) {
  ByteSource source = ByteSource::from_memory(path, std::make_shared<const std::vector<std::byte>>(std::move(bytes)));
  KVPLACE_ASSIGN(header, read_npy_header(source));
  const Result<TopkShape> shape = topk_shape(header);
  if (!shape) {
    return bad_input(path + ": " + shape.error().message);
  }
  return with_elements({path, *shape, nullptr}, header.fortran_order, source);
}

Result<std::unique_ptr<RecordSource>> read_topk(const TopkArray& array, const TopkPart& part) {
  if (array.bytes != nullptr) {
    return std::make_unique<TopkSource>(ByteSource::from_memory(array.path, array.bytes), array.shape, part);
  }
  KVPLACE_ASSIGN(source, ByteSource::open(array.path));
  KVPLACE_TRY(read_npy_header(source));
  return std::make_unique<TopkSource>(std::move(source), array.shape, part);
}

}  // namespace kvplace
