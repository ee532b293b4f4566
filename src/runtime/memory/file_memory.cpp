#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/output_claim.h"
#include "kvplace/base/short_text.h"
#include "runtime/memory/piece_thread.h"
#include "runtime/memory/uring_queue.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kBlock = 4096;  // what direct transfers are aligned to on any disk
constexpr std::array<char, 24> kHead{"kvplace far memory 1\n"};
constexpr std::uint32_t kMostDepth = 256;

struct Descriptor {
  explicit Descriptor(int the_number) : number(the_number) {}
  Descriptor(Descriptor&& other) noexcept : number(std::exchange(other.number, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number >= 0) {
      close(number);
    }
  }
  int number;
};

class FileMemory final : public Memory {
 public:
  FileMemory(std::shared_ptr<OutputClaim> claim, Descriptor file) : claim_(std::move(claim)), file_(std::move(file)) {}

  ~FileMemory() override {
    ring_.reset();
    thread_.reset();
    unlink(claim_->target.path.c_str());  // while the claim is held
  }

  Status start(const FileMemoryOptions& options, Bytes capacity, bool direct, const std::string& why_not_direct) {
    describe("file:" + options.path, capacity, capacity - Bytes(kBlock), kBlock);
    if (!direct) {
      note(options.path +
           (why_not_direct.empty() ? "" : ": the file system has no direct transfers (" + why_not_direct + ")") +
           ": read and written through the page cache, which is DRAM: reads may be faster than the disk");
    }
    if (!options.threads) {
      Result<std::unique_ptr<UringQueue>> ring = UringQueue::make(file_.number, kBlock, options.depth, options.path);
      if (ring) {
        ring_ = std::move(*ring);
        return {};
      }
      note(options.path + ": the system allows no io_uring (" + ring.error().message +
           "): a thread reads and writes one piece after the other");
    }
    thread_.emplace([this](const Piece& piece, PieceThread::Clock::time_point) { return move(piece); });
    return {};
  }

  Status submit(std::span<const Piece> pieces) override {
    return ring_ ? ring_->submit(pieces) : thread_->submit(pieces);
  }
  Status collect(std::vector<std::uint64_t>& complete, bool wait) override {
    return ring_ ? ring_->collect(complete, wait) : thread_->collect(complete, wait);
  }
  [[nodiscard]] std::size_t in_flight() const override { return ring_ ? ring_->in_flight() : thread_->in_flight(); }

 private:
  Result<PieceThread::Clock::time_point> move(Piece piece) const {
    while (piece.bytes > 0) {
      const auto place = static_cast<off_t>(kBlock + piece.offset);
      const ssize_t moved = piece.direction == Direction::kRead
                                ? pread(file_.number, piece.buffer, piece.bytes, place)
                                : pwrite(file_.number, piece.buffer, piece.bytes, place);
      if (moved < 0 && errno == EINTR) {
        continue;
      }
      if (moved <= 0) {
        return tl::unexpected(piece_error(
            claim_->path, piece, moved < 0 ? std::strerror(errno) : "the file ends there; another program has cut it"));
      }
      piece.offset += static_cast<std::uint64_t>(moved);
      piece.buffer += moved;
      piece.bytes -= static_cast<std::uint32_t>(moved);
    }
    return PieceThread::Clock::now();
  }

  std::shared_ptr<OutputClaim> claim_;  // the lock; the last to go
  Descriptor file_;
  std::unique_ptr<UringQueue> ring_;
  std::optional<PieceThread> thread_;
};

Status cannot(const std::string& path, const std::string& what) {
  return failed(path + ": " + what + ": " + std::strerror(errno));
}

/// Refuses what somebody else put there; an empty file and what an earlier run left are taken over.
Status check_is_ours(int file, const std::string& path) {
  std::array<char, kHead.size()> head{};
  const ssize_t got = pread(file, head.data(), head.size(), 0);
  if (got < 0) {
    return cannot(path, "cannot be read");
  }
  if (got == 0 || (static_cast<std::size_t>(got) == head.size() && head == kHead)) {
    return {};
  }
  return bad_input(path + ": is a file that was not made as far memory, and would be lost; name one that is not there");
}

/// Else with ENOSPC, before others find the disk full.
bool is_room_for(int file, Bytes capacity) {
  struct statfs system{};
  if (fstatfs(file, &system) == 0 && capacity.value() / system.f_bsize > static_cast<std::int64_t>(system.f_bavail)) {
    errno = ENOSPC;
    return false;
  }
  return true;
}

Status reserve(int file, const std::string& path, Bytes capacity) {
  std::array<char, kBlock> block{};
  std::memcpy(block.data(), kHead.data(), kHead.size());
  if (ftruncate(file, 0) != 0 || pwrite(file, block.data(), block.size(), 0) != static_cast<ssize_t>(block.size())) {
    return cannot(path, "cannot be written");
  }
  if (!is_room_for(file, capacity) || (fallocate(file, 0, 0, capacity.value()) != 0 &&
                                       (errno != EOPNOTSUPP || ftruncate(file, capacity.value()) != 0))) {
    const int error = errno;
    unlink(path.c_str());
    return failed(path + ": its " + short_bytes(static_cast<double>(capacity.value())) +
                  " cannot be reserved: " + std::strerror(error));
  }
  return fdatasync(file) == 0 ? Status() : cannot(path, "cannot be written");
}

}  // namespace

Result<MemoryPtr> make_file_memory(const FileMemoryOptions& options, Bytes capacity) {
  const std::string& path = options.path;
  if (capacity <= Bytes(kBlock)) {
    return bad_input(path + ": far memory in a file takes more than 4096 bytes");
  }
  if (options.depth < 1 || options.depth > kMostDepth) {
    return bad_input(path + ": depth is 1 to " + std::to_string(kMostDepth));
  }
  KVPLACE_ASSIGN(claim, claim_of(path));
  const std::string& target = claim->target.path;
  Descriptor plain(open(target.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (plain.number < 0) {
    return bad_input(path + ": cannot be opened: " + std::strerror(errno));
  }
  KVPLACE_TRY(check_is_ours(plain.number, path));
  struct statfs system{};
  if (fstatfs(plain.number, &system) == 0 && (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC)) {
    unlink(target.c_str());
    return bad_input(path + ": lies in a tmpfs, which is memory itself; name a file on a disk");
  }
  KVPLACE_TRY(reserve(plain.number, path, capacity));
  std::string why;
  if (!options.page_cache) {
    Descriptor direct(open(target.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC | O_NOFOLLOW));
    if (direct.number >= 0) {
      auto memory = std::make_unique<FileMemory>(std::move(claim), std::move(direct));
      KVPLACE_TRY(memory->start(options, capacity, true, ""));
      return memory;
    }
    why = std::strerror(errno);
  }
  auto memory = std::make_unique<FileMemory>(std::move(claim), std::move(plain));
  KVPLACE_TRY(memory->start(options, capacity, false, why));
  return memory;
}

}  // namespace kvplace
