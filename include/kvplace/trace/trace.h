/// What a trace holds: for each decode step and layer the blocks read, the blocks appended to, and optionally
/// the selector's ranking and the bytes of partial reads (formulation, "Workload"; file format: docs/trace_format.md).
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvplace/base/units.h"
#include "kvplace/trace/served.h"

namespace kvplace {

enum class BlockKind { kExpert, kKvPage };

/// How block ids of a layer are laid out: ids [0, experts) are experts, behind them KV pages. Requests that are alike
/// begin and end together, with prompts of one length, and their pages are interleaved: id = experts + page * requests
/// + request. Those of a served batch have a table instead.
struct BlockLayout {
  std::uint32_t experts = 0;        ///< expert blocks per layer
  std::uint32_t requests = 1;       ///< requests whose KV pages are in the trace
  std::uint32_t block_tokens = 1;   ///< tokens of a KV page
  std::uint32_t prompt_tokens = 0;  ///< tokens of each request before its first decode step; served: of the longest
  std::shared_ptr<const ServedRequests> served = nullptr;  ///< null: requests are alike

  /// The layout of a served batch.
  [[nodiscard]] static BlockLayout of(std::shared_ptr<const ServedRequests> served, std::uint32_t experts,
                                      std::uint32_t block_tokens);

  [[nodiscard]] BlockKind kind(BlockId id) const {
    return id.value() < experts ? BlockKind::kExpert : BlockKind::kKvPage;
  }
  /// REQUIRES: kind(id) == kKvPage.
  [[nodiscard]] std::uint32_t page(BlockId id) const {
    return served != nullptr ? served->page(id) : (id.value() - experts) / requests;
  }
  [[nodiscard]] std::uint32_t request(BlockId id) const {
    return served != nullptr ? served->request(id) : (id.value() - experts) % requests;
  }
  /// REQUIRES: the request has that page, if it is of a served batch.
  [[nodiscard]] BlockId page_block(std::uint32_t page, std::uint32_t request) const {
    return served != nullptr ? served->blocks_of(request)[page] : BlockId(experts + page * requests + request);
  }
  /// Tokens of a request before its first decode step.
  [[nodiscard]] std::uint32_t prompt_of(std::uint32_t request) const {
    return served != nullptr ? served->all()[request].prompt_tokens : prompt_tokens;
  }
  /// Pages of a request's prompt, the last of which may be partly filled.
  [[nodiscard]] std::uint32_t prompt_pages(std::uint32_t request = 0) const {
    return static_cast<std::uint32_t>((std::uint64_t{prompt_of(request)} + block_tokens - 1) / block_tokens);
  }
  /// The decode step that writes a page's first token: of a prompt as many before its request's first one.
  /// REQUIRES: kind(id) == kKvPage.
  [[nodiscard]] std::int64_t first_written(BlockId id) const {
    const std::uint32_t of = request(id);
    const std::int64_t token = std::int64_t{page(id)} * block_tokens - prompt_of(of);
    return token + (served != nullptr ? served->all()[of].first_step : 0);
  }
  /// Requests that run at once, at most.
  [[nodiscard]] std::uint32_t most_running() const { return served != nullptr ? served->most_running() : requests; }
  /// Blocks of a layer before the first decode step.
  [[nodiscard]] std::uint32_t initial_blocks() const {
    return served != nullptr ? served->initial_blocks() : experts + prompt_pages() * requests;
  }
};

/// Tokens of a decode step. With speculative decoding it verifies several, and adds those accepted to the text.
struct StepTokens {
  std::uint32_t decoded = 1;   ///< added to the text, 1 to verified
  std::uint32_t verified = 1;  ///< read and computed for; their KV is written. At most 2^16 - 1

  bool operator==(const StepTokens&) const = default;
};

/// Of every decode step of a served batch: one of each request that runs.
[[nodiscard]] std::vector<StepTokens> tokens_of(const ServedRequests& served);

/// Known before the first step is written.
struct TraceMeta {
  std::uint32_t layers = 0;
  BlockLayout layout;
  bool has_ranking = false;
  bool has_read_bytes = false;       ///< partial reads: bytes per read are stored
  bool has_tokens = false;           ///< steps of several tokens: how many is stored; never with layout.served
  std::optional<Bytes> block_bytes;  ///< size of a KV page, if the source knows it
  std::uint32_t first_layer = 0;     ///< layer of the model that is layer 0 here: layers before it read nothing
  std::vector<Bytes> expert_bytes;   ///< size of an expert by layer, if the source knows it; else empty
  /// Experts that the prompt used, by layer, the last used last; empty if the source does not know.
  std::vector<std::vector<std::uint32_t>> prompt_experts;
  std::string model;      ///< preset name, or empty
  std::string selection;  ///< method and parameters, for people
  std::string source;     ///< where it came from, for people
  /// What was measured where the trace was made, as "perplexity"; finite. Names end in their unit if they have one.
  std::map<std::string, double> measurements;
};

/// Known when the last step is written.
struct TraceTotals {
  std::uint32_t steps = 0;             ///< decode steps
  std::uint32_t blocks_per_layer = 0;  ///< largest id + 1 over all layers, prompt included
  std::uint64_t reads = 0;
  std::string digest;  ///< of the contents, whatever the chunks and the compression; 32 hex digits
  std::shared_ptr<const std::vector<StepTokens>> step_tokens;  ///< of each decode step; null: one in each

