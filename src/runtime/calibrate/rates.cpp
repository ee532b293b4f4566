#include "runtime/calibrate/rates.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <utility>

#include "kvplace/runtime/attention.h"

namespace kvplace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  constexpr double kNanosecond = 1e-9;
  return static_cast<double>(now.tv_sec) + kNanosecond * static_cast<double>(now.tv_nsec);
}

NearRates::NearRates(std::span<std::byte> memory, Bytes piece, Seconds of_run)
    : memory_(memory),
      piece_bytes_(static_cast<std::size_t>(piece.value())),
      of_run_(of_run),
      source_(piece_bytes_, std::byte{1}),
      next_(next_piece()) {}

std::byte* NearRates::next_piece() {
  return memory_.data() + random_() % (memory_.size() / piece_bytes_) * piece_bytes_;
}

std::size_t NearRates::read_some() {
  constexpr int kPiecesAtOnce = 16;  // asking for the time takes as long as some KiB
  std::uint64_t sum = 0;
  for (int i = 0; i < kPiecesAtOnce; ++i) {
    const std::byte* const piece = std::exchange(next_, next_piece());
    sum += read_plainly({piece, piece_bytes_}, next_);  // what is prefetched is what is read next
  }
  sum_ = sum;
  return kPiecesAtOnce * piece_bytes_;
}

double NearRates::read() {
  const double begin = processor_seconds();
  double bytes = 0;
  double passed = 0;
  while (passed < of_run_.value()) {
    bytes += static_cast<double>(read_some());
    passed = processor_seconds() - begin;
  }
  return bytes / passed;
}

double NearRates::write() {
  const double begin = processor_seconds();
  double bytes = 0;
  double passed = 0;
  while (passed < of_run_.value()) {
    std::memcpy(next_piece(), source_.data(), piece_bytes_);
    bytes += static_cast<double>(piece_bytes_);
    passed = processor_seconds() - begin;
  }
  return bytes / passed;
}

Status FarRates::start(Direction direction, Bytes piece, std::uint32_t place) {
  const auto bytes = static_cast<std::uint64_t>(piece.value());
  const std::uint64_t offset = random_() % (static_cast<std::uint64_t>(far_.room().value()) / bytes) * bytes;
  const Piece moved{direction, offset, buffer_.data() + place * bytes, static_cast<std::uint32_t>(bytes), place};
  return far_.submit({&moved, 1});
}

Status FarRates::drain() {
  while (far_.in_flight() > 0) {
    complete_.clear();
    KVPLACE_TRY(far_.collect(complete_, true));
  }
  return {};
}

Status FarRates::fill() {
  far_.keep_pace(false);
  const std::uint64_t piece = std::uint64_t{1} << 20;
  const std::uint64_t count = static_cast<std::uint64_t>(far_.room().value()) / piece;
  for (std::uint64_t i = 0; i < count; ++i) {
    const Piece moved{Direction::kWrite, i * piece, buffer_.data() + i % 8 * piece, static_cast<std::uint32_t>(piece),
                      i};
    KVPLACE_TRY(far_.submit({&moved, 1}));
    if (far_.in_flight() >= 8) {
      complete_.clear();
      KVPLACE_TRY(far_.collect(complete_, true));
    }
  }
  KVPLACE_TRY(drain());
  far_.keep_pace(true);
  return {};
}

Result<double> FarRates::rate(Direction direction, Bytes piece, std::uint32_t depth) {
  const double begin = seconds_now();
  for (std::uint32_t place = 0; place < depth; ++place) {
    KVPLACE_TRY(start(direction, piece, place));
  }
  double bytes = 0;
  double passed = 0;
  while (far_.in_flight() > 0) {
    complete_.clear();
    KVPLACE_TRY(far_.collect(complete_, true));
    passed = seconds_now() - begin;
    for (const std::uint64_t place : complete_) {
      bytes += static_cast<double>(piece.value());
      if (passed < of_run_.value()) {
        KVPLACE_TRY(start(direction, piece, static_cast<std::uint32_t>(place)));
      }
    }
  }
  return bytes / passed;
}

Result<double> FarRates::latency() {
  constexpr int kPieces = 16;
  std::vector<double> times;
  for (int i = 0; i < kPieces; ++i) {
    const double begin = seconds_now();
    KVPLACE_TRY(start(Direction::kRead, Bytes(4096), 0));
    KVPLACE_TRY(drain());
    times.push_back(seconds_now() - begin);
  }
  return measured_of(std::move(times)).median;
}

}  // namespace kvplace
