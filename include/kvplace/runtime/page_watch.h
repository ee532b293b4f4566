/// What the runtime does to pages, as it does it: for tests, and for whoever wants a record.
#pragma once

#include <cstdint>

#include "kvplace/base/units.h"

namespace kvplace {

/// What happens to a frame: a place of a page in near memory.
enum class PageEvent : std::uint8_t {
  kTaken,     ///< a block has it from now on
  kAppended,  ///< tokens are written to it
  kFetching,  ///< its page is on its way from far
  kFetched,   ///< and is whole
  kReading,   ///< a step reads it, from now on
  kRead,      ///< and has read it
  kLeaving,   ///< its page is on its way to far
  kLeft,      ///< and is there
  kReleased,  ///< nobody's any more: the next block may have it
};

class PageWatch {
 public:
  virtual ~PageWatch() = default;
  /// Called by the thread that runs the steps.
  virtual void on(PageEvent event, BlockIndex block, std::uint32_t frame) = 0;
};

}  // namespace kvplace
