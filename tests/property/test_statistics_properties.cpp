#include <gtest/gtest.h>
// rapidcheck's header builds on gtest's.
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kvplace/trace/statistics.h"
#include "kvplace/trace/writer.h"
#include "trace/stack_distance.h"

namespace kvplace {
namespace {

/// One layer of one decode step, and the tokens of each request in it, this step's included.
struct Record {
  std::vector<BlockId> reads;
  std::vector<BlockId> appended;
  std::vector<std::uint64_t> tokens;
  std::uint64_t existing = 0;
};

/// A random trace, and each of its statistics the plain way.
class RandomTrace {
 public:
  RandomTrace();

  [[nodiscard]] Result<TraceReader> write(const std::string& path) const;

  [[nodiscard]] std::uint32_t layers() const { return meta_.layers; }
  [[nodiscard]] std::uint32_t steps() const { return static_cast<std::uint32_t>(records_.size()) / layers(); }
  [[nodiscard]] const Record& at(std::uint32_t step, std::uint32_t layer) const {
    return records_[std::size_t{step} * layers() + layer];
  }
  [[nodiscard]] const BlockLayout& layout() const { return meta_.layout; }

  [[nodiscard]] std::uint64_t reads(std::optional<std::uint32_t> layer = {}) const;
  /// Misses of an LRU list of so many places that serves one layer, or all.
  [[nodiscard]] std::uint64_t lru_misses(std::uint64_t capacity, std::optional<std::uint32_t> layer) const;
  [[nodiscard]] double overlap(std::uint32_t layer) const;
  [[nodiscard]] double working_set(std::uint32_t window) const;
  [[nodiscard]] double density() const;
  /// KV reads, those of pages with one of the newest 64 tokens, those of pages with one of the first 4.
  [[nodiscard]] std::array<std::uint64_t, 3> kv_reads() const;

