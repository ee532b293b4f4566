/// Watches what the runtime does to frames, and says what must not be: a page read in motion, a frame given away while
/// it is read, written to or moved.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kvplace/runtime/page_watch.h"

namespace kvplace::testing {

class PageHistory final : public PageWatch {
 public:
  void on(PageEvent event, BlockIndex block, std::uint32_t frame) override {
    ++events_[event];
    Frame& f = frames_[frame];
    const auto must = [&](bool holds, const char* what) {
      if (!holds && broken_.empty()) {
        broken_ = "frame " + std::to_string(frame) + ", block " + std::to_string(block.value()) + ": " + what;
      }
    };
    must(event == PageEvent::kTaken || (f.taken && f.block == block), "is not the block's");
    switch (event) {
      case PageEvent::kTaken:
        must(!f.taken, "is taken twice");
        f = {true, false, false, 0, block};
        break;
      case PageEvent::kAppended:
        must(!f.arriving && !f.leaving, "is appended to in motion");
        break;
      case PageEvent::kFetching:
        must(!f.arriving && !f.leaving && f.readers == 0, "is overwritten while it is in use");
        f.arriving = true;
        break;
      case PageEvent::kFetched:
        must(f.arriving, "arrives unasked");
        f.arriving = false;
        break;
      case PageEvent::kReading:
        must(!f.arriving, "is read before it has arrived");
        ++f.readers;
        break;
      case PageEvent::kRead:
        must(f.readers > 0 && !f.arriving, "was not being read");
        --f.readers;
        break;
      case PageEvent::kLeaving:
        must(!f.arriving && !f.leaving, "leaves twice");
        f.leaving = true;
        break;
      case PageEvent::kLeft:
        must(f.leaving, "left unasked");
        f.leaving = false;
        break;
      case PageEvent::kReleased:
        must(!f.arriving && !f.leaving && f.readers == 0, "is given away while it is in use");
        f.taken = false;
        break;
    }
  }

  /// The first thing that must not be; empty if there was none.
  [[nodiscard]] const std::string& broken() const { return broken_; }
  [[nodiscard]] std::size_t count(PageEvent event) const {
    const auto found = events_.find(event);
    return found == events_.end() ? 0 : found->second;
  }
  /// That are read, arrive or leave at the moment.
  [[nodiscard]] std::size_t num_in_use() const {
    std::size_t count = 0;
    for (const auto& [number, frame] : frames_) {
      count += frame.taken && (frame.arriving || frame.leaving || frame.readers > 0) ? 1 : 0;
    }
    return count;
  }

 private:
  struct Frame {
    bool taken = false;
    bool arriving = false;
    bool leaving = false;
    int readers = 0;
    BlockIndex block;
  };
  std::map<std::uint32_t, Frame> frames_;
  std::map<PageEvent, std::size_t> events_;
  std::string broken_;
};

}  // namespace kvplace::testing
