/// From queries and keys to the blocks that a layer reads in each decode step.
///
/// A Selector works for one layer of one request. Keys are appended in order of position, all at once or as they come;
/// a decode step at position p sees the keys of positions 0 ... p, whatever has been appended behind them. Selecting
/// many steps in one call and one step at a time gives identical results, as does any number of threads.
///
///     Result<SelectSpec> spec = SelectRegistry::instance().parse("mass:k=512");
///     Result<Selector> selector = Selector::make(*spec, {.query_heads = 9, .kv_heads = 3, .head_dim = 64});
///     Status appended = selector->append_keys(TensorView::of(k, 3, 8192, 64));
///     Result<Selection> selection =
///         selector->select({.queries = TensorView::of(q, 9, 4096, 64), .first_position = 4096, .ranking_depth = 2048},
///         {});
///
/// In Python (kvplace.select; arrays are float32, float16 or bfloat16 of any strides, taken in without copies):
///
///     methods() -> list of dicts: name, doc, source, needs, parameters
///     s = Selector("mass:k=512", query_heads=9, kv_heads=3, head_dim=64, scale=None, softcap=None, sinks=None,
///     threads=0) s.method (text with all parameters), s.needs, s.block_tokens, s.tokens, s.observed_queries
///     s.append(keys)                           keys: [kv_heads, new tokens, head_dim]
///     s.observe(queries, first_position)       of the prompt's end, [query_heads, tokens, head_dim]; needed if
///                                              s.observed_queries > 0, else ignored
///     r = s.select(queries=None, keys=None, *, scores=None, head_weights=None, first_position=None, steps=None,
///                  ranking_depth=0)            queries: [query_heads, steps, head_dim]; keys are appended first;
///                  scores:
///                                              [steps, columns]; head_weights: [steps, query_heads]; first_position:
///                                              of step 0, default s.tokens - steps
///     sets, rankings = r                       each: .offsets (uint64), .ids (uint32), len(), [i] -> view of a list;
///                                              rankings is None without ranking_depth
///     r.steps, r.sets, r.rankings, r.heads, r.head_sets, r.head_rankings
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/select/registry.h"
#include "kvplace/select/selection.h"
#include "kvplace/select/tensor.h"

namespace kvplace {

/// The attention of the layer.
struct SelectorShape {
  std::uint32_t query_heads = 1;
  std::uint32_t kv_heads = 1;  ///< divides query_heads; query head h uses KV head h / (query_heads / kv_heads)
  std::uint32_t head_dim = 1;
  double scale = 0;    ///< of q.k in the softmax; 0 = 1 / sqrt(head_dim)
  double softcap = 0;  ///< scores are softcap * tanh(scale * q.k / softcap), as Gemma 2 caps them; 0 = no cap
  /// Of each query head: a score that takes part in the softmax and stands for no token, as gpt-oss learns it; empty:
  /// no such scores.
  std::vector<float> sinks = {};
};

/// What is known in `steps` consecutive decode steps.
struct SelectInput {
  TensorView queries = {};       ///< [query_heads, steps, head_dim], after RoPE
  TensorView scores = {};        ///< [1, steps, columns]: token scores or router logits, for methods that take them
  TensorView head_weights = {};  ///< [1, steps, query_heads]: w_h of method `scores`; absent = 1
  std::uint32_t first_position = 0;
  std::uint32_t steps = 0;          ///< 0 = as many as `queries` or `scores` have
  std::uint32_t ranking_depth = 0;  ///< ids per ranking; 0 = no rankings
};

class Selector {
 public:
  /// Errors: head counts that do not divide, zero sizes, sinks that are not one finite score per query head.
  [[nodiscard]] static Result<Selector> make(const SelectSpec& spec, const SelectorShape& shape);

  Selector(Selector&&) noexcept;
  Selector& operator=(Selector&&) noexcept;
  ~Selector();

  /// Appends the keys [kv_heads, new tokens, head_dim] of the next positions. Errors: wrong shape; a value that is not
  /// finite, and then nothing has been appended.
  [[nodiscard]] Status append_keys(const TensorView& keys);

  /// Shows queries [query_heads, tokens, head_dim] of the prompt's end, whose keys have been appended; the last one
  /// ends the prompt. Only methods with observed_queries() > 0 look at them, at the last observed_queries() of them.
  [[nodiscard]] Status observe(const TensorView& queries, std::uint32_t first_position);

  /// Selects. Errors: wrong shapes, a step whose key has not been appended, a budget over the blocks that exist, scores
  /// that are not finite. Thread-safe against other calls of select, not against the other functions.
  /// Reports no progress: a layer takes a second.
  [[nodiscard]] Result<Selection> select(const SelectInput& input, const RunContext& context) const;

  [[nodiscard]] const SelectSpec& spec() const;
  [[nodiscard]] const SelectorShape& shape() const;
  [[nodiscard]] SelectNeeds needs() const;
  /// Tokens of a block, a parameter of the method; 0 if its blocks are not tokens (experts).
  [[nodiscard]] std::uint32_t block_tokens() const;
  /// Keys appended so far.
  [[nodiscard]] std::uint32_t tokens() const;
  /// Queries of the prompt's end that the method has to be shown.
  [[nodiscard]] std::uint32_t observed_queries() const;

 private:
  struct State;
  explicit Selector(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kvplace
