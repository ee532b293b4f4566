/// A temporary file with one compressed array per chunk of a trace, filled in any order, read from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/file.h"
#include "kvplace/base/result.h"

namespace kvplace {

class ChunkSpool {
 public:
  [[nodiscard]] static Result<ChunkSpool> create(std::size_t num_chunks);

  /// REQUIRES: called from one thread, once per chunk.
  [[nodiscard]] Status put(std::size_t chunk, std::span<const std::byte> data);
  /// Thread safe once all puts are done.
  [[nodiscard]] Result<std::vector<std::byte>> get(std::size_t chunk) const;

 private:
  struct Place {
    std::uint64_t offset = 0;
    std::size_t stored = 0;
    std::size_t size = 0;
  };

  ChunkSpool(FileHandle file, std::size_t num_chunks) : file_(std::move(file)), places_(num_chunks) {}

  FileHandle file_;
  std::uint64_t end_ = 0;
  std::vector<Place> places_;
};

}  // namespace kvplace
