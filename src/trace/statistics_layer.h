/// The part of the statistics of a trace that each layer has for itself; see TraceStatistics for what is counted.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/trace/trace.h"
#include "trace/stack_distance.h"

namespace kvplace {

/// Windows whose working sets are measured [decode steps].
inline constexpr std::array<std::uint32_t, 5> kWorkingSetWindows{1, 10, 50, 100, 1000};

/// A sum with its number of terms.
struct MeanOf {
  double sum = 0;
  std::uint64_t count = 0;

  void add(double value) {
    sum += value;
    ++count;
  }
  void add(const MeanOf& other) {
    sum += other.sum;
    count += other.count;
  }
  [[nodiscard]] double mean() const { return count == 0 ? 0 : sum / static_cast<double>(count); }
};

/// How long ago each block was last read.
class ReuseStatistics {
 public:
  ReuseStatistics(std::uint32_t blocks, std::uint32_t steps) : last_read_(blocks, kNeverRead), steps_(steps) {}

  void add(std::uint32_t step, std::span<const BlockId> reads);

  [[nodiscard]] const MeanOf& overlap() const { return overlap_; }
  [[nodiscard]] std::uint64_t first_reads() const { return first_reads_; }
  [[nodiscard]] const std::array<std::uint64_t, 32>& distances() const { return distances_; }
  /// Over all windows that lie within the trace, the number of blocks read in them; by kWorkingSetWindows.
  [[nodiscard]] const std::array<std::uint64_t, kWorkingSetWindows.size()>& read_in_windows() const {
    return read_in_windows_;
  }

 private:
  std::vector<std::uint32_t> last_read_;  ///< by block
  std::uint32_t steps_;                   ///< of the trace
  std::vector<std::uint32_t> gaps_;       ///< scratch
  MeanOf overlap_;
  std::uint64_t first_reads_ = 0;
  std::array<std::uint64_t, 32> distances_{};  ///< by power of two
  std::array<std::uint64_t, kWorkingSetWindows.size()> read_in_windows_{};
};

/// Which pages hold the newest and the first tokens.
class TokenStatistics {
 public:
  TokenStatistics(const BlockLayout& layout, std::uint32_t blocks);

  void add(std::uint32_t step, std::span<const BlockId> reads, std::span<const BlockId> appended);

  [[nodiscard]] std::uint64_t kv_reads() const { return kv_reads_; }
  [[nodiscard]] std::uint64_t recent_reads() const { return recent_reads_; }
  [[nodiscard]] std::uint64_t first_reads() const { return first_reads_; }

 private:
  struct Request {
    std::uint64_t tokens = 0;
    std::uint32_t newest_page = 0;
    std::uint32_t first_recent_page = 0;  ///< the lowest page that holds one of the newest tokens
  };

  void append(BlockId id);
  void add_served(std::uint32_t step, std::span<const BlockId> kv);

  BlockLayout layout_;
  std::vector<Request> requests_;
  std::uint64_t first_end_ = 0;     ///< pages of the first tokens have lower ids
  std::uint64_t least_recent_ = 0;  ///< no id below is of a recent page
  std::size_t appends_since_least_ = 0;
  std::uint64_t kv_reads_ = 0;
  std::uint64_t recent_reads_ = 0;
  std::uint64_t first_reads_ = 0;
};

/// One layer of a trace; records come in order of decode steps.
class LayerStatistics {
 public:
  LayerStatistics(const TraceMeta& meta, const TraceTotals& totals);

  void add(const StepView& record);

  [[nodiscard]] std::uint64_t reads() const { return reads_; }
  [[nodiscard]] const MeanOf& density() const { return density_; }
  [[nodiscard]] const RecencyList& recency() const { return recency_; }
  [[nodiscard]] const ReuseStatistics& reuse() const { return reuse_; }
  [[nodiscard]] const TokenStatistics& tokens() const { return tokens_; }

 private:
  RecencyList recency_;
  ReuseStatistics reuse_;
  TokenStatistics tokens_;
  const ServedRequests* served_;  ///< null: requests are alike
  std::vector<bool> exists_;
  std::uint64_t num_existing_;
  std::uint64_t reads_ = 0;
  MeanOf density_;
};

}  // namespace kvplace
