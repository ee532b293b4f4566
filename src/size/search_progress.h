/// One progress for a search that goes through a trace many times.
#pragma once

#include <cstdint>
#include <string_view>

#include "kvplace/base/progress.h"

namespace kvplace {

/// Takes the progress of parts, replays or searches for a bound, and tells it as a share of the whole search. How much
/// is still to come is an estimate each time; the share never runs back.
class SearchProgress final : public Progress {
 public:
  /// `progress` may be null; `reads` of the trace are the unit of work.
  SearchProgress(Progress* progress, std::uint64_t reads, std::string_view what = "sizing",
                 std::string_view unit = "reads")
      : progress_(progress), reads_(reads), what_(what), unit_(unit) {}

  /// A part of about so many passes over the trace begins; about `left` come after it.
  void begin_part(double passes, double left);
  void end_part();
  /// The search is over.
  void close();

  void start(std::string_view what, std::uint64_t total, std::string_view unit) override;
  void update(std::uint64_t done) override;
  void finish() override;

 private:
  void show() const;

  Progress* progress_;
  std::uint64_t reads_;
  std::string_view what_;
  std::string_view unit_;
  double all_passes_ = 0;  // as estimated when it began; 0: it has not
  double share_ = 0;       // of everything that is done
  double end_of_part_ = 0;
  double begin_of_stage_ = 0;
  double end_of_stage_ = 0;
  std::uint64_t stage_total_ = 0;
};

}  // namespace kvplace