  /// Added to the text by the decode steps before this one.
  [[nodiscard]] std::uint64_t tokens_before(std::uint32_t step) const;
  /// Added to the text by all.
  [[nodiscard]] std::uint64_t tokens() const { return tokens_before(steps); }
  /// Mean over the decode steps.
  [[nodiscard]] double verified_per_step() const;
};

/// Decode step of a block's next read if there is none.
inline constexpr std::uint32_t kNeverRead = std::numeric_limits<std::uint32_t>::max();

/// One layer of one decode step. Spans stay valid as long as the Segment they come from.
struct StepView {
  StepIndex step;
  LayerIndex layer;
  std::span<const BlockId> reads;             ///< ascending, unique
  std::span<const BlockId> appended;          ///< ascending, unique
  std::span<const BlockId> ranking;           ///< best first; empty if the trace has none
  std::span<const std::uint32_t> read_bytes;  ///< parallel to reads; 0 = the whole block; empty if not stored
  std::span<const std::uint32_t> next_read;   ///< parallel to reads: decode step of the next read; see NextReads
  std::span<const std::uint32_t> next_read_appended;  ///< parallel to appended
  StepTokens tokens;                                  ///< of the decode step
  /// Parallel to appended: tokens written, 0 to a page that arrives with its prompt; empty: one in each.
  std::span<const std::uint32_t> written_tokens;
};

/// What of a chunk is decoded: most of the bytes of a trace with rankings are theirs.
enum class ChunkParts : std::uint8_t { kAll, kWithoutRankings };

/// Consecutive whole decode steps, decoded.
class Segment {
 public:
  Segment() = default;
  Segment(StepIndex first_step, std::uint32_t layers) : first_step_(first_step), layers_(layers) {}

  [[nodiscard]] std::uint32_t first_step() const { return first_step_.value(); }
  [[nodiscard]] std::uint32_t num_steps() const {
    return layers_ == 0 ? 0 : static_cast<std::uint32_t>((begin_.size() - 1) / layers_);
  }
  [[nodiscard]] std::uint32_t end_step() const { return first_step() + num_steps(); }
  [[nodiscard]] std::uint32_t layers() const { return layers_; }
  [[nodiscard]] std::size_t num_reads() const { return reads_.size(); }
  [[nodiscard]] std::size_t num_appended() const { return appended_.size(); }

  /// REQUIRES: first_step() <= step < end_step(), layer < layers().
  [[nodiscard]] StepView view(std::uint32_t step, std::uint32_t layer) const;

  /// Appends the next layer's record; records come t-major, then by layer.
  void add(std::span<const BlockId> reads, std::span<const BlockId> appended, std::span<const BlockId> ranking,
           std::span<const std::uint32_t> read_bytes);

  /// Tokens of the decode steps; empty: one in each. Of a served batch one of each request that runs.
  [[nodiscard]] const std::vector<StepTokens>& step_tokens() const { return step_tokens_; }

  /// Attaches the tokens of each decode step, and those written to each appended block of the segment.
  void set_tokens(std::vector<StepTokens> of_steps, std::vector<std::uint32_t> written);
  /// Attaches next reads, parallel to all reads and all appended blocks of the segment.
  void set_next_reads(std::vector<std::uint32_t> of_reads, std::vector<std::uint32_t> of_appended);

 private:
  friend class ChunkDecoder;

  struct Offsets {
    std::size_t reads = 0;
    std::size_t appended = 0;
    std::size_t ranking = 0;
  };

  StepIndex first_step_;
  std::uint32_t layers_ = 0;
  std::vector<Offsets> begin_{Offsets{}};
  std::vector<BlockId> reads_;
  std::vector<BlockId> appended_;
  std::vector<BlockId> ranking_;
  std::vector<std::uint32_t> read_bytes_;
  std::vector<std::uint32_t> next_read_;
  std::vector<std::uint32_t> next_read_appended_;
  std::vector<StepTokens> step_tokens_;        // by decode step; empty: one in each
  std::vector<std::uint32_t> written_tokens_;  // parallel to appended_; likewise
};

}  // namespace kvplace
