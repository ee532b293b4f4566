#include "kvplace/solve/residency_value.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/file.h"
#include "trace/chunk_spool.h"
#include "trace/npy_header.h"

namespace kvplace {
namespace {

/// What changing sides leaves of a worth: a far block that may come near is no worse off than by what that costs, a
/// near one that may leave no worse than by what that does.
struct Clip {
  double low = -INFINITY;
  double high = INFINITY;

  [[nodiscard]] double operator()(double worth) const { return std::min(std::max(worth, low), high); }
  /// First `later`, then this one.
  [[nodiscard]] Clip after(const Clip& later) const { return {(*this)(later.low), (*this)(later.high)}; }
};

/// A certificate's prices as seconds per byte, by step.
class PriceTable {
 public:
  explicit PriceTable(const Certificate& certificate)
      : exclusive_(certificate.numbers.mode == Mode::kExclusive),
        split_(certificate.numbers.mirrored_reads == MirroredReads::kSplit) {
    const BoundNumbers& numbers = certificate.numbers;
    const StepGroups groups(numbers.steps, numbers.layers, numbers.barrier);
    const std::size_t num_steps = groups.num_steps();
    const double seconds =
        1 / (static_cast<double>(certificate.ticks_per_second) * static_cast<double>(certificate.unit_bytes));
    occupied_.assign(num_steps + 1, 0);
    std::vector<Clip> moves(num_steps);
    for (std::uint32_t k = 0; k < num_steps; ++k) {
      const auto& ticks = certificate.channel_prices[groups.group_of(FlatStep(k)).value()];
      std::array<double, kNumChannels> prices{};
      for (std::size_t c = 0; c < kNumChannels; ++c) {
        prices[c] = static_cast<double>(ticks[c]) * seconds;
      }
      Prices& of_step = prices_.emplace_back();
      of_step.near_read = price_of(Transfer::kReadNear, prices);
      of_step.far_read = price_of(Transfer::kReadFar, prices);
      of_step.far_append = price_of(Transfer::kWriteFar, prices) - price_of(Transfer::kWriteNear, prices);
      of_step.promoted_after_read = price_of(Transfer::kPromotePassive, prices);
      of_step.promoted = price_of(Transfer::kPromote, prices);
      of_step.evicted = price_of(Transfer::kDemote, prices);
      occupied_[k + 1] = occupied_[k] + static_cast<double>(certificate.row_prices[k]) * seconds;
      moves[k].high = promoted(k) - occupied_[k];
      if (exclusive_) {
        moves[k].low = -evicted(k) - occupied_[k];
      }
    }
    moves_.push_back(std::move(moves));
    for (std::size_t width = 2; width <= num_steps; width *= 2) {
      const std::vector<Clip>& half = moves_.back();
      std::vector<Clip> row(num_steps - width + 1);
      for (std::size_t k = 0; k < row.size(); ++k) {
        row[k] = half[k].after(half[k + width / 2]);
      }
      moves_.push_back(std::move(row));
    }
  }

  [[nodiscard]] std::size_t num_steps() const { return prices_.size(); }
  /// A read from far instead of near.
  [[nodiscard]] double miss(std::size_t k) const {
    const Prices& of = prices_[k];
    return of.far_read - (split_ ? std::min(of.near_read, of.far_read) : of.near_read);
  }
  /// An append to far instead of near; nothing in inclusive mode, which writes to both.
  [[nodiscard]] double far_append(std::size_t k) const { return exclusive_ ? prices_[k].far_append : 0; }
  /// Coming near, of bytes that the step read and of others.
  [[nodiscard]] double promoted_after_read(std::size_t k) const { return prices_[k].promoted_after_read; }
  [[nodiscard]] double promoted(std::size_t k) const { return prices_[k].promoted; }
  [[nodiscard]] double evicted(std::size_t k) const { return exclusive_ ? prices_[k].evicted : 0; }

  /// Worth of a byte near from step `from` on, its room paid, if nothing happens to it before step `to` > `from` and it
  /// is then worth so much.
  [[nodiscard]] double worth_before(std::size_t from, std::size_t to, double worth) const {
    worth -= occupied_[to];
    if (const std::size_t between = to - from - 1; between > 0) {
      const std::size_t level = static_cast<std::size_t>(std::bit_width(between)) - 1;
      // The two may overlap: clipping twice changes nothing.
      worth = moves_[level][from + 1].after(moves_[level][to - (std::size_t{1} << level)])(worth);
    }
    return worth + occupied_[from];
  }

 private:
  struct Prices {
    double near_read = 0;
    double far_read = 0;
    double far_append = 0;
    double promoted_after_read = 0;
    double promoted = 0;
    double evicted = 0;
  };

