#include "trace/byte_source.h"

#define ZLIB_CONST  // input buffers of zlib are not written to
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "trace/byte_order.h"

namespace kvplace {

/// The bytes of the file as they are stored, behind a buffer that the first look at them needs.
class ByteSource::Input {
 public:
  Input(std::string path, FileHandle file) : path_(std::move(path)), file_(std::move(file)) {}
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  virtual ~Input() = default;

  virtual Result<std::size_t> read(std::span<std::byte> out) {
    if (stored_.empty()) {
      return read_file(out);
    }
    const std::size_t count = std::min(out.size(), stored_.size());
    std::memcpy(out.data(), stored_.data(), count);
    stored_ = stored_.subspan(count);
    return count;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

  /// Makes stored bytes available unless the file ends.
  Status fill() {
    if (stored_.empty()) {
      buffer_.resize(kBufferBytes);
      KVPLACE_ASSIGN(count, read_file(buffer_));
      stored_ = std::span(buffer_).first(count);
    }
    return {};
  }
  [[nodiscard]] std::span<const std::byte> stored() const { return stored_; }

 protected:
  /// Another view of the same file, at the same place.
  Input(Input&& other, int) noexcept
      : path_(std::move(other.path_)),
        file_(std::move(other.file_)),
        buffer_(std::move(other.buffer_)),
        stored_(other.stored_) {}

  [[nodiscard]] tl::unexpected<Error> truncated(const char* kind) const {
    return bad_input(path_ + ": its " + kind + " data is cut off; copy or make the file anew");
  }
  [[nodiscard]] tl::unexpected<Error> damaged(const char* kind, const char* why) const {
    return bad_input(path_ + ": its " + kind + " data is damaged (" + (why == nullptr ? "no reason given" : why) +
                     "); copy or make the file anew");
  }
  void consume(std::size_t count) { stored_ = stored_.subspan(count); }

 private:
  static constexpr std::size_t kBufferBytes = std::size_t{64} << 10;

  Result<std::size_t> read_file(std::span<std::byte> out) {
    const std::size_t count = std::fread(out.data(), 1, out.size(), file_.get());
    if (count == 0 && std::ferror(file_.get()) != 0) {
      return failed(path_ + ": cannot be read: " + std::strerror(errno));
    }
    return count;
  }

  std::string path_;
  FileHandle file_;
  std::vector<std::byte> buffer_;
  std::span<const std::byte> stored_;
};

namespace {

class GzipInput : public ByteSource::Input {
 public:
  explicit GzipInput(Input&& stored) : Input(std::move(stored), 0) {
    constexpr int kLargestWindow = 15;
    constexpr int kGzipHeader = 16;
    ready_ = inflateInit2(&stream_, kLargestWindow + kGzipHeader) == Z_OK;
  }
  ~GzipInput() override {
    if (ready_) {
      inflateEnd(&stream_);
    }
  }

  Result<std::size_t> read(std::span<std::byte> out) override {
    if (!ready_) {
      return failed(path() + ": not enough memory to decompress it");
    }
    constexpr std::size_t kMost = std::size_t{1} << 30;
    out = out.first(std::min(out.size(), kMost));
    std::size_t done = 0;
    while (done == 0 && !out.empty()) {
      KVPLACE_TRY(fill());
      if (stored().empty()) {
        if (in_member_) {
          return truncated("gzip");
        }
        break;
      }
      if (!in_member_) {
        inflateReset(&stream_);
        in_member_ = true;
      }
      stream_.next_in = reinterpret_cast<const Bytef*>(stored().data());
      stream_.avail_in = static_cast<uInt>(stored().size());
      stream_.next_out = reinterpret_cast<Bytef*>(out.data());
      stream_.avail_out = static_cast<uInt>(out.size());
      const int status = inflate(&stream_, Z_NO_FLUSH);
      if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
        return damaged("gzip", stream_.msg);
      }
      consume(stored().size() - stream_.avail_in);
      done = out.size() - stream_.avail_out;
      in_member_ = status != Z_STREAM_END;
    }
    return done;
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
  bool in_member_ = true;
};

class ZstdInput : public ByteSource::Input {
 public:
  explicit ZstdInput(Input&& stored) : Input(std::move(stored), 0), context_(ZSTD_createDCtx()) {}

  Result<std::size_t> read(std::span<std::byte> out) override {
    if (context_ == nullptr) {
      return failed(path() + ": not enough memory to decompress it");
    }
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    while (to.pos == 0 && to.size > 0) {
      KVPLACE_TRY(fill());
      // At the file's end the decoder may still hold output of an unfinished frame; only then ask it once more.
      if (stored().empty() && (!in_frame_ || drained_)) {
        if (in_frame_) {
          return truncated("zstd");
        }
        break;
      }
      drained_ = stored().empty();
      ZSTD_inBuffer from{stored().data(), stored().size(), 0};
      const std::size_t status = ZSTD_decompressStream(context_.get(), &to, &from);
      if (ZSTD_isError(status) != 0) {
        return damaged("zstd", ZSTD_getErrorName(status));
      }
      consume(from.pos);
      in_frame_ = status != 0;
      drained_ = drained_ && to.pos == 0;
    }
    return to.pos;
  }

