#include "solve/gaps/gap_classes.h"

#include <algorithm>

#include "base/parallel.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kNotYet = 0xffffffff;
constexpr std::uint32_t kFromStart = 0xfffffffe;
/// Shorter gaps are counted in arrays, longer ones in lists.
constexpr std::uint32_t kLongestCounted = 64;
/// A length is kept as an array if at least this share of its classes exists.
constexpr double kDenseShare = 0.125;
/// A list is sorted and merged when it has grown to this many gaps.
constexpr std::size_t kMostUnmerged = std::size_t{1} << 21;

struct LongGap {
  std::uint32_t length;
  std::uint32_t begin;
  float bytes;
};

class LayerBuilder {
 public:
  LayerBuilder(const Instance& instance, LayerIndex layer, const std::vector<BlockIndex>& initial_near)
      : instance_(&instance), layer_(layer), last_(instance.blocks_per_layer(), kNotYet) {
    const std::uint32_t steps = instance.steps();
    std::fill_n(last_.begin(), instance.layout().initial_blocks(), kFromStart);
    near_at_start_.assign(instance.layout().initial_blocks(), 0);
    for (const BlockIndex block : initial_near) {
      if (instance.layer_of(block) == layer) {
        near_at_start_[instance.id_of(block).value()] = 1;
      }
    }
    gaps_.start_near.assign(steps + kGapPadding, 0);
    gaps_.start_far.assign(steps + kGapPadding, 0);
    gaps_.start_free.assign(steps + kGapPadding, 0);
    short_.resize(std::min(kLongestCounted, steps - 1) + 1);
    for (std::uint32_t length = 1; length < short_.size(); ++length) {
      short_[length].assign(steps - length, 0);
    }
  }

  void add(const StepView& record, StepFacts& facts) {
    const std::uint32_t step = record.step.value();
    const std::size_t k = std::size_t{step} * instance_->layers() + layer_.value();
    const bool free_start = instance_->options().start == Start::kFree;
    auto appended = record.appended.begin();
    double bytes_read = 0;
    for (std::size_t i = 0; i < record.reads.size(); ++i) {
      const BlockId id = record.reads[i];
      while (appended != record.appended.end() && *appended < id) {
        ++appended;
      }
      if (appended != record.appended.end() && *appended == id) {
        continue;  // near by rule
      }
      const auto bytes = static_cast<float>(instance_->bytes_of_read(record, i).value());
      bytes_read += bytes;
      if (instance_->bytes_of_read(record, i) != instance_->block_bytes(layer_, id)) {
        facts.whole_reads[k] = 0;
      }
      const std::uint32_t begin = last_[id.value()];
      last_[id.value()] = step;
      if (begin == kFromStart) {
        std::vector<float>& start = free_start                        ? gaps_.start_free
                                    : near_at_start_[id.value()] != 0 ? gaps_.start_near
                                                                      : gaps_.start_far;
        start[step] += bytes;
        continue;
      }
      const std::uint32_t length = step - begin;
      if (length < short_.size()) {
        short_[length][begin] += bytes;
      } else {
        long_.push_back({length, begin, bytes});
      }
    }
    for (const BlockId id : record.appended) {
      if (last_[id.value()] == kNotYet) {
        last_[id.value()] = step;
      }
    }
    if (long_.size() >= merge_at_) {
      merge();
    }
    facts.read_bytes[k] = bytes_read;
    const StepTraffic traffic = instance_->traffic(record);
    Loads loads;
    loads.add(Transfer::kReadNear, traffic.reads_appended, traffic.num_reads_appended);
    loads.add(Transfer::kWriteNear, traffic.new_kv, traffic.num_new_kv);
    loads.add(Transfer::kWriteFar, traffic.new_kv, traffic.num_new_kv);
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      facts.fixed_bytes[k][c] = static_cast<double>(loads.bytes[c]);
    }
  }

  LayerGaps finish() {
    merge();
    for (std::uint32_t length = 1; length < short_.size(); ++length) {
      std::vector<float>& bytes = short_[length];
      const auto present = bytes.size() - static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), 0.0F));
      if (static_cast<double>(present) >= kDenseShare * static_cast<double>(bytes.size())) {
        bytes.resize(bytes.size() + kGapPadding);
        gaps_.dense.push_back({length, std::move(bytes)});
        continue;
      }
      if (present > 0) {
        gaps_.sparse.push_back({length, gaps_.begin.size(), present});
      }
      for (std::uint32_t begin = 0; begin < bytes.size(); ++begin) {
        if (bytes[begin] != 0) {
          gaps_.begin.push_back(begin);
          gaps_.bytes.push_back(bytes[begin]);
        }
      }
    }
    short_.clear();
    for (const LongGap& gap : long_) {
      if (gaps_.sparse.empty() || gaps_.sparse.back().length != gap.length) {
        gaps_.sparse.push_back({gap.length, gaps_.begin.size(), 0});
      }
      ++gaps_.sparse.back().count;
      gaps_.begin.push_back(gap.begin);
      gaps_.bytes.push_back(gap.bytes);
    }
    return std::move(gaps_);
  }

 private:
  /// Sorts the list and adds up gaps that are alike.
  void merge() {
    std::sort(long_.begin(), long_.end(), [](const LongGap& a, const LongGap& b) {
      return a.length != b.length ? a.length < b.length : a.begin < b.begin;
    });
    std::size_t kept = 0;
    for (std::size_t i = 0; i < long_.size(); ++i) {
      if (kept > 0 && long_[kept - 1].length == long_[i].length && long_[kept - 1].begin == long_[i].begin) {
        long_[kept - 1].bytes += long_[i].bytes;
      } else {
        long_[kept++] = long_[i];
      }
    }
    long_.resize(kept);
    merge_at_ = std::max(kMostUnmerged, 2 * kept);
  }

  const Instance* instance_;
  LayerIndex layer_;
  std::vector<std::uint32_t> last_;  // by block: decode step in which its gap began
  std::vector<std::uint8_t> near_at_start_;
  std::vector<std::vector<float>> short_;  // [length][begin]
  std::vector<LongGap> long_;
  std::size_t merge_at_ = kMostUnmerged;
  LayerGaps gaps_;
};

}  // namespace

