/// Files: whole small ones, and outputs that appear only when they are complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>

#include "base/output_claim.h"
#include "kvplace/base/result.h"

namespace kvplace {

/// The contents of a configuration file (at most 16 MiB).
[[nodiscard]] Result<std::string> read_small_file(const std::string& path);

struct FileCloser {
  HeldFile held = {};  ///< of an input
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using FileHandle = std::unique_ptr<std::FILE, FileCloser>;

/// Opens for reading; the error names the file and the system's reason. As long as it is open, and to the end of the
/// scope, no output replaces the file; bad input if it is claimed as one already.
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
///
/// It never takes the place of an input, of another output of the same call, or of what another run is writing:
/// create() refuses that (kvplace/base/file_guard.h), and nobody else of kvplace can write the file from then on. If
/// another program nevertheless put a file there, commit() leaves that alone, and the output under its temporary name.
class OutputFile {
 public:
  /// Errors as FileScope::claim.
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
  /// After end_partial(): renames the file's first `size` bytes into place, with ".partial" or ".partial2" and so on
  /// behind the name if there is such a file. Returns the name.
  [[nodiscard]] Result<std::string> commit_partial(std::uint64_t size);
  [[nodiscard]] std::uint64_t written() const { return written_; }
  /// As the user calls it.
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  OutputFile(std::string path, std::shared_ptr<OutputClaim> claim, std::string temporary, FileHandle file)
      : path_(std::move(path)), claim_(std::move(claim)), temporary_(std::move(temporary)), file_(std::move(file)) {}

  std::string path_;
  std::shared_ptr<OutputClaim> claim_;
  std::string temporary_;
  FileHandle file_;
  std::uint64_t written_ = 0;
};

}  // namespace kvplace
