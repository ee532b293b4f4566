#include "runtime/cache/tiered_pages.h"

#include <algorithm>

namespace kvplace {

Result<std::unique_ptr<TieredPages>> TieredPages::make(const TieredPagesOptions& options, MemoryPtr near,
                                                       MemoryPtr far) {
  if (near->address() == nullptr) {
    return bad_input(near->name() + ": near memory is read in place; take dram or numa:N");
  }
  const std::int64_t align = std::max(near->alignment(), far->alignment());
  const auto stride = static_cast<std::uint32_t>((options.page_bytes.value() + align - 1) / align * align);
  std::unique_ptr<TieredPages> pages(new TieredPages(options, std::move(near), std::move(far), stride));
  if (pages->frames_.count() < options.frames()) {
    return bad_input(pages->near_->name() + ": holds " + std::to_string(pages->frames_.count()) + " pages of " +
                     std::to_string(stride) + " bytes; " + std::to_string(options.frames()) +
                     " are needed for those near, those being filled and those that arrive");
  }
  return pages;
}

TieredPages::TieredPages(const TieredPagesOptions& options, MemoryPtr near, MemoryPtr far, std::uint32_t stride)
    : options_(options),
      near_(std::move(near)),
      far_(std::move(far)),
      frames_(*near_, Bytes(stride)),
      slots_(*far_, Bytes(stride), options.num_blocks),
      mover_(*far_, stride),
      pages_(options.num_blocks) {}

Bytes TieredPages::near_capacity(const TieredPagesOptions& options, std::uint32_t far_alignment) {
  constexpr std::uint32_t kNearAlignment = 64;
  return Slots::capacity_for(options.frames(), options.page_bytes, std::max(kNearAlignment, far_alignment), Bytes(0));
}

Bytes TieredPages::table_bytes(std::uint32_t num_blocks) {
  return Bytes(std::int64_t{num_blocks} * static_cast<std::int64_t>(sizeof(Page) + sizeof(std::uint32_t)));
}

void TieredPages::set(BlockIndex block, Flag flag) {
  std::uint8_t& flags = pages_[block.value()].flags;
  num_near_ += flag == kNear && (flags & kNear) == 0 ? 1 : 0;
  flags = static_cast<std::uint8_t>(flags | flag);
}

void TieredPages::clear(BlockIndex block, Flag flag) {
  std::uint8_t& flags = pages_[block.value()].flags;
  num_near_ -= flag == kNear && (flags & kNear) != 0 ? 1 : 0;
  flags = static_cast<std::uint8_t>(flags & ~flag);
}

Status TieredPages::broken(BlockIndex block, const std::string& what) const {
  return failed("block " + std::to_string(block.value()) + " " + what);
}

void TieredPages::take_frame(BlockIndex block) {
  pages_[block.value()].frame = frames_.take();
  tell(PageEvent::kTaken, block);
}

void TieredPages::release_frame(BlockIndex block) {
  Page& page = pages_[block.value()];
  constexpr int kKeeps = kNear | kFilling | kArriving | kLeaving | kWanted;
  if (page.frame != kNone && (page.flags & kKeeps) == 0) {
    tell(PageEvent::kReleased, block);
    frames_.give(page.frame);
    page.frame = kNone;
  }
}

void TieredPages::release_slot(BlockIndex block) {
  Page& page = pages_[block.value()];
  const bool is_copy = page.frame != kNone && (page.flags & (kNear | kArriving | kLeaving)) == kNear;
  if (options_.mode == Mode::kExclusive && page.slot != kNone && is_copy) {
    slots_.give(page.slot);
    page.slot = kNone;
    clear(block, kInFar);
  }
}

Result<std::byte*> TieredPages::create(BlockIndex block) {
  if (has(block, kExists)) {
    return tl::unexpected(broken(block, "exists already").error());
  }
  while (frames_.num_free() == 0 && !mover_.idle()) {
    KVPLACE_TRY(poll(true));
  }
  if (frames_.num_free() == 0) {
    return failed("no frame is free for a new page: more pages are being filled than was planned for");
  }
  take_frame(block);
  set(block, kExists);
  set(block, kFilling);
  tell(PageEvent::kAppended, block);
  return at(pages_[block.value()].frame);
}

std::byte* TieredPages::writable(BlockIndex block) {
  tell(PageEvent::kAppended, block);
  return at(pages_[block.value()].frame);
}

Status TieredPages::complete(BlockIndex block) {
  clear(block, kFilling);
  if (options_.mode == Mode::kInclusive || !has(block, kNear)) {
    return leave(block, Moves::kNewKv);
  }
  return {};
}

Status TieredPages::leave(BlockIndex block, Moves kind) {
  Page& page = pages_[block.value()];
  if (page.slot == kNone) {
    if (slots_.num_free() == 0) {
      return failed(far_->name() + ": all of its " + std::to_string(slots_.count()) +
                    " pages are taken; give far memory more capacity");
    }
    page.slot = slots_.take();
  }
  set(block, kLeaving);
  tell(PageEvent::kLeaving, block);
  mover_.move(block, kind, slots_.offset(page.slot), at(page.frame));
  return {};
}

void TieredPages::arrive(BlockIndex block, Moves kind) {
  take_frame(block);
  set(block, kArriving);
  tell(PageEvent::kFetching, block);
  const Page& page = pages_[block.value()];
  mover_.move(block, kind, slots_.offset(page.slot), at(page.frame));
}

Status TieredPages::begin_step(std::span<const BlockIndex> reads, const Decision& decision) {
  if (error_) {
    return tl::unexpected(*error_);
  }
  for (const BlockIndex block : reads) {
    Page& page = pages_[block.value()];
    if ((page.flags & kExists) == 0) {
      return broken(block, "is read and does not exist");
    }
    set(block, kWanted);
    const bool is_here = page.frame != kNone && (page.flags & kArriving) == 0;
    ++(is_here ? near_reads_ : far_reads_);
    if (is_here) {
      tell(PageEvent::kReading, block);
    } else if (page.frame == kNone && far_->address() == nullptr) {
      reads_.push_back(block);
    } else if (page.frame == kNone) {
      mover_.note_read_in_place();
    }
    staged_.push_back(block);
  }
  for (const BlockIndex block : decision.evict) {
    KVPLACE_TRY(evict(block));
  }
  for (const BlockIndex block : decision.promote) {
    if (!has(block, kExists) || has(block, kNear)) {
      return broken(block, "is promoted but is near already or does not exist");
    }
    set(block, kNear);
  }
  if (num_near_ > options_.near_pages) {
    return failed(std::to_string(num_near_) + " pages are near, there is room for " +
                  std::to_string(options_.near_pages));
  }
  // Far reads first; a page that is read and promoted is promoted by being read.
  pump();
  for (const BlockIndex block : decision.promote) {
    promote(block);
  }
  pump();
  return mover_.flush();
}

Status TieredPages::evict(BlockIndex block) {
  if (!has(block, kNear)) {
    return broken(block, "is evicted but not near");
  }
  clear(block, kNear);
  staged_.push_back(block);
  if (!has(block, kFilling) && !has(block, kInFar) && !has(block, kLeaving)) {
    return leave(block, Moves::kDemote);
  }
  release_frame(block);
  return {};
}

void TieredPages::promote(BlockIndex block) {
  staged_.push_back(block);
  const Page& page = pages_[block.value()];
  const bool is_read = (page.flags & kWanted) != 0 && far_->address() == nullptr;
  if (page.frame == kNone && !is_read) {
    promote_later(block);
  }
}

void TieredPages::pump() {
  while (!reads_.empty() && frames_.num_free() > 0) {
    const BlockIndex block = reads_.front();
    reads_.pop_front();
    if (pages_[block.value()].frame == kNone) {
      arrive(block, Moves::kRead);
    }
  }
  const bool background = options_.copies == Copies::kBackground;
  while (!copies_.empty() && reads_.empty() && frames_.num_free() > 0 &&
         (!background || mover_.may_start_background())) {
    const BlockIndex block = copies_.front();
    copies_.pop_front();
    clear(block, kQueued);
    // Evicted, or read, in between.
    if (has(block, kNear) && pages_[block.value()].frame == kNone) {
      arrive(block, background ? Moves::kPromoteIdle : Moves::kPromote);
    }
  }
}

const std::byte* TieredPages::resident(BlockIndex block) const {
  const Page& page = pages_[block.value()];
  if (page.frame != kNone && (page.flags & kArriving) == 0) {
    return at(page.frame);
  }
  std::byte* const far = far_->address();
  return far != nullptr && (page.flags & kInFar) != 0 ? far + slots_.offset(page.slot) : nullptr;
}

Status TieredPages::make_room() {
  for (const BlockIndex block : staged_) {
    constexpr int kInUse = kFilling | kArriving | kLeaving | kWanted;
    Page& page = pages_[block.value()];
    if (page.frame != kNone && (page.flags & (kInUse | kNear | kInFar)) == (kNear | kInFar)) {
      tell(PageEvent::kReleased, block);
      frames_.give(page.frame);
      page.frame = kNone;
      promote_later(block);
      pump();
      return mover_.flush();
    }
  }
  return failed("no frame is free for a page that is to be read: there are too few for staging");
}

void TieredPages::promote_later(BlockIndex block) {
  if (!has(block, kQueued)) {
    set(block, kQueued);
    copies_.push_back(block);
  }
}

Status TieredPages::poll(bool wait) {
  if (wait && mover_.idle() && !reads_.empty()) {
    return make_room();
  }
  moved_.clear();
  if (Status status = mover_.poll(wait, moved_); !status) {
    error_ = status.error();
    return status;
  }
  for (const Mover::Moved& moved : moved_) {
    const BlockIndex block = moved.block;
    if (moved.direction == Direction::kRead) {
      clear(block, kArriving);
      tell(PageEvent::kFetched, block);
      if (has(block, kWanted)) {
        tell(PageEvent::kReading, block);
      } else if (options_.mode == Mode::kExclusive) {
        staged_.push_back(block);
      }
    } else {
      clear(block, kLeaving);
      set(block, kInFar);
      tell(PageEvent::kLeft, block);
      if (!has(block, kWanted)) {
        release_slot(block);
      }
    }
    release_frame(block);
  }
  pump();
  return mover_.flush();
}

void TieredPages::done_reading(BlockIndex block) {
  if (pages_[block.value()].frame != kNone && !has(block, kArriving)) {  // else it was read in far memory
    tell(PageEvent::kRead, block);
  }
  clear(block, kWanted);
  if (!reads_.empty()) {  // others wait for a frame
    release_frame(block);
  }
}

Status TieredPages::end_step(bool wait) {
  for (const BlockIndex block : staged_) {
    release_frame(block);
    release_slot(block);
  }
  staged_.clear();
  pump();
  KVPLACE_TRY(mover_.flush());
  const bool for_copies = options_.copies == Copies::kStep;
  while (wait && (mover_.demand() > 0 || (for_copies && !copies_.empty()))) {
    KVPLACE_TRY(poll(true));
  }
  for (const BlockIndex block : staged_) {
    release_slot(block);
  }
  staged_.clear();
  return {};
}

Status TieredPages::settle() {
  while (!mover_.idle() || !copies_.empty()) {
    KVPLACE_TRY(poll(true));
  }
  return {};
}

}  // namespace kvplace
