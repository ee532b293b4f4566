/// The traces that a merge reads, each at as many places at once as requests read it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// One request of one trace.
struct MergeSource {
  std::size_t trace = 0;
  std::uint32_t request = 0;  ///< of the trace
  std::uint32_t prompt_tokens = 0;
  std::uint32_t steps = 0;
};

class MergeSources {
 public:
  /// Errors if traces cannot be of one batch; nothing but their metadata is read.
  [[nodiscard]] static Result<MergeSources> open(std::span<const std::string> paths);

  [[nodiscard]] const std::vector<MergeSource>& all() const { return sources_; }
  /// What the batch has of all of them; its layout's requests are not set.
  [[nodiscard]] const TraceMeta& meta() const { return meta_; }
  [[nodiscard]] bool has_pages() const { return has_pages_; }
  [[nodiscard]] const TraceMeta& meta_of(std::size_t source) const { return traces_[sources_[source].trace].meta(); }
  [[nodiscard]] const BlockLayout& layout(std::size_t source) const { return meta_of(source).layout; }

  /// A request of the batch reads decode step `step` of a source next.
  [[nodiscard]] Status move_to(std::uint32_t request, std::size_t source, std::uint32_t step);
  /// Errors if the record appends anything but the page of the token that it decodes. Valid until the request moves on.
  [[nodiscard]] Result<StepView> record(std::uint32_t request, std::uint32_t layer) const;
  /// The request reads no more.
  void end(std::uint32_t request) { places_.erase(request); }

 private:
  struct Place {
    std::size_t source = 0;
    std::uint32_t step = 0;
    std::shared_ptr<const Segment> segment;
  };

  MergeSources() = default;
  [[nodiscard]] Status take(TraceReader trace);

  std::vector<TraceReader> traces_;
  std::vector<MergeSource> sources_;
  TraceMeta meta_;
  bool has_pages_ = false;
  std::map<std::uint32_t, Place> places_;                                                // by request of the batch
  std::map<std::pair<std::size_t, std::size_t>, std::weak_ptr<const Segment>> decoded_;  // by trace and chunk
};

}  // namespace kvplace
