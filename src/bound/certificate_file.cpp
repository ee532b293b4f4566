// The file format of certificates (docs/certificate.md).
#include <zstd.h>

#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "kvplace/base/parse.h"
#include "kvplace/bound/certificate.h"
#include "trace/byte_order.h"
#include "trace/kvt_format.h"

namespace kvplace {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kMagic{"\x89KVC\r\n\x1a\n", 8};
constexpr std::uint32_t kVersion = 2;
constexpr std::size_t kPreambleBytes = 8 + 4 + 4;  // magic, version, length of the JSON text
constexpr std::size_t kWordBytes = sizeof(std::uint64_t);
constexpr std::uint32_t kMostLayers = 1u << 16;
constexpr int kZstdLevel = 3;

/// The numbers under their keys, in the order of the file, for reading and writing alike.
template <class Numbers, class Visit>
void visit_numbers(Numbers& certificate, Visit visit) {
  auto& n = certificate.numbers;
  visit("layers", n.layers);
  visit("steps", n.steps);
  visit("blocks_per_layer", n.blocks_per_layer);
  visit("batch", n.batch);
  visit("kv_block_bytes", n.kv_block_bytes);
  visit("expert_block_bytes", n.expert_block_bytes);
  visit("new_kv_bytes", n.new_kv_bytes);
  visit("capacity_bytes", n.capacity_bytes);
  visit("weight_bytes", n.weight_bytes);
  visit("bandwidth_bytes_per_second", n.bandwidth_bytes_per_second);
  visit("interference_2_20", n.interference_2_20);
  visit("floor_units", n.floor_units);
  visit("overhead_units", n.overhead_units);
  visit("ticks_per_second", certificate.ticks_per_second);
  visit("unit_bytes", certificate.unit_bytes);
  visit("start_price", certificate.start_price);
}

constexpr std::array kChoices{"mode", "barrier", "overlap", "start", "mirrored_reads"};

const Field<InstanceOptions>& option_field(std::string_view key) {
  for (const Field<InstanceOptions>& field : option_fields()) {
    if (field.key == key) {
      return field;
    }
  }
  std::terminate();  // the keys are this file's own
}

/// True if `json` is a whole number that `out` can hold and is not negative.
template <class Integer>
bool get_number(const Json& json, Integer& out) {
  if (!json.is_number_unsigned() || !std::in_range<Integer>(json.get<std::uint64_t>())) {
    return false;
  }
  out = json.get<Integer>();
  return true;
}

bool get_number(const Json& json, std::array<std::int64_t, kNumChannels>& out) {
  bool good = json.is_array() && json.size() == out.size();
  for (std::size_t i = 0; good && i < out.size(); ++i) {
    good = get_number(json[i], out[i]);
  }
  return good;
}

Status read_head_text(std::string_view text, Certificate& certificate) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) {
    return rejected("its head is no JSON object");
  }
  std::string wrong;
  std::size_t num_keys = 0;
  const auto find = [&](const char* key, auto get) {
    ++num_keys;
    const auto found = json.find(key);
    if (wrong.empty() && (found == json.end() || !get(*found))) {
      wrong = key;
    }
  };
  const auto find_text = [&](const char* key, std::string& out) {
    find(key, [&out](const Json& value) {
      const bool good = value.is_string();
      out = good ? value.get<std::string>() : std::string();
      return good;
    });
  };
  find_text("trace_digest", certificate.numbers.trace_digest);
  InstanceOptions options;
  for (const char* key : kChoices) {
    find(key, [&](const Json& value) {
      return value.is_string() && option_field(key).set(options, value.get<std::string>()).has_value();
    });
  }
  visit_numbers(certificate, [&](const char* key, auto& out) {
    find(key, [&out](const Json& value) { return get_number(value, out); });
  });
  find_text("made_by", certificate.made_by);
  if (!wrong.empty()) {
    return rejected("its head says nothing sensible of " + in_quotes(wrong));
  }
  if (json.size() != num_keys) {
    return rejected("its head has keys that version " + std::to_string(kVersion) + " does not know");
  }
  certificate.numbers.mode = options.mode;
  certificate.numbers.barrier = options.barrier;
  certificate.numbers.overlap = options.overlap;
  certificate.numbers.start = options.start;
  certificate.numbers.mirrored_reads = options.mirrored_reads;
  return {};
}

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
    if (version != kVersion) {
      return error("is a certificate of version " + std::to_string(version) + ", this program reads version " +
                   std::to_string(kVersion));
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
    if (const Status read = read_head_text(text, certificate_); !read) {
      return error(read.error().message);
    }
    const BoundNumbers& numbers = certificate_.numbers;
    if (numbers.layers == 0 || numbers.layers > kMostLayers || numbers.steps == 0) {
      return error("its layers or steps are none or too many");
    }
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

std::string to_json(const Certificate& certificate) {
  const BoundNumbers& numbers = certificate.numbers;
  InstanceOptions options;
  options.mode = numbers.mode;
  options.barrier = numbers.barrier;
  options.overlap = numbers.overlap;
  options.start = numbers.start;
  options.mirrored_reads = numbers.mirrored_reads;
  Json json;
  json["trace_digest"] = numbers.trace_digest;
  for (const char* key : kChoices) {
    json[key] = option_field(key).get(options);
  }
  visit_numbers(certificate, [&json](const char* key, const auto& value) { json[key] = value; });
  json["made_by"] = certificate.made_by;
  return json.dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::string differences(const BoundNumbers& there, const BoundNumbers& here) {
  const auto head = [](const BoundNumbers& numbers) {
    Certificate certificate;
    certificate.numbers = numbers;
    return Json::parse(to_json(certificate));
  };
  const Json theirs = head(there);
  const Json ours = head(here);
  std::string text;
  for (const auto& [key, value] : theirs.items()) {
    if (value != ours[key]) {
      text += (text.empty() ? "" : ", ") + key + " (" + value.dump() + " there, " + ours[key].dump() + " here)";
    }
  }
  return text;
}

Status check_instance(const Certificate& certificate, const Instance& instance, const TraceReader& trace) {
  KVPLACE_ASSIGN(here, bound_numbers(instance, trace));
  const std::string other = differences(certificate.numbers, here);
  return other.empty() || certificate.numbers.trace_digest != here.trace_digest
             ? Status()
             : rejected("the certificate speaks about another instance: " + other);
}

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
  append(head, kVersion);
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
