/// Statistical twins: a synthetic trace that behaves like a real one, at any scale.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/generate/config.h"
#include "kvplace/trace/reader.h"
#include "kvplace/trace/writer.h"

namespace kvplace {

/// Locality of a layer, or of all. Miss ratios are misses / reads, of lists that are empty at the start.
struct LocalityFigures {
  double reads = 0;
  double overlap = 0;         ///< mean share of a step's reads that were read in the step before
  std::vector<double> lru;    ///< one list per layer, by TwinReport::lru_multiples
  double belady = 0;          ///< Belady with bypass per layer, 2 k places
  std::vector<double> reuse;  ///< [i]: share of reads whose last read was 2^i to 2^(i+1)-1 decode steps before
};

/// Original and twin of the same shape, side by side.
struct TwinReport {
  std::uint32_t steps = 0;            ///< decode steps fitted and measured: all, or the first of a long trace
  double k = 0;                       ///< mean reads per step and layer, the unit of the capacities
  std::vector<double> lru_multiples;  ///< capacities in k
  std::vector<LocalityFigures> original_by_layer;
  std::vector<LocalityFigures> twin_by_layer;
  LocalityFigures original;  ///< means over layers of the overlap, over reads of the others
  LocalityFigures twin;
  /// Mean share of a layer's reads that the layer half the layers away reads in the same step.
  double original_across_layers = 0;
  double twin_across_layers = 0;
  std::vector<double> original_pooled;  ///< one LRU list over all layers
  std::vector<double> twin_pooled;
};

/// How far a twin's miss ratio, or share of the reads, may be from the original's: 10 % of it, or three standard
/// deviations of the count it stands for, which is what 10 % drowns in below 900 of `reads`.
[[nodiscard]] double twin_tolerance(double original, double reads);

/// The figures that are beyond the tolerance, in words: the overlap and the LRU misses of each layer, the LRU misses of
/// one list over all layers, Belady's over all layers, and the reuse distances over all layers.
[[nodiscard]] std::vector<std::string> beyond_tolerance(const TwinReport& report);

/// With the keys of docs/json.md.
[[nodiscard]] std::string to_json(const TwinReport& report);

/// What of a twin may differ from its original; what is not set is as there.
struct TwinShape {
  std::optional<std::uint32_t> prompt_tokens;
  std::optional<std::uint32_t> layers;  ///< further layers are like those of the original, in its order
  std::optional<std::uint32_t> steps;
  std::optional<std::uint32_t> ranking_depth;
  std::uint32_t seed = 0;
  std::uint32_t tokens_per_step = 1;  ///< decoded in each step, of as many tokens of the original
};

/// What Twin::fit and Twin::write would refuse, as far as it can be known before the fit: no twin of such a trace, or
/// none of this shape.
[[nodiscard]] Status check_twin(const TraceReader& trace, const TwinShape& shape);

/// A model fitted to a trace. Const methods are thread safe.
class Twin {
 public:
  /// Fits to the first decode steps, up to `most_reads` reads. Time and memory O(those reads).
  /// Errors if the trace has one decode step only, or pages of several requests.
  [[nodiscard]] static Result<Twin> fit(const TraceReader& original, const RunContext& context,
                                        std::uint64_t most_reads = kDefaultReads);
  Twin(Twin&&) noexcept;
  Twin& operator=(Twin&&) noexcept;
  ~Twin();

  [[nodiscard]] const TwinReport& report() const;

  /// The settings that make the twin of this shape: generate_trace() of them is write().
  [[nodiscard]] GeneratorConfig config(const TwinShape& shape) const;

  /// Writes a twin of this shape. The bytes depend on original, shape and writer's options only.
  /// A read count per step stays; a read share of the pages stays a share. Errors if the shape is impossible.
  [[nodiscard]] Result<TraceTotals> write(const TwinShape& shape, const std::string& out,
                                          const TraceWriterOptions& options, const RunContext& context) const;

  static constexpr std::uint64_t kDefaultReads = std::uint64_t{1} << 25;

 private:
  struct State;
  explicit Twin(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kvplace