Result<GapClasses> build_gap_classes(const TraceReader& trace, const Instance& instance,
                                     const std::function<bool()>& stop, const RunContext& context) {
  GapClasses classes;
  classes.steps = instance.steps();
  classes.layers = instance.layers();
  const std::size_t num_steps = std::size_t{classes.steps} * classes.layers;
  classes.facts.read_bytes.assign(num_steps, 0);
  classes.facts.fixed_bytes.assign(num_steps, {});
  classes.facts.whole_reads.assign(num_steps, 1);
  const std::vector<BlockIndex> initial_near =
      instance.options().start == Start::kFree ? std::vector<BlockIndex>() : instance.initial_near();
  std::vector<LayerBuilder> builders;
  builders.reserve(classes.layers);
  for (std::uint32_t layer = 0; layer < classes.layers; ++layer) {
    builders.emplace_back(instance, LayerIndex(layer), initial_near);
  }
  if (context.progress != nullptr) {
    context.progress->start("finding gaps", trace.totals().reads, "reads");
  }
  std::uint64_t done = 0;
  for (std::size_t chunk = 0; chunk < trace.num_chunks(); ++chunk) {
    if (stop()) {
      return interrupted("stopped before a bound was found");
    }
    KVPLACE_ASSIGN(segment, trace.chunk(chunk));
    KVPLACE_TRY(run_parallel(classes.layers, context.threads, [&](std::size_t layer) -> Status {
      for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
        builders[layer].add(segment.view(step, static_cast<std::uint32_t>(layer)), classes.facts);
      }
      return {};
    }));
    done += segment.num_reads();
    if (context.progress != nullptr) {
      context.progress->update(done);
    }
  }
  if (context.progress != nullptr) {
    context.progress->finish();
  }
  for (LayerBuilder& builder : builders) {
    classes.by_layer.push_back(builder.finish());
    const LayerGaps& gaps = classes.by_layer.back();
    classes.num_classes += gaps.begin.size();
    for (const DenseGaps& dense : gaps.dense) {
      classes.num_classes += dense.bytes.size() - kGapPadding;
    }
  }
  return classes;
}

}  // namespace kvplace
