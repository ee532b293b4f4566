#include "trace/chunk_spool.h"

#include <zstd.h>

namespace kvplace {
namespace {
const std::string kName = "temporary file (TMPDIR)";
}

Result<ChunkSpool> ChunkSpool::create(std::size_t num_chunks) {
  KVPLACE_ASSIGN(file, open_temporary());
  return ChunkSpool(std::move(file), num_chunks);
}

Status ChunkSpool::put(std::size_t chunk, std::span<const std::byte> data) {
  std::vector<std::byte> stored(ZSTD_compressBound(data.size()));
  const std::size_t size = ZSTD_compress(stored.data(), stored.size(), data.data(), data.size(), 1);
  if (ZSTD_isError(size) != 0) {
    return failed(kName + ": " + ZSTD_getErrorName(size));
  }
  KVPLACE_TRY(write_all(file_.get(), std::span(stored).first(size), kName));
  if (std::fflush(file_.get()) != 0) {
    return failed(kName + ": cannot be written: is the disk full?");
  }
  places_[chunk] = {end_, size, data.size()};
  end_ += size;
  return {};
}

Result<std::vector<std::byte>> ChunkSpool::get(std::size_t chunk) const {
  const Place& place = places_[chunk];
  std::vector<std::byte> stored(place.stored);
  KVPLACE_TRY(read_exactly_at(file_.get(), place.offset, stored, kName));
  std::vector<std::byte> data(place.size);
  const std::size_t size = ZSTD_decompress(data.data(), data.size(), stored.data(), stored.size());
  if (ZSTD_isError(size) != 0 || size != data.size()) {
    return failed(kName + ": damaged while in use");
  }
  return data;
}

}  // namespace kvplace
