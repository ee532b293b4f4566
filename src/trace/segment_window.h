/// The chunks of the trace that are decoded at the moment.
#pragma once

#include <deque>
#include <memory>

#include "kvplace/trace/trace.h"

namespace kvplace {

class SegmentWindow {
 public:
  void push(Segment segment) { segments_.push_back(std::make_unique<const Segment>(std::move(segment))); }
  void pop() { segments_.pop_front(); }
  [[nodiscard]] bool empty() const { return segments_.empty(); }
  [[nodiscard]] std::size_t size() const { return segments_.size(); }
  [[nodiscard]] const Segment& front() const { return *segments_.front(); }
  /// Behind the last decoded decode step.
  [[nodiscard]] std::uint32_t end_step() const { return segments_.back()->end_step(); }

  /// Reads of a decode step from the front segment on; empty behind the window's end.
  [[nodiscard]] std::span<const BlockId> reads(std::uint32_t step, std::uint32_t layer) const {
    for (const auto& segment : segments_) {
      if (step < segment->end_step()) {
        return segment->view(step, layer).reads;
      }
    }
    return {};
  }

 private:
  std::deque<std::unique_ptr<const Segment>> segments_;
};

}  // namespace kvplace
