#include "base/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

namespace kvplace {
namespace {

std::string reason() { return std::strerror(errno); }

}  // namespace

Result<FileHandle> open_for_reading(const std::string& path) {
  FileHandle file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) {
    return bad_input(path + ": cannot be opened: " + reason());
  }
  struct stat info{};
  if (fstat(fileno(file.get()), &info) == 0 && S_ISDIR(info.st_mode)) {
    return bad_input(path + ": is a folder, not a file");
  }
  KVPLACE_ASSIGN(held, note_input(fileno(file.get()), path));
  file.get_deleter().held = std::move(held);
  return file;
}

Result<FileHandle> open_seekable(const std::string& path) {
  KVPLACE_ASSIGN(file, open_for_reading(path));
  struct stat info{};
  if (fstat(fileno(file.get()), &info) != 0 || S_ISREG(info.st_mode) || S_ISBLK(info.st_mode)) {
    return file;
  }
  KVPLACE_ASSIGN(copy, open_temporary());
  std::byte buffer[65536];
  while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, file.get())) {
    KVPLACE_TRY(write_all(copy.get(), std::span(buffer).first(got), "the temporary copy of " + path));
  }
  if (std::ferror(file.get()) != 0) {
    return failed(path + ": cannot be read: " + reason());
  }
  if (std::fflush(copy.get()) != 0 || std::fseek(copy.get(), 0, SEEK_SET) != 0) {
    return failed("the temporary copy of " + path + ": cannot be written: " + reason());
  }
  return copy;
}

Result<std::string> read_small_file(const std::string& path) {
  constexpr std::size_t kLargest = std::size_t{16} << 20;
  KVPLACE_ASSIGN(file, open_for_reading(path));
  std::string text;
  char buffer[65536];
  for (std::size_t got = sizeof buffer; got == sizeof buffer;) {
    got = std::fread(buffer, 1, sizeof buffer, file.get());
    text.append(buffer, got);
    if (text.size() > kLargest) {
      return bad_input(path + ": larger than 16 MiB: this is no configuration file");
    }
  }
  if (std::ferror(file.get()) != 0) {
    return bad_input(path + ": cannot be read: " + reason());
  }
  return text;
}

Status read_exactly_at(std::FILE* file, std::uint64_t offset, std::span<std::byte> out, const std::string& path) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = pread(fileno(file), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return failed(path + ": cannot be read: " + reason());
    }
    if (got == 0) {
      return bad_input(path + ": ends at byte " + std::to_string(offset + done) + " before its contents do");
    }
    done += static_cast<std::size_t>(got);
  }
  return {};
}

Result<std::uint64_t> file_size(std::FILE* file, const std::string& path) {
  struct stat info{};
  if (fstat(fileno(file), &info) != 0) {
    return failed(path + ": " + reason());
  }
  return static_cast<std::uint64_t>(info.st_size);
}

Result<FileHandle> open_temporary() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  if (error) {
    return failed("no folder for temporary files: set TMPDIR");
  }
  std::string name = (folder / "kvplace-XXXXXX").string();
  const int descriptor = mkstemp(name.data());
  if (descriptor < 0) {
    return failed(name + ": no temporary file: " + reason());
  }
  unlink(name.c_str());
  FileHandle file(fdopen(descriptor, "w+b"));
  if (file == nullptr) {
    close(descriptor);
    return failed(name + ": no temporary file: " + reason());
  }
  return file;
}

Status write_all(std::FILE* file, std::span<const std::byte> data, const std::string& path) {
  if (std::fwrite(data.data(), 1, data.size(), file) != data.size()) {
    return failed(path + ": cannot be written: " + reason());
  }
  return {};
}

Result<OutputFile> OutputFile::create(const std::string& path) {
  KVPLACE_ASSIGN(claim, claim_of(path));
  std::string temporary = claim->target.path + ".XXXXXX";
  const int descriptor = mkstemp(temporary.data());
  if (descriptor < 0) {
    return bad_input(path + ": cannot be created: " + reason());
  }
  // mkstemp makes the file private; an output gets the permissions the user's mask allows.
  const mode_t mask = umask(0);
  umask(mask);
  fchmod(descriptor, 0666 & ~mask);
  return OutputFile(path, std::move(claim), std::move(temporary), FileHandle(fdopen(descriptor, "w+b")));
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      claim_(std::move(other.claim_)),
      temporary_(std::exchange(other.temporary_, {})),
      file_(std::move(other.file_)),
      written_(other.written_) {}

OutputFile::~OutputFile() {
  file_.reset();
  if (!temporary_.empty()) {
    unlink(temporary_.c_str());
  }
}

Status OutputFile::write(std::span<const std::byte> data) {
  KVPLACE_TRY(write_all(file_.get(), data, path_));
  written_ += data.size();
  return {};
}

Status OutputFile::write(std::string_view text) { return write(std::as_bytes(std::span(text.data(), text.size()))); }

Status OutputFile::rewrite(std::uint64_t offset, std::span<const std::byte> data) {
  std::FILE* file = file_.get();
  if (fseeko(file, static_cast<off_t>(offset), SEEK_SET) != 0) {
    return failed(path_ + ": cannot be written: " + reason());
  }
  KVPLACE_TRY(write_all(file, data, path_));
  if (fseeko(file, 0, SEEK_END) != 0) {
    return failed(path_ + ": cannot be written: " + reason());
  }
  return {};
}

std::uint64_t OutputFile::end_partial() {
  // What the stream still holds may not fit any more: that is no error here.
  file_.reset();
  std::error_code error;
  const std::uint64_t there = std::filesystem::file_size(temporary_, error);
  return error ? 0 : std::min<std::uint64_t>(there, written_);
}

Result<std::string> OutputFile::commit_partial(std::uint64_t size) {
  std::error_code error;
  std::filesystem::resize_file(temporary_, size, error);
  if (error) {
    return failed(path_ + ": cannot be written: " + error.message());
  }
  std::string ending;
  for (int i = 1; identity_of(claim_->target.path + ending); ++i) {
    ending = ".partial" + (i == 1 ? std::string() : std::to_string(i));
  }
  if (std::rename(temporary_.c_str(), (claim_->target.path + ending).c_str()) != 0) {
    return failed(path_ + ": cannot be written: " + reason());
  }
  temporary_.clear();
  return path_ + ending;
}

Status OutputFile::commit() {
  std::FILE* file = file_.release();
  const bool flushed = std::fflush(file) == 0;
  const bool closed = std::fclose(file) == 0;
  if (!flushed || !closed) {
    return failed(path_ + ": cannot be written: " + reason());
  }
  OutputTarget& target = claim_->target;
  const std::optional<FileIdentity> there = identity_of(target.path);
  if (there && there != target.exists) {
    return failed(path_ + ": another program has written it in the meantime, so it is left as it is; this output is " +
                  std::exchange(temporary_, {}));
  }
  if (std::rename(temporary_.c_str(), target.path.c_str()) != 0) {
    return failed(path_ + ": cannot be written: " + reason());
  }
  temporary_.clear();
  note_output(*claim_);
  return {};
}

Status write_output(const std::string& path, std::string_view data) {
  KVPLACE_ASSIGN(file, OutputFile::create(path));
  KVPLACE_TRY(file.write(data));
  return file.commit();
}

}  // namespace kvplace
