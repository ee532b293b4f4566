/// Pages of the system's memory that are read and written in place.
#pragma once

#include "kvplace/runtime/memory.h"

namespace kvplace {

/// Of pieces: a cache line.
inline constexpr std::uint32_t kMappedAlignment = 64;

/// An anonymous mapping, aligned so that huge pages fit, gone with this.
class Mapping {
 public:
  /// `node`: of libnuma, or -1 for the system's choice. All pages are there when it returns.
  [[nodiscard]] static Result<Mapping> make(Bytes size, int node, const std::string& name);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping();

  [[nodiscard]] std::byte* data() const { return data_; }

 private:
  Mapping(void* base, std::size_t mapped, std::byte* data) : base_(base), mapped_(mapped), data_(data) {}

  void* base_;
  std::size_t mapped_;
  std::byte* data_;
};

}  // namespace kvplace
