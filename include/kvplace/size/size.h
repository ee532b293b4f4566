/// What must be bought or set for a target, for policies and for the certified bound: `kvplace size`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvplace/base/manifest.h"
#include "kvplace/base/run_context.h"
#include "kvplace/instance/instance.h"
#include "kvplace/policy/registry.h"
#include "kvplace/size/target.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// What is searched for. Values: bytes of the machine, for the KV of all requests; blocks per layer of one request;
/// bytes/s of far.link_read (far.link_write is scaled alike); requests.
enum class Find : std::uint8_t { kNearCapacity, kBuffer, kLink, kBatch };

/// "near-capacity", "buffer", "link", "batch".
[[nodiscard]] std::string to_text(Find find);
[[nodiscard]] Result<Find> parse_find(std::string_view text);

/// What keeps a search from trying more than the most it tries.
enum class RangeEnd : std::uint8_t {
  kEverythingNear,  ///< all that competes for near memory is near: the KV of all requests and all experts
  kSearchLimit,     ///< the search's own: of links, or of numbers that it reckons with
  kFarMemory,       ///< far memory holds the KV of no more requests
  kNearMemory,      ///< near memory has no room for what is near of more requests
};
/// "everything-near", "search-limit", "far-memory", "near-memory".
[[nodiscard]] std::string to_text(RangeEnd end);

/// What a search may try, in the unit of Find.
struct SizeRange {
  double least = 0;
  double most = 0;
  RangeEnd end = RangeEnd::kEverythingNear;  ///< of `most`
};

/// Whether a search came to its end. "complete", "time_limit", "interrupted".
enum class SizeStatus : std::uint8_t { kComplete, kTimeLimit, kInterrupted };
[[nodiscard]] std::string to_text(SizeStatus status);

struct SizeOptions {
  SizeTarget target;
  Find find = Find::kNearCapacity;
  std::vector<PolicySpec> policies;
  /// A search ends when what reaches the target and what does not are this near, relative to the former; whole blocks
  /// and requests are told apart in any case.
  double tolerance = 0.001;
  bool crossover = false;  ///< also from which batch on tiering pays
  // Only for a target that is a cost.
  double price_near_per_gib = 0;
  double price_link_per_gb_s = 0;
  Seconds time_limit{300};  ///< of everything
};

/// One configuration that was tried.
struct SizeProbe {
  double value = 0;             ///< in the unit of Find
  std::int64_t near_bytes = 0;  ///< near capacity for the KV of all requests
  double link_bytes_per_second = 0;
  std::uint32_t batch = 1;
  Seconds total;
  double tokens_per_second = 0;
  bool reached = false;  ///< of the bound: not proven to be out of reach
};

/// What one more of something gains at the answer [tokens/s], by replays (or bounds) with and without it; none where it
/// cannot be told.
struct SizeWorth {
  /// Of near memory for the KV of all requests: whole blocks per layer nearest to it, or what still is not near.
  std::optional<double> gib_near;
  /// Of far.link_read; far.link_write is scaled alike.
  std::optional<double> gb_s_link;
  /// 1 % fewer bytes in each KV read: every block, and its new KV, 1 % smaller and as many of them near; weights stay.
  /// None with partial reads or expert blocks.
  std::optional<double> point_of_sparsity;
  /// Of the bound only: the certificate's own price, by which one more GiB for one request lowers its time at most, to
  /// the first order and with a free start [s].
  std::optional<double> capacity_price_s_per_gib;
};

struct SizeAnswer {
  std::string name;  ///< of the policy with its parameters that are not at their defaults, or "(certified)"
  bool certified = false;
  std::vector<SizeProbe> probes;            ///< in ascending order of value
  std::optional<SizeProbe> answer;          ///< reaches the target; none if nothing that was tried does
  std::optional<SizeProbe> neighbour;       ///< the nearest on the cheaper side that was tried and does not reach it
  bool open = false;                        ///< the search was cut short: what lies between them was not tried
  std::optional<SizeWorth> worth;           ///< none without an answer, or if it was cut short before
  std::vector<SizeProbe> crossover_probes;  ///< in ascending order of batch
  std::optional<SizeProbe> crossover;       ///< the least batch found that is faster than all near
  bool crossover_open = false;              ///< the search for it was cut short
};

struct SizeResult {
  Manifest manifest;
  SizeTarget target;
  Find find = Find::kNearCapacity;
  SizeStatus status = SizeStatus::kComplete;
  std::optional<SizeRange> range;         ///< none for a cost
  bool has_experts = false;               ///< experts compete with the KV for near memory
  bool experts_alone = false;             ///< there is no KV to compete with
  double all_near_tokens_per_second = 0;  ///< of the instance given
  /// The most requests whose whole KV is near, and how fast they are; only with SizeOptions::crossover.
  std::uint32_t all_near_batch = 0;
  double all_near_batch_tokens_per_second = 0;
  std::optional<SizeRange> crossover_range;  ///< none without a batch beyond those that are all near
  std::vector<SizeAnswer> answers;           ///< the policies in the order given, then the bound
};

/// Finds, for each policy and for the certified bound, the least near capacity, buffer or link, or the batch, that
/// reaches the target. For a rate in tokens/s the least batch is searched for, from 1 upwards by doubling; for a share
/// of the all-near speed (at the same batch) the largest. A cost as target: the division of the money between near
/// capacity and link with the most tokens/s.
///
/// Every search brackets: a value that was replayed and reaches the target, and one below it that was replayed and does
/// not, brought together by bisection. Where a policy's time is not monotone there may be another such pair below; the
/// answer reaches the target in any case. The bound's side is a proof: its time is that of the certified bound with a
/// free start, which falls with capacity and bandwidth, so no policy reaches the target with the bound's neighbour or
/// less, whatever is near at the start. (Batch: the proof is for each batch that was tried.)
///
/// If time is up or the run is interrupted, the brackets so far are the result (SizeResult::status).
///
/// Errors: bad input, as for a target that contradicts what is searched for, before anything is replayed; interrupted
/// if there is no bracket yet.
[[nodiscard]] Result<SizeResult> find_size(const TraceReader& trace, const Instance& instance,
                                           const SizeOptions& options, const RunContext& context);

/// `lru`, `lru-global` and `kvplace`; of a buffer per layer, `lru` and `kvplace-budgets`.
[[nodiscard]] std::vector<PolicySpec> default_size_policies(Find find);

}  // namespace kvplace
