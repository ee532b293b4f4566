/// Files: whole small ones, and outputs that appear only when they are complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>

#include "kvplace/base/result.h"

namespace kvplace {

/// The contents of a configuration file (at most 16 MiB).
[[nodiscard]] Result<std::string> read_small_file(const std::string& path);

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using FileHandle = std::unique_ptr<std::FILE, FileCloser>;

/// Opens for reading; the error names the file and the system's reason.
[[nodiscard]] Result<FileHandle> open_for_reading(const std::string& path);

/// The same for a file that is read at any place. What can be read only once, a pipe or a terminal, is first copied to
/// an unnamed temporary file.
[[nodiscard]] Result<FileHandle> open_seekable(const std::string& path);

/// Fills `out` from `offset`; an end of file before that is an error.
[[nodiscard]] Status read_exactly_at(std::FILE* file, std::uint64_t offset, std::span<std::byte> out,
                                     const std::string& path);

[[nodiscard]] Result<std::uint64_t> file_size(std::FILE* file, const std::string& path);

/// An unnamed temporary file (in TMPDIR, or /tmp), gone when closed.
[[nodiscard]] Result<FileHandle> open_temporary();

[[nodiscard]] Status write_all(std::FILE* file, std::span<const std::byte> data, const std::string& path);

/// An output written under a temporary name beside its own and renamed into place by commit(). Without it nothing is
/// left behind and an older file of that name stays as it was.
class OutputFile {
 public:
  [[nodiscard]] static Result<OutputFile> create(const std::string& path);
  OutputFile(OutputFile&&) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  [[nodiscard]] Status write(std::span<const std::byte> data);
  [[nodiscard]] Status write(std::string_view text);
  /// Replaces bytes that have been written; `offset` + size must not pass written().
  [[nodiscard]] Status rewrite(std::uint64_t offset, std::span<const std::byte> data);
  [[nodiscard]] Status commit();
  /// For after a write has failed: ends writing and returns how much of what was written before is in the file.
  [[nodiscard]] std::uint64_t end_partial();
  /// After end_partial(): renames the file's first `size` bytes into place, under a name that did not exist before.
  [[nodiscard]] Status commit_partial(std::uint64_t size, const std::string& path);
  [[nodiscard]] std::uint64_t written() const { return written_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  OutputFile(std::string path, std::string temporary, FileHandle file)
      : path_(std::move(path)), temporary_(std::move(temporary)), file_(std::move(file)) {}

  std::string path_;
  std::string temporary_;
  FileHandle file_;
  std::uint64_t written_ = 0;
};

}  // namespace kvplace
