/// One policy's run over one instance: feeds it steps, checks and costs what it decides.
#pragma once

#include <optional>
#include <vector>

#include "kvplace/simulate/replay.h"
#include "simulate/copy_queue.h"
#include "simulate/token_times.h"
#include "simulate/told_reads.h"
#include "trace/segment_window.h"

namespace kvplace {

class PolicyRun {
 public:
  explicit PolicyRun(const ReplayJob& job);
  /// The same decisions are also charged on an instance that differs in speed alone.
  void also_on(const ReplayJob& job) { also_on_.emplace_back(job); }

  /// Decode steps ahead that must be in the window when a step is processed.
  [[nodiscard]] std::uint32_t horizon() const;
  [[nodiscard]] bool needs_next_reads() const;
  [[nodiscard]] bool needs_ranking() const;

  /// Makes the policy; before anything else.
  [[nodiscard]] Status prepare();
  /// `first_reads`: of an oracle policy; else empty.
  [[nodiscard]] Status start(std::span<const std::uint32_t> first_reads, bool has_ranking);
  /// Processes all steps of `segment`, which is in `window`.
  [[nodiscard]] Status process(const Segment& segment, const SegmentWindow& window);
  /// Processes one step alone, of a trace that is only becoming one; steps come in order. Not of an ideal policy.
  [[nodiscard]] Status process_next(const StepView& record, const SegmentWindow& window);
  [[nodiscard]] ReplayResult result() const;
  /// Of the n-th that also_on() named, from 0.
  [[nodiscard]] ReplayResult result_also_on(std::size_t n) const;

 private:
  // State of a block, one byte each. The marks hold within one step only.
  static constexpr std::uint8_t kNear = 1;  // or its room is taken, and it is in flight
  static constexpr std::uint8_t kExists = 2;
  static constexpr std::uint8_t kMissedMark = 4;    // read from far in this step
  static constexpr std::uint8_t kAppendedMark = 8;  // appended to in this step
  static constexpr std::uint8_t kNewbornMark = 16;  // exists since this step
  static constexpr std::uint8_t kEvictedMark = 32;  // leaves near in this step
  static constexpr std::uint8_t kInFlight = 64;     // not all of its bytes are near yet: it is read from far

  /// Reads from near that far could serve as well.
  Status process_step(const StepView& record, const SegmentWindow& window);
  void end_decode_step(std::uint32_t step);
  void process_ideal_step(const Segment& segment, std::uint32_t step);
  void mark_appended(const StepView& record);
  template <bool with_next_reads>
  void partition_reads(const StepView& record);
  /// Frees what requests that end with this decode step have in the layer, and takes it out of what the policy sees.
  void end_requests(const StepView& record);
  /// Finds the hits that are read from far because they are in flight.
  void find_hits_in_flight();
  /// What was read from far of blocks in flight that stay need not be copied any more.
  void keep_bytes_read();
  /// Adds reads of blocks of unequal sizes.
  void add_reads_in_bytes(const StepView& record, Loads& loads);
  Status decide(const StepView& record, const SegmentWindow& window, const Loads& loads);
  Status apply(const StepView& record, Loads& loads);
  /// Whether the whole block is in near memory.
  [[nodiscard]] static bool is_near(std::uint8_t state) { return (state & (kNear | kInFlight)) == kNear; }
  void evict(BlockIndex block, Loads& loads);
  void promote(BlockIndex block, Loads& loads);
  /// Of a block read from far in this step.
  [[nodiscard]] Bytes bytes_read(BlockIndex block) const {
    return instance_.reads_whole_pages() ? instance_.block_bytes(block) : Bytes(missed_bytes_[block.value()]);
  }
  /// `decided`: new blocks are on the side they were put; else they count as near.
  void add_new_kv(const StepView& record, bool decided, Loads& loads) const;
  void clear_marks(const StepView& record);
  void charge(const StepView& record, const StepTraffic& traffic, const Loads& kv_loads, const MovableBytes& mirrored);
  void close_group();
  void move_copies(Bytes copied);
  [[nodiscard]] Error broken(const StepView& record, const std::string& what) const;
  [[nodiscard]] Error broken(const std::string& place, const std::string& what) const;

  const Instance& instance_;
  ReplayJob job_;
  AnyPolicy policy_;
  std::optional<ToldReads> told_;            // of a look-ahead policy
  std::optional<CopyQueue> copies_;          // with copies in the background
  std::vector<BlockIndex> complete_;         // whose last byte has just moved
  std::vector<std::uint8_t> state_;          // by BlockIndex
  std::vector<std::uint32_t> missed_bytes_;  // by BlockIndex, read from far in this step; not with whole pages alone
  std::vector<BlockIndex> initial_near_;
  Bytes occupied_;
  std::uint64_t near_blocks_ = 0;

  // Of the step at hand.
  std::vector<BlockIndex> hits_;
  std::vector<BlockIndex> misses_;
  std::vector<BlockIndex> hits_in_flight_;
  std::vector<BlockIndex> written_;
  std::vector<BlockIndex> ended_;
  std::size_t num_hits_ = 0;
  std::size_t num_misses_ = 0;
  std::vector<std::uint32_t> next_of_hits_;
  std::vector<std::uint32_t> next_of_misses_;
  std::vector<std::uint32_t> next_of_written_;
  std::vector<std::uint8_t> written_is_new_;
  std::vector<std::uint8_t> was_near_;  // parallel to the appended blocks, before the decision
  Decision decision_;

  Loads open_loads_;  // since the last barrier
  TokenTimes token_times_;
  MovableBytes open_mirrored_;
  ReplayResult result_;
  std::vector<PolicyRun> also_on_;  // which only charge
};

}  // namespace kvplace
