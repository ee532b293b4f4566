/// Requests of a served batch, each with a prompt, a first decode step and an end of its own (formulation, "Requests").
///
/// A request decodes one token in each decode step from its first to its last. Its pages exist while it runs: those of
/// its prompt from the end of the decode step before its first one (from the start, if that is decode step 0), each
/// further one from the step that writes its first token; at the end of its last step all of them are gone from near
/// and far. Layers are alike in this.
///
/// Block ids are given in order of birth: experts; pages of the prompts that are there at the start, the newest last;
/// then, decode step by decode step, pages that begin in it and prompts that arrive at its end, each by request.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/units.h"

namespace kvplace {

struct ServedRequest {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t first_step = 0;  ///< the decode step of its first token
  std::uint32_t end_step = 0;    ///< behind that of its last

  bool operator==(const ServedRequest&) const = default;
};

/// Immutable; safe to share between threads. Memory: 12 bytes per block of a layer and 4 per decoded token.
class ServedRequests {
 public:
  /// `has_pages`: false if nothing but experts is read, and no page exists.
  /// Errors: no request, one that decodes nothing, a decode step in which none runs, more than 2^26 blocks per layer or
  /// decoded tokens.
  [[nodiscard]] static Result<std::shared_ptr<const ServedRequests>> make(std::vector<ServedRequest> requests,
                                                                          std::uint32_t block_tokens,
                                                                          std::uint32_t experts, bool has_pages);

  /// In the order of the trace's table.
  [[nodiscard]] const std::vector<ServedRequest>& all() const { return requests_; }
  [[nodiscard]] bool has_pages() const { return has_pages_; }
  [[nodiscard]] std::uint32_t steps() const { return static_cast<std::uint32_t>(context_tokens_.size()); }
  /// Experts, and pages that are there before decode step 0.
  [[nodiscard]] std::uint32_t initial_blocks() const { return initial_blocks_; }
  /// Of a layer in all.
  [[nodiscard]] std::uint32_t num_blocks() const { return experts_ + static_cast<std::uint32_t>(request_of_.size()); }

  /// REQUIRES: experts <= id < num_blocks(); of the next ones too.
  [[nodiscard]] std::uint32_t request(BlockId id) const { return request_of_[id.value() - experts_]; }
  [[nodiscard]] std::uint32_t page(BlockId id) const { return page_of_[id.value() - experts_]; }
  /// Of one request, by page.
  [[nodiscard]] std::span<const BlockId> blocks_of(std::uint32_t request) const {
    return std::span(blocks_).subspan(first_block_[request], first_block_[request + 1] - first_block_[request]);
  }

  /// Requests that decode a token in a step.
  [[nodiscard]] std::span<const std::uint32_t> running(std::uint32_t step) const { return at(running_, step); }
  [[nodiscard]] std::uint32_t most_running() const { return most_running_; }
  /// Tokens of the texts of those that run, before the step.
  [[nodiscard]] std::uint64_t context_tokens(std::uint32_t step) const { return context_tokens_[step]; }
  /// Pages of a layer that there are in the step with the most.
  [[nodiscard]] std::uint32_t most_pages() const { return most_pages_; }
  /// Of one request, the mean over decoded tokens.
  [[nodiscard]] double mean_context() const;
  /// The most of any step, its own tokens included.
  [[nodiscard]] std::uint64_t most_tokens() const { return most_tokens_; }
  /// Requests whose prompts arrive at the end of a step.
  [[nodiscard]] std::span<const std::uint32_t> arriving(std::uint32_t step) const { return at(arriving_, step); }
  /// Requests that end with a step.
  [[nodiscard]] std::span<const std::uint32_t> ending(std::uint32_t step) const { return at(ending_, step); }
  /// The first of `ids` that is a page of no request that runs in the step, or one that does not exist by then.
  [[nodiscard]] std::optional<BlockId> first_unreadable(std::uint32_t step, std::span<const BlockId> ids) const;
  /// What every layer's record of a step appends, ascending, and the tokens that the step writes to each: 0 if it
  /// arrives with its prompt.
  void appended(std::uint32_t step, std::vector<BlockId>& blocks, std::vector<std::uint32_t>& written) const;

 private:
  /// Requests of each step.
  struct ByStep {
    std::vector<std::uint32_t> requests;
    std::vector<std::size_t> begin{0};  ///< by step, and behind the last
  };

  ServedRequests() = default;
  [[nodiscard]] static std::span<const std::uint32_t> at(const ByStep& by_step, std::uint32_t step) {
    return std::span(by_step.requests).subspan(by_step.begin[step], by_step.begin[step + 1] - by_step.begin[step]);
  }
  /// From the first step to the last: who runs, arrives and ends.
  void walk();
  void give_ids();
  void give_id(std::uint32_t request, std::uint32_t page);
  void give_initial_ids();
  [[nodiscard]] std::uint32_t pages(std::uint64_t tokens) const;
  /// Of the token that a request that runs decodes in a step.
  [[nodiscard]] std::uint64_t position(std::uint32_t request, std::uint32_t step) const {
    return std::uint64_t{requests_[request].prompt_tokens} + (step - requests_[request].first_step);
  }

  std::vector<ServedRequest> requests_;
  std::uint32_t block_tokens_ = 1;
  std::uint32_t experts_ = 0;
  bool has_pages_ = true;
  std::uint32_t initial_blocks_ = 0;
  std::uint32_t most_running_ = 0;
  std::uint64_t most_tokens_ = 0;
  std::uint32_t most_pages_ = 0;
  std::vector<std::uint32_t> request_of_;  // by id, less the experts
  std::vector<std::uint32_t> page_of_;     // likewise
  std::vector<BlockId> blocks_;            // by request, then page
  std::vector<std::size_t> first_block_;   // by request, and behind the last
  ByStep running_;
  ByStep arriving_;
  ByStep ending_;
  std::vector<std::uint64_t> context_tokens_;  // by step
};

}  // namespace kvplace
