/// A stream of bytes from a file that is plain, gzip or zstd, and lines on top of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"

namespace kvplace {

class ByteSource {
 public:
  /// Recognises compression by the file's first bytes, whatever its name.
  [[nodiscard]] static Result<ByteSource> open(const std::string& path);
  /// Bytes that are in memory already, decoded from what `path` names.
  [[nodiscard]] static ByteSource from_memory(const std::string& path,
                                              std::shared_ptr<const std::vector<std::byte>> bytes);
  ByteSource(ByteSource&&) noexcept;
  ByteSource& operator=(ByteSource&&) noexcept;
  ~ByteSource();

  /// Fills a part of `out`, 0 bytes only at the end. Damaged or cut off compressed data is an error.
  [[nodiscard]] Result<std::size_t> read(std::span<std::byte> out);
  /// Fills `out` unless the end comes first.
  [[nodiscard]] Result<std::size_t> read_fully(std::span<std::byte> out);
  /// All that is left. Memory grows with what there is.
  [[nodiscard]] Result<std::vector<std::byte>> read_all();
  [[nodiscard]] const std::string& path() const;

  class Input;

 private:
  explicit ByteSource(std::unique_ptr<Input> input);
  std::unique_ptr<Input> input_;
};

/// The lines of a text, without their "\n" or "\r\n".
class LineReader {
 public:
  static constexpr std::size_t kLongestLine = std::size_t{64} << 20;

  explicit LineReader(ByteSource source, std::size_t longest_line = kLongestLine)
      : source_(std::move(source)), longest_line_(longest_line) {}

  /// False at the end. `line` is valid until the next call; behind it stands a readable '\n' or '\r', so that a parser
  /// which stops there needs no other bound.
  [[nodiscard]] Result<bool> next(std::string_view& line);
  /// "file:line" of the line last read; of line 1 before that.
  [[nodiscard]] std::string place() const;
  [[nodiscard]] const std::string& path() const { return source_.path(); }

 private:
  [[nodiscard]] Status fill();

  ByteSource source_;
  std::size_t longest_line_;
  std::vector<char> buffer_;  ///< one byte longer than what is read into it
  std::size_t begin_ = 0;     ///< of what no line was made of yet
  std::size_t end_ = 0;
  bool at_end_ = false;
  std::uint64_t line_ = 0;
};

}  // namespace kvplace
