#include "trace/byte_sink.h"

#define ZLIB_CONST  // input buffers of zlib are not written to
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "base/file.h"

namespace kvplace {

class ByteSink::Output {
 public:
  explicit Output(OutputFile file) : file_(std::move(file)) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  virtual ~Output() = default;

  virtual Status write(std::span<const std::byte> data) { return file_.write(data); }
  virtual Status commit() { return file_.commit(); }

 protected:
  OutputFile& file() { return file_; }
  [[nodiscard]] tl::unexpected<Error> not_compressed(const char* why) const {
    return failed(file_.path() + ": compression failed: " + why);
  }

 private:
  OutputFile file_;
};

namespace {

constexpr std::size_t kBufferBytes = std::size_t{256} << 10;

class GzipOutput : public ByteSink::Output {
 public:
  explicit GzipOutput(OutputFile file) : Output(std::move(file)), buffer_(kBufferBytes) {
    constexpr int kLargestWindow = 15;
    constexpr int kGzipHeader = 16;
    constexpr int kMemoryLevel = 8;
    ready_ = deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kLargestWindow + kGzipHeader, kMemoryLevel,
                          Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~GzipOutput() override {
    if (ready_) {
      deflateEnd(&stream_);
    }
  }

  Status write(std::span<const std::byte> data) override {
    constexpr std::size_t kMost = std::size_t{1} << 30;
    while (!data.empty()) {
      const auto part = data.first(std::min(data.size(), kMost));
      KVPLACE_TRY(deflate_all(part, Z_NO_FLUSH));
      data = data.subspan(part.size());
    }
    return {};
  }
  Status commit() override {
    KVPLACE_TRY(deflate_all({}, Z_FINISH));
    return Output::commit();
  }

 private:
  Status deflate_all(std::span<const std::byte> data, int flush) {
    if (!ready_) {
      return not_compressed("not enough memory");
    }
    stream_.next_in = reinterpret_cast<const Bytef*>(data.data());
    stream_.avail_in = static_cast<uInt>(data.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      if (deflate(&stream_, flush) == Z_STREAM_ERROR) {
        return not_compressed(stream_.msg == nullptr ? "zlib" : stream_.msg);
      }
      KVPLACE_TRY(file().write(std::span<const std::byte>(buffer_).first(buffer_.size() - stream_.avail_out)));
    } while (stream_.avail_out == 0);
    return {};
  }

  z_stream stream_{};
  bool ready_ = false;
  std::vector<std::byte> buffer_;
};

class ZstdOutput : public ByteSink::Output {
 public:
  explicit ZstdOutput(OutputFile file)
      : Output(std::move(file)), context_(ZSTD_createCCtx()), buffer_(ZSTD_CStreamOutSize()) {
    if (context_ != nullptr) {
      ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
    }
  }

  Status write(std::span<const std::byte> data) override { return compress(data, ZSTD_e_continue); }
  Status commit() override {
    KVPLACE_TRY(compress({}, ZSTD_e_end));
    return Output::commit();
  }

 private:
  Status compress(std::span<const std::byte> data, ZSTD_EndDirective end) {
    if (context_ == nullptr) {
      return not_compressed("not enough memory");
    }
    ZSTD_inBuffer from{data.data(), data.size(), 0};
    while (true) {
      ZSTD_outBuffer to{buffer_.data(), buffer_.size(), 0};
      const std::size_t left = ZSTD_compressStream2(context_.get(), &to, &from, end);
      if (ZSTD_isError(left) != 0) {
        return not_compressed(ZSTD_getErrorName(left));
      }
      KVPLACE_TRY(file().write(std::span<const std::byte>(buffer_).first(to.pos)));
      if (end == ZSTD_e_continue ? from.pos == from.size : left == 0) {
        return {};
      }
    }
  }

  struct Release {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Release> context_;
  std::vector<std::byte> buffer_;
};

}  // namespace

ByteSink::ByteSink(std::unique_ptr<Output> output) : output_(std::move(output)) {}
ByteSink::ByteSink(ByteSink&&) noexcept = default;
ByteSink& ByteSink::operator=(ByteSink&&) noexcept = default;
ByteSink::~ByteSink() = default;

Result<ByteSink> ByteSink::create(const std::string& path) {
  KVPLACE_ASSIGN(file, OutputFile::create(path));
  if (path.ends_with(".gz")) {
    return ByteSink(std::make_unique<GzipOutput>(std::move(file)));
  }
  if (path.ends_with(".zst")) {
    return ByteSink(std::make_unique<ZstdOutput>(std::move(file)));
  }
  return ByteSink(std::make_unique<Output>(std::move(file)));
}

Status ByteSink::write(std::span<const std::byte> data) { return output_->write(data); }
Status ByteSink::write(std::string_view text) {
  return output_->write(std::as_bytes(std::span(text.data(), text.size())));
}
Status ByteSink::commit() { return output_->commit(); }

TextSink& TextSink::operator<<(std::uint64_t number) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  pending_.append(digits.data(), end);
  return *this;
}

Status TextSink::flush_if_large() {
  if (pending_.size() >= kBufferBytes) {
    KVPLACE_TRY(sink_.write(pending_));
    pending_.clear();
  }
  return {};
}

Status TextSink::commit() {
  KVPLACE_TRY(sink_.write(pending_));
  return sink_.commit();
}

}  // namespace kvplace
