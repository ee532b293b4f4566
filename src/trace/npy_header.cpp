#include "trace/npy_header.h"

#include <algorithm>
#include <array>

#include "kvplace/base/parse.h"
#include "trace/byte_order.h"

namespace kvplace {
namespace {

constexpr std::size_t kVersionBytes = 2;
constexpr std::uint32_t kLongestHeader = 64 << 10;

/// The few literals of Python that a header is made of.
class PythonReader {
 public:
  explicit PythonReader(std::string_view text) : rest_(text) {}

  bool take(std::string_view token) {
    skip_spaces();
    if (!rest_.starts_with(token)) {
      return false;
    }
    rest_.remove_prefix(token.size());
    return true;
  }
  bool string(std::string& value) {
    skip_spaces();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) {
      return false;
    }
    const std::size_t end = rest_.find(rest_.front(), 1);
    if (end == rest_.npos) {
      return false;
    }
    value = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return true;
  }
  bool boolean(bool& value) {
    value = take("True");
    return value || take("False");
  }
  /// (512, 30, 512), (512,) or ().
  bool shape(std::vector<std::uint64_t>& value) {
    value.clear();
    if (!take("(")) {
      return false;
    }
    while (!take(")")) {
      std::uint64_t number = 0;
      if ((!value.empty() && !comma_) || !digits(number)) {
        return false;
      }
      value.push_back(number);
      comma_ = take(",");
    }
    return true;
  }
  bool at_end() {
    skip_spaces();
    return rest_.empty();
  }

 private:
  void skip_spaces() { rest_.remove_prefix(std::min(rest_.size(), rest_.find_first_not_of(" \t\r\n"))); }
  bool digits(std::uint64_t& value) {
    skip_spaces();
    constexpr std::size_t kMostHere = 18;
    const std::size_t count = std::min(rest_.size(), rest_.find_first_not_of("0123456789"));
    if (count == 0 || count > kMostHere) {
      return false;
    }
    value = 0;
    for (const char c : rest_.substr(0, count)) {
      value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    rest_.remove_prefix(count);
    take("L");  // long integers of Python 2
    return true;
  }

  std::string_view rest_;
  bool comma_ = false;
};

}  // namespace

Result<NpyHeader> parse_npy_dictionary(std::string_view text) {
  const auto damaged = [text] {
    return bad_input("its header is damaged: expected {'descr': ..., 'fortran_order': ..., 'shape': ...}, found " +
                     in_quotes(text));
  };
  NpyHeader header;
  bool has_descr = false;
  bool has_order = false;
  bool has_shape = false;
  PythonReader in(text);
  if (!in.take("{")) {
    return damaged();
  }
  while (!in.take("}")) {
    std::string key;
    if (!in.string(key) || !in.take(":")) {
      return damaged();
    }
    bool* const seen = key == "descr" ? &has_descr : key == "fortran_order" ? &has_order : &has_shape;
    if (*seen || (seen == &has_shape && key != "shape")) {
      return damaged();
    }
    *seen = true;
    if (seen == &has_descr && in.take("[")) {
      return bad_input("holds records with named fields; save an array of plain integers");
    }
    const bool ok = seen == &has_descr   ? in.string(header.descr)
                    : seen == &has_order ? in.boolean(header.fortran_order)
                                         : in.shape(header.shape);
    if (!ok || (!in.take(",") && !PythonReader(in).take("}"))) {
      return damaged();
    }
  }
  return has_descr && has_order && has_shape && in.at_end() ? Result<NpyHeader>(header) : damaged();
}

Result<NpyHeader> read_npy_header(ByteSource& source) {
  const auto cut_off = [&source] {
    return bad_input(source.path() + ": ends within its header; copy or make it anew");
  };
  std::array<std::byte, kNpyMagic.size() + kVersionBytes> start{};
  KVPLACE_ASSIGN(got, source.read_fully(start));
  const std::string_view found(reinterpret_cast<const char*>(start.data()), got);
  if (got == 0) {
    return bad_input(source.path() + ": is empty; expected a NumPy .npy file");
  }
  if (!found.starts_with(kNpyMagic.substr(0, got))) {
    return bad_input(source.path() + ": is no .npy file" +
                     (found.starts_with("PK") ? " but an archive (.npz); save the array alone with numpy.save"
                                              : ", it begins with " + in_quotes(found)));
  }
  if (got < start.size()) {
    return cut_off();
  }
  const auto version = std::to_integer<unsigned>(start[kNpyMagic.size()]);
  if (version < 1 || version > 3) {
    return bad_input(source.path() + ": is of .npy version " + std::to_string(version) + ", known are 1 to 3");
  }
  std::array<std::byte, 4> length_bytes{};
  const auto length_part = std::span(length_bytes).first(version == 1 ? 2 : 4);
  KVPLACE_ASSIGN(length_got, source.read_fully(length_part));
  if (length_got < length_part.size()) {
    return cut_off();
  }
  const auto length = load_little_endian<std::uint32_t>(length_bytes.data());
  if (length > kLongestHeader) {
    return bad_input(source.path() + ": its header is damaged (a length of " + std::to_string(length) + " bytes)");
  }
  std::string text(length, '\0');
  KVPLACE_ASSIGN(text_got, source.read_fully(std::as_writable_bytes(std::span(text))));
  if (text_got < length) {
    return cut_off();
  }
  Result<NpyHeader> header = parse_npy_dictionary(text);
  if (!header) {
    return bad_input(source.path() + ": " + header.error().message);
  }
  return header;
}

std::string make_npy_header(const NpyHeader& header) {
  std::string text = "{'descr': '" + header.descr + "', 'fortran_order': " + (header.fortran_order ? "True" : "False") +
                     ", 'shape': (";
  for (std::size_t i = 0; i < header.shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(header.shape[i]);
  }
  text += header.shape.size() == 1 ? ",), }" : "), }";
  // NumPy leaves room for the first dimension to grow to 21 digits, and aligns the elements.
  constexpr std::size_t kGrowthDigits = 21;
  constexpr std::size_t kAlignment = 64;
  const std::string first = header.shape.empty() ? std::string() : std::to_string(header.shape.front());
  if (!first.empty() && !header.fortran_order) {
    text.append(kGrowthDigits - std::min(kGrowthDigits, first.size()), ' ');
  }
  constexpr std::size_t kFixedBytes = kNpyMagic.size() + kVersionBytes + sizeof(std::uint16_t);
  // Like NumPy: at least one space, also where the text already ends on a boundary.
  text.append(kAlignment - (kFixedBytes + text.size() + 1) % kAlignment, ' ');
  text += '\n';
  std::string head(kNpyMagic);
  head += '\x01';
  head += '\x00';
  const auto length = static_cast<std::uint16_t>(text.size());
  head += static_cast<char>(length & 0xff);
  head += static_cast<char>(length >> 8);
  return head + text;
}

}  // namespace kvplace
