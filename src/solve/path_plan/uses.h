/// What each block is used for, in order of time, and what every group moves whatever is decided: the problem as the
/// descent over paths sees it. Any mode, blocks of any sizes, partial reads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/instance/instance.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// Bytes of all requests.
struct GroupLoad {
  Loads loads;
  MovableBytes mirrored;  ///< reads from near that far could serve as well

  GroupLoad& operator+=(const GroupLoad& other) {
    loads += other.loads;
    mirrored += other.mirrored;
    return *this;
  }
  friend GroupLoad operator-(GroupLoad a, const GroupLoad& b) {
    a.loads += b.loads * std::int64_t{-1};
    a.mirrored -= b.mirrored;
    return a;
  }
  bool operator==(const GroupLoad&) const = default;
};

/// A read that is not near by rule; in exclusive mode also what is appended to an older block; a birth.
enum class UseKind : std::uint8_t { kRead, kWrite, kBirth };

struct BlockUse {
  std::uint32_t step = 0;  ///< t * layers + l
  UseKind kind = UseKind::kRead;
  Bytes bytes;  ///< read or written
};

class PlanUses {
 public:
  /// Two passes over the trace; 5 bytes per use, 9 with partial reads or several tokens. Failed if there are more than
  /// `most_uses`.
  [[nodiscard]] static Result<PlanUses> make(const TraceReader& trace, const Instance& instance,
                                             std::uint64_t most_uses, const RunContext& context);

  [[nodiscard]] std::size_t count(std::uint32_t block) const { return begin_[block + 1] - begin_[block]; }
  [[nodiscard]] std::size_t total() const { return steps_.size(); }
  [[nodiscard]] BlockUse use(std::uint32_t block, std::size_t i) const {
    const std::size_t at = begin_[block] + i;
    const Bytes whole = kinds_[at] == UseKind::kRead ? instance_->block_bytes(BlockIndex(block))
                                                     : instance_->new_kv_bytes(instance_->layer_of(BlockIndex(block)));
    return {steps_[at], kinds_[at], bytes_.empty() || bytes_[at] == 0 ? whole : Bytes(bytes_[at])};
  }
  /// By group of steps.
  [[nodiscard]] const std::vector<GroupLoad>& fixed() const { return fixed_; }
  [[nodiscard]] std::uint32_t num_steps() const { return static_cast<std::uint32_t>(instance_->groups().num_steps()); }

 private:
  explicit PlanUses(const Instance& instance);
  template <class Note>
  void visit(const StepView& record, const Note& note) const;
  Status fill(const TraceReader& trace, const RunContext& context);

  const Instance* instance_;
  std::vector<std::size_t> begin_;  // by block, and behind the last
  std::vector<std::uint32_t> steps_;
  std::vector<UseKind> kinds_;
  std::vector<std::uint32_t> bytes_;  // 0: the whole block, one token; empty if all are
  std::vector<GroupLoad> fixed_;
  std::vector<bool> exists_;
};

}  // namespace kvplace