 private:
  TraceMeta meta_;
  std::vector<Record> records_;
};

RandomTrace::RandomTrace() {
  meta_.layers = *rc::gen::inRange(1u, 4u);
  BlockLayout& layout = meta_.layout;
  layout.experts = *rc::gen::element(0u, 0u, 3u);
  layout.requests = *rc::gen::element(1u, 1u, 2u, 3u);
  layout.block_tokens = *rc::gen::element(1u, 2u, 3u, 16u);
  layout.prompt_tokens = *rc::gen::element(0u, 1u, 5u, 20u, 63u, 100u);
  const auto num_steps = *rc::gen::element(1u, 2u, 5u, 12u, 60u, 120u);
  // How many of the most recent blocks most reads go to.
  const auto focus = *rc::gen::element(3u, 10u, 1000u);

  std::vector<std::vector<BlockId>> exist(meta_.layers);
  std::vector<std::vector<std::uint64_t>> tokens(meta_.layers);
  for (std::uint32_t layer = 0; layer < meta_.layers; ++layer) {
    for (std::uint32_t id = 0; id < layout.initial_blocks(); ++id) {
      exist[layer].emplace_back(id);
    }
    tokens[layer].assign(layout.requests, layout.prompt_tokens);
  }
  for (std::uint32_t i = 0; i < num_steps * meta_.layers; ++i) {
    const std::uint32_t layer = i % meta_.layers;
    std::vector<BlockId>& known = exist[layer];
    Record record;
    std::set<BlockId> appended;
    for (std::uint32_t request = 0; request < layout.requests; ++request) {
      if (*rc::gen::inRange(0, 3) == 0) {
        continue;
      }
      const auto page = static_cast<std::uint32_t>(tokens[layer][request]++ / layout.block_tokens);
      appended.insert(layout.page_block(page, request));
    }
    for (const BlockId id : appended) {
      if (std::find(known.begin(), known.end(), id) == known.end()) {
        known.push_back(id);
      }
    }
    std::set<BlockId> reads;
    if (!known.empty()) {
      for (const unsigned raw : *rc::gen::container<std::vector<unsigned>>(rc::gen::inRange(0u, 10'000u))) {
        const std::size_t reach = raw % 7 == 0 ? known.size() : std::min<std::size_t>(known.size(), focus);
        reads.insert(known[known.size() - 1 - raw % reach]);
      }
    }
    record.reads.assign(reads.begin(), reads.end());
    record.appended.assign(appended.begin(), appended.end());
    record.tokens = tokens[layer];
    record.existing = known.size();
    records_.push_back(std::move(record));
  }
}

Result<TraceReader> RandomTrace::write(const std::string& path) const {
  TraceWriterOptions options;
  options.chunk_bytes = 200;
  KVPLACE_ASSIGN(writer, TraceWriter::create(path, meta_, options));
  for (std::uint32_t step = 0; step < steps(); ++step) {
    for (std::uint32_t layer = 0; layer < layers(); ++layer) {
      StepView view;
      view.step = StepIndex(step);
      view.layer = LayerIndex(layer);
      view.reads = at(step, layer).reads;
      view.appended = at(step, layer).appended;
      KVPLACE_TRY(writer.add(view));
    }
  }
  KVPLACE_TRY(writer.finish());
  return TraceReader::open(path);
}

std::uint64_t RandomTrace::reads(std::optional<std::uint32_t> layer) const {
  std::uint64_t reads = 0;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    reads += !layer || i % layers() == *layer ? records_[i].reads.size() : 0;
  }
  return reads;
}

std::uint64_t RandomTrace::lru_misses(std::uint64_t capacity, std::optional<std::uint32_t> layer) const {
  using Block = std::pair<std::uint32_t, BlockId>;
  std::vector<Block> list;  // the most recent first
  std::uint64_t misses = 0;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const auto of_layer = static_cast<std::uint32_t>(i % layers());
    if (layer && of_layer != *layer) {
      continue;
    }
    const Record& record = records_[i];
    const std::set<BlockId> appended(record.appended.begin(), record.appended.end());
    std::set<BlockId> touched = appended;
    for (const BlockId id : record.reads) {
      touched.insert(id);
      const bool near = std::find(list.begin(), list.end(), Block(of_layer, id)) != list.end();
      misses += near || appended.count(id) > 0 ? 0u : 1u;
    }
    for (const BlockId id : touched) {
      std::erase(list, Block(of_layer, id));
      list.insert(list.begin(), Block(of_layer, id));
    }
    list.resize(std::min<std::size_t>(list.size(), capacity));
  }
  return misses;
}

double RandomTrace::overlap(std::uint32_t layer) const {
  double sum = 0;
  int count = 0;
  for (std::uint32_t step = 1; step < steps(); ++step) {
    const std::vector<BlockId>& now = at(step, layer).reads;
    const std::vector<BlockId>& before = at(step - 1, layer).reads;
    std::vector<BlockId> both;
    std::set_intersection(now.begin(), now.end(), before.begin(), before.end(), std::back_inserter(both));
    if (!now.empty()) {
      sum += static_cast<double>(both.size()) / static_cast<double>(now.size());
      ++count;
    }
  }
  return count == 0 ? 0 : sum / count;
}

double RandomTrace::working_set(std::uint32_t window) const {
  std::uint64_t sum = 0;
  for (std::uint32_t layer = 0; layer < layers(); ++layer) {
    for (std::uint32_t start = 0; start + window <= steps(); ++start) {
      std::set<BlockId> distinct;
      for (std::uint32_t step = start; step < start + window; ++step) {
        distinct.insert(at(step, layer).reads.begin(), at(step, layer).reads.end());
      }
      sum += distinct.size();
    }
  }
  return static_cast<double>(sum) / (static_cast<double>(steps() - window + 1) * layers());
}

double RandomTrace::density() const {
  double sum = 0;
  int count = 0;
  for (const Record& record : records_) {
    if (record.existing > 0) {
      sum += static_cast<double>(record.reads.size()) / static_cast<double>(record.existing);
      ++count;
    }
  }
  return count == 0 ? 0 : sum / count;
}

std::array<std::uint64_t, 3> RandomTrace::kv_reads() const {
  std::array<std::uint64_t, 3> counts{};
  const std::uint64_t page_tokens = layout().block_tokens;
  for (const Record& record : records_) {
    for (const BlockId id : record.reads) {
      if (layout().kind(id) == BlockKind::kExpert) {
        continue;
      }
      const std::uint64_t begin = layout().page(id) * page_tokens;
      const std::uint64_t tokens = record.tokens[layout().request(id)];
      counts[0] += 1;
      bool recent = false;
      bool first = false;
      for (std::uint64_t token = begin; token < begin + page_tokens; ++token) {
        recent = recent || (token < tokens && token + 64 >= tokens);
        first = first || token < 4;
      }
      counts[1] += recent ? 1u : 0u;
      counts[2] += first ? 1u : 0u;
    }
  }
  return counts;
}

bool near(double a, double b) { return std::abs(a - b) <= 1e-12 * std::max(1.0, std::abs(b)); }

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// Measures a trace through a file of its own.
TraceStatistics measure(const RandomTrace& trace) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("kvplace_statistics_properties_" + std::to_string(getpid()) + ".kvt"))
          .string();
  const Result<TraceReader> reader = trace.write(path);
  RC_ASSERT(reader.has_value());
  RunContext context;
  context.threads = *rc::gen::element(1u, 2u);
  const Result<TraceStatistics> statistics = compute_statistics(*reader, context);
  RC_ASSERT(statistics.has_value());
  std::filesystem::remove(path);
  return *statistics;
}