 private:
  struct Release {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Release> context_;
  bool in_frame_ = true;
  bool drained_ = false;  ///< asked for more at the end of the file, and nothing came
};

/// Bytes in memory.
class MemoryInput : public ByteSource::Input {
 public:
  MemoryInput(const std::string& path, std::shared_ptr<const std::vector<std::byte>> bytes)
      : Input(path, nullptr), bytes_(std::move(bytes)) {}

  Result<std::size_t> read(std::span<std::byte> out) override {
    const std::size_t count = std::min(out.size(), bytes_->size() - done_);
    std::copy_n(bytes_->data() + done_, count, out.data());
    done_ += count;
    return count;
  }

 private:
  std::shared_ptr<const std::vector<std::byte>> bytes_;
  std::size_t done_ = 0;
};

constexpr std::array<unsigned char, 2> kGzipMagic{0x1f, 0x8b};
constexpr std::array<unsigned char, 4> kZstdMagic{0x28, 0xb5, 0x2f, 0xfd};

bool begins_with(std::span<const std::byte> data, std::span<const unsigned char> magic) {
  return data.size() >= magic.size() && std::memcmp(data.data(), magic.data(), magic.size()) == 0;
}

/// zstd files may begin with a frame to be skipped: 0x184D2A50 to 0x184D2A5F.
bool begins_with_skippable_frame(std::span<const std::byte> data) {
  constexpr std::uint32_t kSkippable = 0x184d2a50;
  return data.size() >= 4 && (load_little_endian<std::uint32_t>(data.data()) & ~0xfu) == kSkippable;
}

}  // namespace

ByteSource::ByteSource(std::unique_ptr<Input> input) : input_(std::move(input)) {}
ByteSource::ByteSource(ByteSource&&) noexcept = default;
ByteSource& ByteSource::operator=(ByteSource&&) noexcept = default;
ByteSource::~ByteSource() = default;

const std::string& ByteSource::path() const { return input_->path(); }

Result<ByteSource> ByteSource::open(const std::string& path) {
  KVPLACE_ASSIGN(file, open_for_reading(path));
  auto input = std::make_unique<Input>(path, std::move(file));
  KVPLACE_TRY(input->fill());
  if (begins_with(input->stored(), kGzipMagic)) {
    input = std::make_unique<GzipInput>(std::move(*input));
  } else if (begins_with(input->stored(), kZstdMagic) || begins_with_skippable_frame(input->stored())) {
    input = std::make_unique<ZstdInput>(std::move(*input));
  }
  return ByteSource(std::move(input));
}

ByteSource ByteSource::from_memory(const std::string& path, std::shared_ptr<const std::vector<std::byte>> bytes) {
  return ByteSource(std::make_unique<MemoryInput>(path, std::move(bytes)));
}

Result<std::vector<std::byte>> ByteSource::read_all() {
  constexpr std::size_t kStepBytes = std::size_t{1} << 20;
  std::vector<std::byte> bytes;
  while (true) {
    const std::size_t done = bytes.size();
    if (bytes.capacity() < done + kStepBytes) {
      bytes.reserve(2 * done + kStepBytes);
    }
    bytes.resize(done + kStepBytes);
    KVPLACE_ASSIGN(count, read_fully(std::span(bytes).subspan(done)));
    bytes.resize(done + count);
    if (count < kStepBytes) {
      return bytes;
    }
  }
}

Result<std::size_t> ByteSource::read(std::span<std::byte> out) { return input_->read(out); }

Result<std::size_t> ByteSource::read_fully(std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    KVPLACE_ASSIGN(count, input_->read(out.subspan(done)));
    if (count == 0) {
      break;
    }
    done += count;
  }
  return done;
}

Status LineReader::fill() {
  constexpr std::size_t kStepBytes = std::size_t{64} << 10;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ >= buffer_.size() / 2) {
    buffer_.resize(std::max(2 * buffer_.size(), kStepBytes));
  }
  const auto room = std::as_writable_bytes(std::span(buffer_).subspan(end_, buffer_.size() - 1 - end_));
  KVPLACE_ASSIGN(count, source_.read(room));
  at_end_ = count == 0;
  end_ += count;
  return {};
}

Result<bool> LineReader::next(std::string_view& line) {
  std::size_t searched = 0;
  const void* newline = nullptr;
  while (true) {
    const char* const from = buffer_.data() + begin_ + searched;
    newline = begin_ == end_ ? nullptr : std::memchr(from, '\n', end_ - begin_ - searched);
    if (newline != nullptr || at_end_) {
      break;
    }
    searched = end_ - begin_;
    if (searched > longest_line_) {
      break;
    }
    KVPLACE_TRY(fill());
  }
  if (newline == nullptr && begin_ == end_) {
    return false;
  }
  ++line_;
  const char* const start = buffer_.data() + begin_;
  const std::size_t length =
      newline == nullptr ? end_ - begin_ : static_cast<std::size_t>(static_cast<const char*>(newline) - start);
  if (length > longest_line_) {
    return bad_input(place() + ": is longer than " + std::to_string(longest_line_) +
                     " bytes: this is no CSV file with a row per line");
  }
  buffer_[begin_ + length] = '\n';  // the last line may have none
  begin_ = std::min(begin_ + length + 1, end_);
  line = {start, length};
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  return true;
}

std::string LineReader::place() const {
  return source_.path() + ":" + std::to_string(std::max<std::uint64_t>(line_, 1));
}

}  // namespace kvplace
