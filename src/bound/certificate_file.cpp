// The file format of certificates (docs/certificate.md).
#include <zstd.h>

#include <cstring>
#include <memory>
#include <utility>

#include "base/file.h"
#include "bound/certificate_head.h"
#include "trace/byte_order.h"
#include "trace/kvt_format.h"

namespace kvplace {
namespace {

constexpr std::string_view kMagic{"\x89KVC\r\n\x1a\n", 8};
constexpr std::size_t kPreambleBytes = 8 + 4 + 4;  // magic, version, length of the JSON text
constexpr std::size_t kWordBytes = sizeof(std::uint64_t);
constexpr int kZstdLevel = 3;

template <class Value>
void append(std::vector<std::byte>& to, Value value) {
  to.resize(to.size() + sizeof value);
  store_little_endian(to.data() + to.size() - sizeof value, value);
}

/// All prices, channel by channel, then the rows.
std::vector<std::byte> price_bytes(const Certificate& certificate) {
  const std::size_t groups = certificate.channel_prices.size();
  std::vector<std::byte> bytes((groups * kNumChannels + certificate.row_prices.size()) * kWordBytes);
  std::byte* at = bytes.data();
  const auto put = [&at](std::uint64_t price) {
    store_little_endian(at, price);
    at += kWordBytes;
  };
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    for (const auto& prices : certificate.channel_prices) {
      put(prices[c]);
    }
  }
  for (const std::uint64_t price : certificate.row_prices) {
    put(price);
  }
  return bytes;
}

struct ReleaseStream {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

/// Decompresses one zstd frame of exactly `count` words. Memory grows with what really comes out of it.
bool decompress_words(std::span<const std::byte> stored, std::uint64_t count, std::vector<std::uint64_t>& words) {
  const std::unique_ptr<ZSTD_DCtx, ReleaseStream> context(ZSTD_createDCtx());
  std::vector<std::byte> buffer(ZSTD_DStreamOutSize() / kWordBytes * kWordBytes);
  ZSTD_inBuffer in{stored.data(), stored.size(), 0};
  std::size_t left = 1;
  while (left != 0) {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    // Fill the buffer before words are taken from it, so that none is cut in two.
    while (left != 0 && out.pos < out.size) {
      const std::size_t consumed = in.pos;
      const std::size_t written = out.pos;
      left = ZSTD_decompressStream(context.get(), &out, &in);
      if (ZSTD_isError(left) != 0 || (left != 0 && in.pos == consumed && out.pos == written)) {
        return false;
      }
    }
    if (out.pos % kWordBytes != 0 || out.pos / kWordBytes > count - words.size()) {
      return false;
    }
    for (std::size_t at = 0; at < out.pos; at += kWordBytes) {
      words.push_back(load_little_endian<std::uint64_t>(buffer.data() + at));
    }
  }
  return in.pos == in.size && words.size() == count;
}

class Reading {
 public:
  Reading(std::string path, FileHandle file) : path_(std::move(path)), file_(std::move(file)) {}

  Result<Certificate> run() {
    KVPLACE_ASSIGN(size, file_size(file_.get(), path_));
    size_ = size;
    KVPLACE_TRY(read_head());
    KVPLACE_TRY(read_prices());
    return std::move(certificate_);
  }

 private:
  [[nodiscard]] tl::unexpected<Error> error(const std::string& what) const { return rejected(path_ + ": " + what); }
  [[nodiscard]] tl::unexpected<Error> not_a_certificate() const {
    return error("is not a certificate, or its head is damaged");
  }

  Status read_head() {
    head_.resize(kPreambleBytes);
    if (!read_exactly_at(file_.get(), 0, head_, path_) ||
        std::memcmp(head_.data(), kMagic.data(), kMagic.size()) != 0) {
      return not_a_certificate();
    }
    const auto version = load_little_endian<std::uint32_t>(head_.data() + 8);
    if (version < kOldestCertificate || version > kCertificateVersion) {
      return error("is a certificate of version " + std::to_string(version) + ", this program reads versions " +
                   std::to_string(kOldestCertificate) + " and " + std::to_string(kCertificateVersion));
    }
    const auto length = load_little_endian<std::uint32_t>(head_.data() + 12);
    if (length > kvt::kMostMetadataBytes) {
      return not_a_certificate();
    }
    const std::size_t end = kPreambleBytes + length;
    head_.resize(end + kWordBytes);
    if (!read_exactly_at(file_.get(), 0, head_, path_) ||
        load_little_endian<std::uint64_t>(head_.data() + end) != kvt::checksum(std::span(head_).first(end))) {
      return not_a_certificate();
    }
    const std::string_view text(reinterpret_cast<const char*>(head_.data()) + kPreambleBytes, length);
    Result<Certificate> head = certificate_of_head(text, version);
    if (!head) {
      return error(head.error().message);
    }
    certificate_ = std::move(*head);
    return {};
  }

