/// Pages in two memories: where each lies, and what moves in a step. What is near is decided elsewhere; here it is
/// done.
///
/// A *frame* is a place of a page in near memory. There are as many as near memory may hold by its capacity, some for
/// pages that are being filled, which are near by rule, and some for *staging*: far pages as they arrive for a step
/// that reads them. A frame has no fixed use: a page that was read from far and stays, stays in the frame it arrived
/// in.
///
/// A step is an epoch. A frame that a step reads, or that a page moves from or to, is nobody else's before the step has
/// read it and the page has moved. So an eviction takes a frame from its block at once and gives it to another no
/// sooner than that.
///
///     begin_step(reads, decision)  puts everything on its way: first what is read, in the order given, then promotions
///     resident(block)              where a page of `reads` lies; null as long as it arrives
///     poll(wait)
///     done_reading(block)
///     end_step(wait)
///
/// All calls come from one thread; resident() pages may be read by others between begin_step() and done_reading().
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvplace/instance/options.h"
#include "kvplace/policy/policy.h"
#include "kvplace/runtime/memory.h"
#include "kvplace/runtime/page_watch.h"
#include "runtime/mover/mover.h"

namespace kvplace {

struct TieredPagesOptions {
  std::uint32_t num_blocks = 0;
  Bytes page_bytes = {};
  std::uint32_t near_pages = 0;     ///< that decisions may leave near
  std::uint32_t filling_pages = 0;  ///< that are being filled at a time, at most
  std::uint32_t staging_pages = 0;
  Mode mode = Mode::kInclusive;
  Copies copies = Copies::kStep;
  PageWatch* watch = nullptr;  ///< not owned; may be null

  [[nodiscard]] std::uint32_t frames() const { return near_pages + filling_pages + staging_pages; }
};

class TieredPages {
 public:
  /// `near` is read in place, and has room for options.frames().
  [[nodiscard]] static Result<std::unique_ptr<TieredPages>> make(const TieredPagesOptions& options, MemoryPtr near,
                                                                 MemoryPtr far);
  /// Capacity that near memory needs, for a far memory of that alignment.
  [[nodiscard]] static Bytes near_capacity(const TieredPagesOptions& options, std::uint32_t far_alignment);
  /// Of the table of pages and the list of far memory's places, which are near as well.
  [[nodiscard]] static Bytes table_bytes(std::uint32_t num_blocks);

  /// A new page, which is being filled from now on. Failed if there is no frame for it.
  [[nodiscard]] Result<std::byte*> create(BlockIndex block);
  /// A page that is being filled, to write to. REQUIRES: filling(block).
  [[nodiscard]] std::byte* writable(BlockIndex block);
  [[nodiscard]] bool filling(BlockIndex block) const { return has(block, kFilling); }
  [[nodiscard]] bool exists(BlockIndex block) const { return has(block, kExists); }
  /// It is full: in inclusive mode, and where it is not near, it goes to far.
  [[nodiscard]] Status complete(BlockIndex block);
  /// Makes a page near before the first step, without a decision.
  void make_near(BlockIndex block) { set(block, kNear); }

  [[nodiscard]] Status begin_step(std::span<const BlockIndex> reads, const Decision& decision);
  [[nodiscard]] const std::byte* resident(BlockIndex block) const;
  [[nodiscard]] Status poll(bool wait);
  void done_reading(BlockIndex block);
  /// `wait`: for all that belongs to the steps since the last time. REQUIRES: all reads are done.
  [[nodiscard]] Status end_step(bool wait);
  /// Waits for everything.
  [[nodiscard]] Status settle();

  [[nodiscard]] bool is_near(BlockIndex block) const { return has(block, kNear); }
  [[nodiscard]] std::uint32_t num_near() const { return num_near_; }
  /// Pages read so far that were in a frame when their step began, and others.
  [[nodiscard]] std::uint64_t near_reads() const { return near_reads_; }
  [[nodiscard]] std::uint64_t far_reads() const { return far_reads_; }
  [[nodiscard]] const Traffic& traffic() const { return mover_.traffic(); }
  /// Begins to count anew.
  void forget_traffic() { mover_.forget_traffic(); }
  [[nodiscard]] const Memory& near() const { return *near_; }
  [[nodiscard]] const Memory& far() const { return *far_; }
  /// As Memory's.
  void keep_pace(bool keeps) { far_->keep_pace(keeps); }
  /// That no block has now.
  [[nodiscard]] std::uint32_t num_free_frames() const { return frames_.num_free(); }

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  enum Flag : std::uint8_t {
    kExists = 1,
    kNear = 2,  // decided to be
    kFilling = 4,
    kArriving = 8,  // into its frame
    kLeaving = 16,  // from its frame
    kWanted = 32,   // by this step, whose reading of it is not done
    kInFar = 64,    // far has the whole page
    kQueued = 128,  // in copies_
  };
  struct Page {
    std::uint32_t frame = kNone;
    std::uint32_t slot = kNone;  // of far memory
    std::uint8_t flags = 0;
  };

  TieredPages(const TieredPagesOptions& options, MemoryPtr near, MemoryPtr far, std::uint32_t stride);

  [[nodiscard]] bool has(BlockIndex block, Flag flag) const { return (pages_[block.value()].flags & flag) != 0; }
  void set(BlockIndex block, Flag flag);
  void clear(BlockIndex block, Flag flag);
  void tell(PageEvent event, BlockIndex block) const {
    if (options_.watch != nullptr) {
      options_.watch->on(event, block, pages_[block.value()].frame);
    }
  }
  [[nodiscard]] std::byte* at(std::uint32_t frame) const { return near_->address() + frames_.offset(frame); }

  void take_frame(BlockIndex block);
  /// Gives the frame back if nothing keeps it.
  void release_frame(BlockIndex block);
  /// In exclusive mode far gives up what is near.
  void release_slot(BlockIndex block);
  void arrive(BlockIndex block, Moves kind);
  [[nodiscard]] Status leave(BlockIndex block, Moves kind);
  [[nodiscard]] Status evict(BlockIndex block);
  void promote(BlockIndex block);
  void promote_later(BlockIndex block);
  /// Where nothing moves any more and reads wait for a frame: takes that of a page that far has too.
  [[nodiscard]] Status make_room();
  /// Puts on its way what waits for a frame, or for the link to be idle.
  void pump();
  [[nodiscard]] Status broken(BlockIndex block, const std::string& what) const;

  TieredPagesOptions options_;
  MemoryPtr near_;
  MemoryPtr far_;
  Slots frames_;
  Slots slots_;
  Mover mover_;
  std::vector<Page> pages_;  // by BlockIndex
  std::uint32_t num_near_ = 0;
  std::uint64_t near_reads_ = 0;
  std::uint64_t far_reads_ = 0;
  std::deque<BlockIndex> reads_;    // far pages that this step reads, without a frame so far
  std::deque<BlockIndex> copies_;   // promotions, without a frame so far
  std::vector<BlockIndex> staged_;  // pages whose frame may be given back at the end of the step
  std::vector<Mover::Moved> moved_;
  std::optional<Error> error_;
};

}  // namespace kvplace