void check_curve(const MissCurve& curve, const RandomTrace& trace, std::optional<std::uint32_t> layer) {
  RC_ASSERT(curve.capacity_blocks.size() == curve.miss_ratio.size());
  for (std::size_t i = 0; i < curve.capacity_blocks.size(); ++i) {
    const std::uint64_t misses = trace.lru_misses(curve.capacity_blocks[i], layer);
    RC_ASSERT(near(curve.miss_ratio[i], ratio(misses, trace.reads(layer))));
  }
}

RC_GTEST_PROP(StatisticsProperties, MissCurvesAgreeWithPlainLists, ()) {
  const RandomTrace trace;
  const TraceStatistics s = measure(trace);
  check_curve(s.lru_pooled, trace, {});
  RC_ASSERT(s.lru_by_layer.size() == trace.layers());
  for (std::uint32_t layer = 0; layer < trace.layers(); ++layer) {
    RC_ASSERT(s.lru_by_layer[layer].capacity_blocks == s.lru.capacity_blocks);
    check_curve(s.lru_by_layer[layer], trace, layer);
  }
  for (std::size_t i = 0; i < s.lru.capacity_blocks.size(); ++i) {
    std::uint64_t misses = 0;
    for (std::uint32_t layer = 0; layer < trace.layers(); ++layer) {
      misses += trace.lru_misses(s.lru.capacity_blocks[i], layer);
    }
    RC_ASSERT(near(s.lru.miss_ratio[i], ratio(misses, trace.reads())));
  }
}

RC_GTEST_PROP(StatisticsProperties, StackDistancesAgreeWithPlainListsOfEveryCapacity, ()) {
  const RandomTrace trace;
  std::uint32_t end = trace.layout().initial_blocks();  // more than there are, where requests leave gaps
  for (std::uint32_t step = 0; step < trace.steps(); ++step) {
    for (const BlockId id : trace.at(step, 0).appended) {
      end = std::max(end, id.value() + 1);
    }
  }
  RecencyList list(end);
  for (std::uint32_t step = 0; step < trace.steps(); ++step) {
    list.touch(trace.at(step, 0).reads, trace.at(step, 0).appended);
  }
  const std::size_t stride = *rc::gen::inRange<std::size_t>(1, 8);
  for (std::uint64_t capacity = 0; capacity <= end; capacity += stride) {
    RC_ASSERT(list.distances().misses(capacity) == trace.lru_misses(capacity, 0));
  }
}

RC_GTEST_PROP(StatisticsProperties, ReuseAgreesWithPlainSets, ()) {
  const RandomTrace trace;
  const TraceStatistics s = measure(trace);
  double overlap = 0;
  std::uint64_t first_reads = 0;
  std::vector<std::uint64_t> distances;
  for (std::uint32_t layer = 0; layer < trace.layers(); ++layer) {
    RC_ASSERT(near(s.overlap_by_layer[layer], trace.overlap(layer)));
    overlap += trace.overlap(layer) / trace.layers();
    std::map<BlockId, std::uint32_t> last;
    for (std::uint32_t step = 0; step < trace.steps(); ++step) {
      for (const BlockId id : trace.at(step, layer).reads) {
        if (last.count(id) == 0) {
          ++first_reads;
        } else {
          std::size_t bucket = 0;
          while ((2u << bucket) <= step - last[id]) {
            ++bucket;
          }
          distances.resize(std::max(distances.size(), bucket + 1));
          ++distances[bucket];
        }
        last[id] = step;
      }
    }
  }
  RC_ASSERT(near(s.overlap, overlap));
  RC_ASSERT(s.first_reads == first_reads);
  RC_ASSERT(s.reuse_distance_steps == distances);
  RC_ASSERT(near(s.reads_per_step, ratio(trace.reads(), std::uint64_t{trace.steps()} * trace.layers())));
}

RC_GTEST_PROP(StatisticsProperties, WorkingSetsAgreeWithPlainSets, ()) {
  const RandomTrace trace;
  const TraceStatistics s = measure(trace);
  for (const std::uint32_t window : {1u, 10u, 50u, 100u, 1000u}) {
    RC_ASSERT((s.working_set.count(window) == 1) == (window <= trace.steps()));
    if (window <= trace.steps()) {
      RC_ASSERT(near(s.working_set.at(window), trace.working_set(window)));
    }
  }
}

RC_GTEST_PROP(StatisticsProperties, SharesAgreeWithPlainCounts, ()) {
  const RandomTrace trace;
  const TraceStatistics s = measure(trace);
  const auto [kv, recent, first] = trace.kv_reads();
  RC_ASSERT(near(s.density, trace.density()));
  RC_ASSERT(near(s.recent_share, ratio(recent, kv)));
  RC_ASSERT(near(s.first_share, ratio(first, kv)));
}

}  // namespace
}  // namespace kvplace
