/// An output that may be compressed and appears under its name only when it is complete.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "kvplace/base/result.h"

namespace kvplace {

class ByteSink {
 public:
  /// Compresses if the name ends in .gz (gzip) or .zst (zstd).
  [[nodiscard]] static Result<ByteSink> create(const std::string& path);
  ByteSink(ByteSink&&) noexcept;
  ByteSink& operator=(ByteSink&&) noexcept;
  /// Without commit() nothing is left behind.
  ~ByteSink();

  [[nodiscard]] Status write(std::span<const std::byte> data);
  [[nodiscard]] Status write(std::string_view text);
  [[nodiscard]] Status commit();

  class Output;

 private:
  explicit ByteSink(std::unique_ptr<Output> output);
  std::unique_ptr<Output> output_;
};

/// Text written number by number, handed on in large pieces.
class TextSink {
 public:
  explicit TextSink(ByteSink sink) : sink_(std::move(sink)) {}

  TextSink& operator<<(std::string_view text) {
    pending_ += text;
    return *this;
  }
  TextSink& operator<<(std::uint64_t number);

  /// To be called now and then, so that what is pending stays small.
  [[nodiscard]] Status flush_if_large();
  [[nodiscard]] Status commit();

 private:
  ByteSink sink_;
  std::string pending_;
};

}  // namespace kvplace