  bool exclusive_;
  bool split_;
  std::vector<Prices> prices_;
  std::vector<double> occupied_;
  std::vector<std::vector<Clip>> moves_;  // [level][k]: of steps k to k + 2^level - 1, in what `occupied_` counts from
};

/// Goes through a trace from its end and knows of each block its next use and what being near then spares.
class BackwardValues {
 public:
  BackwardValues(const Instance& instance, const Certificate& certificate)
      : instance_(instance),
        exclusive_(instance.options().mode == Mode::kExclusive),
        prices_(certificate),
        next_(instance.num_blocks(), Use{prices_.num_steps(), 0}) {}

  /// Values of the record's reads, and then the state before it.
  void add(const StepView& record, float* values) {
    const std::size_t k = instance_.flat(record.step, record.layer).value();
    std::size_t appended = 0;
    for (std::size_t i = 0; i < record.reads.size(); ++i) {
      const BlockId id = record.reads[i];
      for (; appended < record.appended.size() && record.appended[appended] < id; ++appended) {
        (void)append(k, record, appended);
      }
      if (appended < record.appended.size() && record.appended[appended] == id) {
        values[i] = static_cast<float>(append(k, record, appended));
        ++appended;
      } else {
        values[i] = static_cast<float>(read(k, record.layer, id, instance_.bytes_of_read(record, i)));
      }
    }
    for (; appended < record.appended.size(); ++appended) {
      (void)append(k, record, appended);
    }
  }

 private:
  /// A block's next read, or append in exclusive mode, and the seconds that its being near spares from there on.
  struct Use {
    std::size_t step;
    double spared;
  };

  [[nodiscard]] double value_after(std::size_t k, const Use& next, double size) const {
    if (!exclusive_ && next.step == prices_.num_steps()) {
      return -INFINITY;
    }
    return size * prices_.worth_before(k, next.step, next.spared / size);
  }
  /// Both return the worth just after the step.
  double read(std::size_t k, LayerIndex layer, BlockId id, Bytes bytes) {
    Use& next = next_[instance_.index(layer, id).value()];
    const auto size = static_cast<double>(instance_.block_bytes(layer, id).value());
    const auto read = static_cast<double>(bytes.value());
    const double value = value_after(k, next, size);
    const double promoted = read * prices_.promoted_after_read(k) + (size - read) * prices_.promoted(k);
    next = {k, read * prices_.miss(k) + Clip{-size * prices_.evicted(k), promoted}(value)};
    return value;
  }
  double append(std::size_t k, const StepView& record, std::size_t i) {
    const BlockId id = record.appended[i];
    Use& next = next_[instance_.index(record.layer, id).value()];
    const auto size = static_cast<double>(instance_.block_bytes(record.layer, id).value());
    const double value = value_after(k, next, size);
    if (exclusive_) {
      const double far = static_cast<double>(instance_.new_kv_bytes(record, i).value()) * prices_.far_append(k);
      next = {k, far + Clip{-size * prices_.evicted(k), size * prices_.promoted(k)}(value)};
    }
    return value;  // near by rule: in inclusive mode nothing is spared in this step
  }

  const Instance& instance_;
  bool exclusive_;
  PriceTable prices_;
  std::vector<Use> next_;  // by block
};

}  // namespace

Status write_residency_values(const TraceReader& trace, const Instance& instance, const Certificate& certificate,
                              const std::string& path, const RunContext& context) {
  if (certificate.numbers.trace_digest != trace.totals().digest) {
    return bad_input("the certificate is not of trace " + trace.path());
  }
  KVPLACE_ASSIGN(file, OutputFile::create(path));
  KVPLACE_TRY(file.write(make_npy_header({"<f4", false, {trace.totals().reads}})));
  KVPLACE_ASSIGN(spool, ChunkSpool::create(trace.num_chunks()));
  BackwardValues backward(instance, certificate);
  for (std::size_t chunk = trace.num_chunks(); chunk-- > 0;) {
    if (context.stop_requested()) {
      return interrupted("stopped before the worth of residency was known; " + path + " is not written");
    }
    KVPLACE_ASSIGN(segment, trace.chunk(chunk));
    std::vector<float> values(segment.num_reads());
    std::size_t end = values.size();
    for (std::uint32_t step = segment.end_step(); step-- > segment.first_step();) {
      for (std::uint32_t layer = segment.layers(); layer-- > 0;) {
        const StepView record = segment.view(step, layer);
        end -= record.reads.size();
        backward.add(record, values.data() + end);
      }
    }
    const auto bytes = std::as_bytes(std::span(values));
    KVPLACE_TRY(spool.put(chunk, {bytes.begin(), bytes.end()}));
  }
  for (std::size_t chunk = 0; chunk < trace.num_chunks(); ++chunk) {
    KVPLACE_ASSIGN(values, spool.get(chunk));
    KVPLACE_TRY(file.write(std::span<const std::byte>(values)));
  }
  return file.commit();
}

}  // namespace kvplace