  Status read_prices() {
    std::vector<std::byte> tail(kWordBytes);
    std::uint64_t offset = head_.size();
    if (!read_exactly_at(file_.get(), offset, tail, path_)) {
      return error("is cut off behind its head");
    }
    const auto stored_size = load_little_endian<std::uint64_t>(tail.data());
    offset += kWordBytes;
    if (size_ < offset + kWordBytes || stored_size != size_ - offset - kWordBytes) {
      return error("is cut off, damaged, or goes on after its end");
    }
    tail.resize(kWordBytes + stored_size + kWordBytes);
    if (!read_exactly_at(file_.get(), head_.size(), tail, path_) ||
        load_little_endian<std::uint64_t>(tail.data() + kWordBytes + stored_size) !=
            kvt::checksum(std::span(tail).first(kWordBytes + stored_size))) {
      return error("its prices are damaged");
    }
    const std::uint64_t groups = num_groups(certificate_.numbers);
    const std::uint64_t rows = std::uint64_t{certificate_.numbers.steps} * certificate_.numbers.layers;
    std::vector<std::uint64_t> words;
    if (!decompress_words(std::span(tail).subspan(kWordBytes, stored_size), groups * kNumChannels + rows, words)) {
      return error("its prices are damaged, or not as many as its steps and layers need");
    }
    certificate_.channel_prices.resize(groups);
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      for (std::size_t g = 0; g < groups; ++g) {
        certificate_.channel_prices[g][c] = words[c * groups + g];
      }
    }
    certificate_.row_prices.assign(words.end() - static_cast<std::ptrdiff_t>(rows), words.end());
    return {};
  }

  std::string path_;
  FileHandle file_;
  std::uint64_t size_ = 0;
  std::vector<std::byte> head_;
  Certificate certificate_;
};

}  // namespace

Status write_certificate(const std::string& path, const Certificate& certificate) {
  const BoundNumbers& numbers = certificate.numbers;
  if (certificate.channel_prices.size() != num_groups(numbers) ||
      certificate.row_prices.size() != std::uint64_t{numbers.steps} * numbers.layers) {
    return failed(path + ": the certificate's prices are not as many as its steps and layers need");
  }
  const std::string text = to_json(certificate);
  if (text.size() > kvt::kMostMetadataBytes) {
    return failed(path + ": the certificate's texts are longer than 1 MiB");
  }
  std::vector<std::byte> head(kMagic.size());
  std::memcpy(head.data(), kMagic.data(), kMagic.size());
  append(head, kCertificateVersion);
  append(head, static_cast<std::uint32_t>(text.size()));
  const auto text_bytes = std::as_bytes(std::span(text.data(), text.size()));
  head.insert(head.end(), text_bytes.begin(), text_bytes.end());
  append(head, kvt::checksum(head));

  const std::vector<std::byte> prices = price_bytes(certificate);
  std::vector<std::byte> tail(kWordBytes + ZSTD_compressBound(prices.size()));
  const std::size_t stored =
      ZSTD_compress(tail.data() + kWordBytes, tail.size() - kWordBytes, prices.data(), prices.size(), kZstdLevel);
  if (ZSTD_isError(stored) != 0) {
    return failed(path + ": compression failed: " + ZSTD_getErrorName(stored));
  }
  store_little_endian(tail.data(), std::uint64_t{stored});
  tail.resize(kWordBytes + stored);
  append(tail, kvt::checksum(tail));

  KVPLACE_ASSIGN(file, OutputFile::create(path));
  KVPLACE_TRY(file.write(head));
  KVPLACE_TRY(file.write(tail));
  return file.commit();
}

Result<Certificate> read_certificate(const std::string& path) {
  KVPLACE_ASSIGN(file, open_seekable(path));
  return Reading(path, std::move(file)).run();
}

}  // namespace kvplace
