/// How fast memories are, one run at a time.
#pragma once

#include <random>
#include <span>
#include <vector>

#include "kvplace/runtime/calibrate.h"

namespace kvplace {

/// Near memory that is read and written in random pieces.
class NearRates {
 public:
  /// `piece`: bytes, of which `memory` holds some; a multiple of 256.
  NearRates(std::span<std::byte> memory, Bytes piece, Seconds of_run);
  /// Bytes/s with plain loads.
  [[nodiscard]] double read();
  [[nodiscard]] double write();
  /// Reads some more pieces; returns bytes.
  [[nodiscard]] std::size_t read_some();

 private:
  [[nodiscard]] std::byte* next_piece();

  std::span<std::byte> memory_;
  std::size_t piece_bytes_;
  Seconds of_run_;
  std::mt19937_64 random_{1};
  std::vector<std::byte> source_;
  const std::byte* next_;
  volatile std::uint64_t sum_ = 0;
};

/// Far memory, likewise.
class FarRates {
 public:
  /// `buffer`: of `depth` pieces at most, aligned to 4096 bytes.
  FarRates(Memory& far, std::span<std::byte> buffer, Seconds of_run) : far_(far), buffer_(buffer), of_run_(of_run) {}
  /// Writes everything once: what was never written costs nothing to read.
  [[nodiscard]] Status fill();
  [[nodiscard]] Result<double> rate(Direction direction, Bytes piece, std::uint32_t depth);
  /// Seconds of one piece of 4096 bytes.
  [[nodiscard]] Result<double> latency();

  /// Keeps `depth` pieces on their way while `beside` runs again and again; bytes/s of far memory, and of what `beside`
  /// returns in its processor time.
  template <class Beside>
  [[nodiscard]] Result<std::pair<double, double>> beside(Bytes piece, std::uint32_t depth, const Beside& beside);

 private:
  [[nodiscard]] Status start(Direction direction, Bytes piece, std::uint32_t place);
  [[nodiscard]] Status drain();

  Memory& far_;
  std::span<std::byte> buffer_;
  Seconds of_run_;
  std::mt19937_64 random_{2};
  std::vector<std::uint64_t> complete_;
};

[[nodiscard]] double seconds_now();
/// Of this thread: reading is not slower for the time in which something else runs.
[[nodiscard]] double processor_seconds();

template <class Beside>
Result<std::pair<double, double>> FarRates::beside(Bytes piece, std::uint32_t depth, const Beside& beside) {
  for (std::uint32_t place = 0; place < depth; ++place) {
    KVPLACE_TRY(start(Direction::kRead, piece, place));
  }
  double far_bytes = 0;
  double near_bytes = 0;
  const double begin = seconds_now();
  const double processor_begin = processor_seconds();
  double passed = 0;
  while (passed < of_run_.value()) {
    near_bytes += static_cast<double>(beside());
    complete_.clear();
    KVPLACE_TRY(far_.collect(complete_, false));
    for (const std::uint64_t place : complete_) {
      far_bytes += static_cast<double>(piece.value());
      KVPLACE_TRY(start(Direction::kRead, piece, static_cast<std::uint32_t>(place)));
    }
    passed = seconds_now() - begin;
  }
  const double processor = processor_seconds() - processor_begin;
  KVPLACE_TRY(drain());
  return std::pair(far_bytes / passed, near_bytes / processor);
}

}  // namespace kvplace
