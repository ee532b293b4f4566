/// The memories of the runtime: DRAM, a NUMA node, a file, and paced memory that stands for any link.
///
/// A memory is bytes at offsets from 0, and moves *pieces* of them to and from buffers of the caller: pieces are
/// submitted, and are complete in any order. What can also be read in place has an address. Its capacity is a hard
/// limit in bytes: what it keeps for itself, and what Slots keep of it, counts.
///
/// Errors: what a user can mend is bad input (no such node, a tmpfs, a file of somebody else's), everything else failed
/// (disk full, I/O error). After a failed piece a memory fails every call with the same error: whatever it held is not
/// to be trusted.
///
/// Threads: calls come from one thread at a time, not always the same one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/units.h"

namespace kvplace {

enum class Direction : std::uint8_t { kRead, kWrite };

/// Bytes on their way. The buffer must stay as it is until the piece is complete; so must bytes of the memory that a
/// piece reads or writes.
struct Piece {
  Direction direction = Direction::kRead;
  std::uint64_t offset = 0;     ///< in the memory, a multiple of its alignment
  std::byte* buffer = nullptr;  ///< aligned likewise
  std::uint32_t bytes = 0;      ///< a multiple of the alignment
  std::uint64_t tag = 0;        ///< the caller's name for it
};

class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  /// Waits for what is on its way.
  virtual ~Memory() = default;

  /// What it is, for messages and reports: "dram", "file:PATH".
  [[nodiscard]] const std::string& name() const { return name_; }
  /// Bytes that it may take, what it keeps for itself included.
  [[nodiscard]] Bytes capacity() const { return capacity_; }
  /// Bytes that can be read and written: offsets are below it.
  [[nodiscard]] Bytes room() const { return room_; }
  /// Of offsets, buffers and sizes, in bytes; a power of two.
  [[nodiscard]] std::uint32_t alignment() const { return alignment_; }
  /// Facts a reader of results should know: that a file is read through the page cache, say.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

  /// Where offset 0 is, if it can be read and written in place; else null.
  [[nodiscard]] virtual std::byte* address() { return nullptr; }
  /// Puts pieces on their way, behind those that already are. Does not wait.
  [[nodiscard]] virtual Status submit(std::span<const Piece> pieces) = 0;
  /// Appends the tags of pieces that are complete and were not told of yet. With `wait` there is at least one, unless
  /// nothing is on its way.
  [[nodiscard]] virtual Status collect(std::vector<std::uint64_t>& complete, bool wait) = 0;
  /// Pieces submitted and not collected.
  [[nodiscard]] virtual std::size_t in_flight() const = 0;
  /// Whether pieces take the time that paced memory was made for; off while what nobody measures is laid down.
  /// REQUIRES: nothing is on its way.
  virtual void keep_pace(bool) {}

 protected:
  void describe(std::string name, Bytes capacity, Bytes room, std::uint32_t alignment) {
    name_ = std::move(name);
    capacity_ = capacity;
    room_ = room;
    alignment_ = alignment;
  }
  void note(std::string text) { notes_.push_back(std::move(text)); }

 private:
  std::string name_;
  Bytes capacity_;
  Bytes room_;
  std::uint32_t alignment_ = 1;
  std::vector<std::string> notes_;
};

using MemoryPtr = std::unique_ptr<Memory>;

/// Pages of DRAM, huge ones where the system has them, all of them there from the start.
[[nodiscard]] Result<MemoryPtr> make_dram_memory(Bytes capacity);

/// The same on one node of a machine with several (libnuma); bad input on a machine with one.
[[nodiscard]] Result<MemoryPtr> make_numa_memory(std::uint32_t node, Bytes capacity);

struct FileMemoryOptions {
  std::string path;          ///< made, or taken over if a run that ended early left it; removed at the end
  std::uint32_t depth = 16;  ///< pieces that the kernel has at once, 1 to 256
  bool page_cache = false;   ///< reads and writes through the page cache, not directly
  bool threads = false;      ///< with pread and pwrite of a thread, not with io_uring
};

/// A file on a local disk: directly (O_DIRECT) and by io_uring where there are both, else with a note that says what is
/// done instead. All of its bytes are reserved first. A tmpfs, which is memory, is refused; so is a file that was not
/// made as such a memory, and one that another run uses. Its first 4096 bytes say what it is.
[[nodiscard]] Result<MemoryPtr> make_file_memory(const FileMemoryOptions& options, Bytes capacity);

struct PacedMemoryOptions {
  BytesPerSecond bandwidth;  ///< of reads and writes together
  Seconds latency;           ///< from the last byte of a piece to its completion; pieces behind it do not wait for it
  Seconds per_piece;         ///< that the link takes for each piece beside its bytes
};

/// DRAM whose bytes a thread moves no faster than that: it stands for any link. Pieces are moved in order.
[[nodiscard]] Result<MemoryPtr> make_paced_memory(const PacedMemoryOptions& options, Bytes capacity);

/// "dram", "numa:1", "file:PATH", "paced:2GB/s", "paced:2GB/s,latency=20us,piece=5us".
[[nodiscard]] Result<MemoryPtr> make_memory(std::string_view text, Bytes capacity);

/// A memory divided into slots of one size. Which are free is kept here, and counts as bytes of the memory.
class Slots {
 public:
  /// Slots of no less than `slot` bytes, as many as its capacity holds with what is kept of them, `most` at most.
  Slots(const Memory& memory, Bytes slot, std::uint32_t most = std::numeric_limits<std::uint32_t>::max());

  /// Bytes from one slot to the next: `slot`, up to the alignment.
  [[nodiscard]] std::uint32_t stride() const { return stride_; }
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] std::uint32_t num_free() const { return static_cast<std::uint32_t>(free_.size()); }
  [[nodiscard]] std::uint64_t offset(std::uint32_t slot) const { return std::uint64_t{slot} * stride_; }
  /// A free slot, that given back last first. REQUIRES: num_free() > 0.
  [[nodiscard]] std::uint32_t take();
  /// REQUIRES: the slot was taken.
  void give(std::uint32_t slot);
  /// Capacity of a memory that holds so many slots.
  [[nodiscard]] static Bytes capacity_for(std::uint64_t slots, Bytes slot, std::uint32_t alignment, Bytes own);

 private:
  std::uint32_t stride_;
  std::uint32_t count_;
  std::vector<std::uint32_t> free_;
};

}  // namespace kvplace
