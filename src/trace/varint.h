/// LEB128 variable-length integers and zigzag signs.
#pragma once

#include <cstdint>
#include <vector>

namespace kvplace {

inline void put_varint(std::vector<std::uint8_t>& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<std::uint8_t>(value));
}

constexpr std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
constexpr std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

/// Reads varints from a byte range. After a failed read ok() is false and every further read gives 0.
class VarintReader {
 public:
  VarintReader(const std::uint8_t* begin, const std::uint8_t* end) : at_(begin), end_(end) {}

  std::uint64_t next() {
    if (at_ != end_ && *at_ < 0x80) {
      return *at_++;
    }
    return next_long();
  }

  /// The same, without a branch on whether the varint has one byte or two, for where that is hard to predict.
  std::uint64_t next_short() {
    if (left() < 2 || (at_[0] & at_[1] & 0x80) != 0) {
      return next();
    }
    const std::uint64_t low = at_[0];
    const std::uint64_t has_two = low >> 7;
    at_ += 1 + has_two;
    return (low & 0x7f) | (std::uint64_t{at_[-1]} << 7 & (std::uint64_t{0} - has_two));
  }

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return at_ == end_; }
  [[nodiscard]] const std::uint8_t* at() const { return at_; }
  [[nodiscard]] std::uint64_t left() const { return static_cast<std::uint64_t>(end_ - at_); }

  /// The next `count` bytes as they are; null if there are not so many.
  const std::uint8_t* take(std::uint64_t count) {
    if (count > left()) {
      fail();
      return nullptr;
    }
    const std::uint8_t* taken = at_;
    at_ += count;
    return taken;
  }

 private:
  void fail() {
    ok_ = false;
    at_ = end_;
  }

  std::uint64_t next_long() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 63 && at_ != end_; shift += 7) {
      const std::uint8_t byte = *at_++;
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) {
        return value;
      }
    }
    fail();
    return 0;
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  bool ok_ = true;
};

}  // namespace kvplace
