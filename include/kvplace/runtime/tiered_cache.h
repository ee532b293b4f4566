/// A KV cache in two memories: pages near in DRAM under a hard budget, the others in far memory, placed by a policy as
/// the replay has it, and attention that reads near pages in place and far pages as they arrive, both at once.
///
/// What attention gives is bit for bit the same for every policy, budget, mode, migration rule and number of threads,
/// and for a cache that has room for everything (runtime/attention.h).
///
/// A decode step is, for each layer in order: append() of the new token of each request, then attend() of all requests
/// that decode, which is one step of the policy (formulation, "A step"): the same policy objects, one call, the
/// same decision as the replay of the trace of what was read. append() may also bring many tokens of a prompt; attend()
/// then places them, with nothing selected if attention is computed elsewhere.
///
/// The page that is being filled is near; full pages go to far memory whole: at once in inclusive mode, in exclusive
/// mode if they are not to stay near. Migrations move beside the computation, within the step that decides them or in
/// the idle time of the link (options.copies). A page that is read, or on its way, is neither overwritten nor given up.
///
/// Errors: what is asked for wrongly is bad input and changes nothing. When far memory fails, the cache has failed:
/// every call from then on gives that error.
///
/// Threads: calls come from one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/hardware/hardware.h"
#include "kvplace/instance/options.h"
#include "kvplace/policy/registry.h"
#include "kvplace/runtime/attention.h"
#include "kvplace/runtime/memory.h"
#include "kvplace/runtime/page_watch.h"
#include "kvplace/runtime/traffic.h"
#include "kvplace/simulate/replay.h"

namespace kvplace {

/// Sees each step as it is decided: what was read and appended, as a trace has it, and what the policy made of it.
class CacheObserver {
 public:
  virtual ~CacheObserver() = default;
  virtual Status on_step(const StepView& record, const Decision& decision) = 0;
};

struct TieredCacheOptions {
  AttentionShape shape;
  std::uint32_t layers = 1;
  std::uint32_t requests = 1;
  std::uint32_t most_tokens = 0;    ///< of a request
  float scale = 0;                  ///< of q.k; 0: head_dim^-0.5
  Bytes near_pages_capacity;        ///< of the pages that the policy keeps near
  std::uint32_t staging_pages = 0;  ///< far pages at once on their way or read; 0: 64 more than two groups of attention
  Mode mode = Mode::kInclusive;
  Barrier barrier = Barrier::kLayer;  ///< where a step waits for its migrations: each layer, or the last
  Copies copies = Copies::kStep;
  PolicySpec policy;  ///< of the registry's parse()
  Hardware hardware;  ///< what policies compute times of; must be valid
  std::uint64_t seed = 0;
  bool quest = false;                   ///< whether bounds for select_quest() are kept
  unsigned threads = 1;                 ///< that compute attention
  DecisionSource* decisions = nullptr;  ///< if set, these in the policy's place; not owned
  CacheObserver* observer = nullptr;    ///< not owned; may be null
  PageWatch* watch = nullptr;           ///< not owned; may be null
};

/// What a request asks for in a step.
struct RequestStep {
  std::uint32_t request = 0;
  std::span<const float> queries;        ///< [query_heads][head_dim]
  std::span<const std::uint32_t> pages;  ///< of the request, ascending, each once
  std::uint32_t window = 0;              ///< only the last tokens count, so many; 0: all
};

struct CacheStatistics {
  std::uint64_t steps = 0;       ///< (decode step, layer)
  std::uint64_t near_reads = 0;  ///< pages read that were in DRAM when the step began
  std::uint64_t far_reads = 0;
  Traffic traffic;
  Seconds placing;    ///< in the policy and the checks of its decisions
  Seconds computing;  ///< in attention
  Seconds waiting;    ///< for far memory
  Bytes near_bytes;   ///< frames and tables, Quest's bounds, and what attention keeps between pages
};

class TieredCache {
 public:
  /// Near memory is DRAM unless given. Bad input: sizes that do not go together, a policy that needs what a running
  /// cache does not know (the future), a far memory that cannot hold what it must.
  [[nodiscard]] static Result<TieredCache> make(const TieredCacheOptions& options, MemoryPtr far,
                                                MemoryPtr near = nullptr);
  TieredCache(TieredCache&&) noexcept;
  TieredCache& operator=(TieredCache&&) noexcept;
  ~TieredCache();

  /// Capacity that near memory, and far memory of that alignment, need.
  [[nodiscard]] static Bytes near_capacity(const TieredCacheOptions& options, std::uint32_t far_alignment);
  [[nodiscard]] static Bytes far_capacity(const TieredCacheOptions& options, std::uint32_t far_alignment);
  /// near_pages_capacity with which all that the cache keeps near, CacheStatistics::near_bytes, is `budget` at most,
  /// however long requests become. Bad input if that is no page.
  [[nodiscard]] static Result<Bytes> pages_within(const TieredCacheOptions& options, Bytes budget,
                                                  std::uint32_t far_alignment);

  /// Tokens of a request in a layer. `keys`, `values`: [tokens][kv_heads][head_dim].
  [[nodiscard]] Status append(LayerIndex layer, std::uint32_t request, std::span<const float> keys,
                              std::span<const float> values);
  /// All of a request's tokens in a layer, as they are kept: what attention over a further part of a prompt needs. Far
  /// pages come through staging, a few at a time. `keys`, `values`: [num_tokens()][kv_heads][head_dim].
  [[nodiscard]] Status read(LayerIndex layer, std::uint32_t request, std::span<float> keys, std::span<float> values);
  /// The step of a layer. `sinks`: a logit per query head, or empty. `out`: [requests.size()][query_heads][head_dim].
  [[nodiscard]] Status attend(LayerIndex layer, std::span<const RequestStep> requests, std::span<const float> sinks,
                              std::span<float> out);
  /// Waits for all that is on its way.
  [[nodiscard]] Status settle();

  [[nodiscard]] std::uint32_t num_tokens(LayerIndex layer, std::uint32_t request) const;
  [[nodiscard]] std::uint32_t num_pages(LayerIndex layer, std::uint32_t request) const;
  /// All pages; those of a window of so many tokens only, if it is not 0.
  [[nodiscard]] std::vector<std::uint32_t> select_all(LayerIndex layer, std::uint32_t request,
                                                      std::uint32_t window = 0) const;
  /// The `count` best by Quest's bound. REQUIRES: options.quest.
  [[nodiscard]] std::vector<std::uint32_t> select_quest(LayerIndex layer, std::uint32_t request,
                                                        std::span<const float> queries, std::size_t count) const;

  [[nodiscard]] CacheStatistics statistics() const;
  /// What the replay makes of the steps so far: the same counts, and the time that it predicts.
  [[nodiscard]] ReplayResult predicted() const;
  /// Facts a reader of results should know, of its memories.
  [[nodiscard]] std::vector<std::string> notes() const;

 private:
  struct State;
  explicit TieredCache(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kvplace
