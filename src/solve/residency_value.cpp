#include "kvplace/solve/residency_value.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/file.h"
#include "trace/chunk_spool.h"
#include "trace/npy_header.h"

namespace kvplace {
namespace {

constexpr std::size_t kNoRead = SIZE_MAX;

/// A certificate's prices as seconds per byte, by step.
class PriceTable {
 public:
  explicit PriceTable(const Certificate& certificate) {
    const BoundNumbers& numbers = certificate.numbers;
    const std::size_t num_steps = std::size_t{numbers.steps} * numbers.layers;
    const std::size_t steps_per_group = numbers.barrier == Barrier::kToken ? numbers.layers : 1;
    const double seconds =
        1 / (static_cast<double>(certificate.ticks_per_second) * static_cast<double>(certificate.unit_bytes));
    const bool split = numbers.mirrored_reads == MirroredReads::kSplit;
    occupied_.assign(num_steps + 1, 0);
    std::vector<double> fetch(num_steps);
    for (std::size_t k = 0; k < num_steps; ++k) {
      const auto& prices = certificate.channel_prices[k / steps_per_group];
      const double near = static_cast<double>(prices[static_cast<std::size_t>(Channel::kNearMem)]) * seconds;
      const double far = static_cast<double>(prices[static_cast<std::size_t>(Channel::kFarLinkRead)] +
                                             prices[static_cast<std::size_t>(Channel::kFarMem)]) *
                         seconds;
      miss_.push_back(far - (split ? std::min(near, far) : near));
      near_.push_back(near);
      far_.push_back(far);
      occupied_[k + 1] = occupied_[k] + static_cast<double>(certificate.row_prices[k]) * seconds;
      fetch[k] = near + far - occupied_[k];
    }
    least_fetch_.push_back(std::move(fetch));
    for (std::size_t width = 2; width <= num_steps; width *= 2) {
      const std::vector<double>& below = least_fetch_.back();
      std::vector<double> row(num_steps - width + 1);
      for (std::size_t k = 0; k < row.size(); ++k) {
        row[k] = std::min(below[k], below[k + width / 2]);
      }
      least_fetch_.push_back(std::move(row));
    }
  }

  [[nodiscard]] double miss(std::size_t k) const { return miss_[k]; }
  [[nodiscard]] double near(std::size_t k) const { return near_[k]; }
  [[nodiscard]] double active(std::size_t k) const { return near_[k] + far_[k]; }
  /// Of being near from just after step `from` until step `to`.
  [[nodiscard]] double held(std::size_t from, std::size_t to) const { return occupied_[to] - occupied_[from]; }
  /// Of coming near by the cheapest active promotion in steps `from` to `to` - 1, and being near until `to`.
  [[nodiscard]] double fetched(std::size_t from, std::size_t to) const {
    const std::size_t level = static_cast<std::size_t>(std::bit_width(to - from)) - 1;
    const std::vector<double>& least = least_fetch_[level];
    return occupied_[to] + std::min(least[from], least[to - (std::size_t{1} << level)]);
  }

 private:
  std::vector<double> miss_;
  std::vector<double> near_;
  std::vector<double> far_;
  std::vector<double> occupied_;
  std::vector<std::vector<double>> least_fetch_;  // [level][k]: over 2^level steps from k on
};

/// Goes through a trace from its end and knows of each block its next read and what being near then spares.
class BackwardValues {
 public:
  BackwardValues(const Instance& instance, const Certificate& certificate)
      : instance_(instance), prices_(certificate), next_(instance.num_blocks()) {}

  /// Values of the record's reads, and then the state before it.
  void add(const StepView& record, float* values) {
    const std::size_t k = std::size_t{record.step.value()} * instance_.layers() + record.layer.value();
    auto appended = record.appended.begin();
    for (std::size_t i = 0; i < record.reads.size(); ++i) {
      const BlockId id = record.reads[i];
      Next& next = next_[instance_.index(record.layer, id).value()];
      const auto size = static_cast<double>(instance_.block_bytes(id).value());
      double value = -INFINITY;
      if (next.step != kNoRead) {
        // Without it, it could come back in a later step, or be missed.
        const double fetched = next.step > k + 1 ? size * prices_.fetched(k + 1, next.step) : INFINITY;
        value = std::min(next.spared, fetched) - size * prices_.held(k, next.step);
      }
      values[i] = static_cast<float>(value);
      while (appended != record.appended.end() && *appended < id) {
        ++appended;
      }
      if (appended != record.appended.end() && *appended == id) {
        continue;  // near by rule: nothing is spared in this step
      }
      const auto read = static_cast<double>(instance_.bytes_of_read(record, i).value());
      const double passive = read * prices_.near(k) + (size - read) * prices_.active(k);
      next = {k, read * prices_.miss(k) + std::clamp(value, 0.0, passive)};
    }
  }

 private:
  struct Next {
    std::size_t step = kNoRead;
    double spared = 0;  // seconds: the far read, and what keeping the block then would cost more
  };

  const Instance& instance_;
  PriceTable prices_;
  std::vector<Next> next_;  // by block
};

}  // namespace

Status write_residency_values(const TraceReader& trace, const Instance& instance, const Certificate& certificate,
                              const std::string& path, const RunContext& context) {
  if (instance.options().mode == Mode::kExclusive) {
    return bad_input("the worth of residency is defined for --mode inclusive");
  }
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
