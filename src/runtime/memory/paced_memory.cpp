#include <algorithm>
#include <atomic>
#include <cstring>

#include "kvplace/base/parse.h"
#include "runtime/memory/mapped_memory.h"
#include "runtime/memory/piece_thread.h"

namespace kvplace {
namespace {

/// A link that moves one piece after the other. A piece begins when it is submitted or when the one before it has
/// moved, whichever is later: what a thread's late wake-up costs one piece the next ones win back, but idle time is
/// gone.
class PacedMemory final : public Memory {
 public:
  PacedMemory(Mapping mapping, const PacedMemoryOptions& options, Bytes capacity)
      : mapping_(std::move(mapping)),
        options_(options),
        thread_([this](const Piece& piece, Clock::time_point submitted) { return move(piece, submitted); }) {
    describe("paced:" + format_bandwidth(options.bandwidth), capacity, capacity, kMappedAlignment);
  }

  Status submit(std::span<const Piece> pieces) override { return thread_.submit(pieces); }
  Status collect(std::vector<std::uint64_t>& complete, bool wait) override { return thread_.collect(complete, wait); }
  [[nodiscard]] std::size_t in_flight() const override { return thread_.in_flight(); }
  void keep_pace(bool keeps) override { keeps_pace_ = keeps; }

 private:
  using Clock = PieceThread::Clock;

  static Clock::duration duration_of(Seconds time) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(time.value()));
  }

  Result<Clock::time_point> move(const Piece& piece, Clock::time_point submitted) {
    std::byte* const place = mapping_.data() + piece.offset;
    const bool reads = piece.direction == Direction::kRead;
    std::memcpy(reads ? piece.buffer : place, reads ? place : piece.buffer, piece.bytes);
    if (!keeps_pace_) {
      return Clock::now();
    }
    const Clock::time_point begin = std::max(submitted, link_free_);
    link_free_ = begin + duration_of(options_.per_piece + Bytes(piece.bytes) / options_.bandwidth);
    // Whoever collects waits for the piece's end. Here it is enough that bytes do not run far ahead of it: a thread
    // that sleeps after each piece is late where others want its processor.
    constexpr auto kMostAhead = std::chrono::microseconds(200);
    if (link_free_ - Clock::now() > kMostAhead) {
      sleep_exactly_until(link_free_);
    }
    return link_free_ + duration_of(options_.latency);
  }

  Mapping mapping_;
  PacedMemoryOptions options_;
  std::atomic<bool> keeps_pace_ = true;
  Clock::time_point link_free_;  // of the thread
  PieceThread thread_;           // last: it uses the others
};

}  // namespace

Result<MemoryPtr> make_paced_memory(const PacedMemoryOptions& options, Bytes capacity) {
  if (!(options.bandwidth.value() > 0)) {
    return bad_input("paced memory needs a bandwidth: paced:2GB/s");
  }
  if (options.latency < Seconds(0) || options.per_piece < Seconds(0)) {
    return bad_input("paced memory: latency and piece are times of 0 or more");
  }
  KVPLACE_ASSIGN(mapping, Mapping::make(capacity, -1, "paced"));
  return std::make_unique<PacedMemory>(std::move(mapping), options, capacity);
}

}  // namespace kvplace
