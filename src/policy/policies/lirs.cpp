/// lirs:
///
///     on a read of a LIR block:   to the top of stack S;  prune S to a LIR block at its bottom
///     on a read of a HIR block in S, near or remembered:   it becomes LIR;  the LIR block at S's bottom becomes HIR
///     on a read of any other:   push it on S and to the back of queue Q as HIR
///     to make room:   evict Q's front;  it stays in S, remembered, if it is there
#include <algorithm>

#include "kvplace/policy/registry.h"
#include "policy/support/block_list.h"
#include "policy/support/buffer_policy.h"

namespace kvplace {
namespace {

/// Blocks of low inter-reference recency (LIR) stay; the others (HIR) share a small queue Q. Stack S has the blocks by
/// recency, down to the oldest LIR one, those that left included: one read while it is in S becomes LIR, and the
/// oldest LIR block HIR.
class LirsOrder {
 public:
  LirsOrder(double hir_share, double history) : hir_share_(hir_share), history_(history) {}

  void start(const PolicyContext& context, std::size_t num_buffers) {
    instance_ = context.instance;
    stack_links_.reset(*instance_);
    queue_links_.reset(*instance_);
    buffers_.clear();
    for (std::size_t buffer = 0; buffer < num_buffers; ++buffer) {
      const Bytes budget = buffer_budget(*instance_, num_buffers, buffer);
      // Room for one block at least, else none could come in beside the LIR ones.
      const Bytes block = block_of_buffer(*instance_, num_buffers, buffer);
      const Bytes most_hir = std::max(share_in_blocks(budget, hir_share_, block), block);
      buffers_.push_back({BlockList(stack_links_), BlockList(queue_links_), BlockList(queue_links_), Bytes(0),
                          std::max(budget - most_hir, Bytes(0)), share_of(budget, history_)});
    }
    state_.assign(instance_->num_blocks(), State::kUnknown);
  }
  void hit(std::size_t buffer_index, std::span<const BlockIndex> hits) {
    Buffer& buffer = buffers_[buffer_index];
    for (const BlockIndex block : hits) {
      State& state = state_[block.value()];
      if (state == State::kLir) {
        buffer.stack.move_to_back(block);
        prune(buffer);
      } else if (state == State::kHirInStack) {
        buffer.queue.remove(block);
        buffer.stack.remove(block);
        make_lir(buffer, block);
      } else {
        state = State::kHirInStack;
        buffer.stack.push_back(block);
        buffer.queue.move_to_back(block);
      }
    }
  }
  void expect(std::size_t buffer_index, BlockIndex block) {
    if (state_[block.value()] == State::kGone) {
      // Out of reach of what making room for it forgets.
      buffers_[buffer_index].gone.remove(block);
      state_[block.value()] = State::kComingBack;
    }
  }
  void insert(std::size_t buffer_index, BlockIndex block) {
    Buffer& buffer = buffers_[buffer_index];
    const bool in_stack = state_[block.value()] == State::kComingBack;
    if (in_stack) {
      buffer.stack.remove(block);
    }
    if (in_stack || buffer.lir + instance_->block_bytes(block) <= buffer.most_lir) {
      make_lir(buffer, block);
    } else {
      state_[block.value()] = State::kHirInStack;
      buffer.stack.push_back(block);
      buffer.queue.push_back(block);
      prune(buffer);  // of use only if there is no LIR block
    }
  }
  void remove(std::size_t buffer_index, std::span<const BlockIndex> ended) {
    Buffer& buffer = buffers_[buffer_index];
    for (const BlockIndex block : ended) {
      State& state = state_[block.value()];
      if (state != State::kHir) {
        buffer.stack.remove(block);
      }
      if (state == State::kLir) {
        buffer.lir -= instance_->block_bytes(block);
      } else {
        buffer.queue.remove(block);
      }
      state = State::kUnknown;
    }
    prune(buffer);
  }
  BlockIndex take_victim(std::size_t buffer_index) {
    Buffer& buffer = buffers_[buffer_index];
    if (buffer.queue.empty()) {
      demote_oldest_lir(buffer);
    }
    const BlockIndex block = buffer.queue.pop_front();
    if (state_[block.value()] == State::kHir) {
      state_[block.value()] = State::kUnknown;
      return block;
    }
    state_[block.value()] = State::kGone;
    buffer.gone.push_back(block);
    while (buffer.gone.bytes() > buffer.most_gone) {
      const BlockIndex oldest = buffer.gone.pop_front();
      buffer.stack.remove(oldest);
      state_[oldest.value()] = State::kUnknown;
    }
    return block;
  }

 private:
  /// HIR blocks are in the queue, gone ones are not near; kHir and kUnknown are not in the stack.
  enum class State : std::uint8_t { kUnknown, kLir, kHirInStack, kHir, kGone, kComingBack };
  struct Buffer {
    BlockList stack;
    BlockList queue;
    BlockList gone;  // in the stack, but not near; by when they left
    Bytes lir;
    Bytes most_lir;
    Bytes most_gone;
  };

  /// `block` is neither in the stack nor in the queue.
  void make_lir(Buffer& buffer, BlockIndex block) {
    state_[block.value()] = State::kLir;
    buffer.stack.push_back(block);
    buffer.lir += instance_->block_bytes(block);
    while (buffer.lir > buffer.most_lir) {
      demote_oldest_lir(buffer);
    }
    prune(buffer);
  }
  /// The stack's oldest block is LIR.
  void demote_oldest_lir(Buffer& buffer) {
    const BlockIndex block = buffer.stack.pop_front();
    state_[block.value()] = State::kHir;
    buffer.lir -= instance_->block_bytes(block);
    buffer.queue.push_back(block);
    prune(buffer);
  }
  void prune(Buffer& buffer) {
    while (!buffer.stack.empty() && state_[buffer.stack.front().value()] != State::kLir) {
      const BlockIndex block = buffer.stack.pop_front();
      State& state = state_[block.value()];
      if (state == State::kGone) {
        buffer.gone.remove(block);
      }
      state = state == State::kHirInStack ? State::kHir : State::kUnknown;
    }
  }

  double hir_share_;
  double history_;
  const Instance* instance_ = nullptr;
  BlockLinks stack_links_;
  BlockLinks queue_links_;
  std::vector<Buffer> buffers_;
  std::vector<State> state_;  // by BlockIndex
};

}  // namespace

void register_policy_lirs(PolicyRegistry& registry) {
  PolicyInfo info;
  info.name = "lirs";
  info.doc = "low inter-reference recency set per layer: ranks blocks by the time between their last two reads";
  info.source = "Jiang, Zhang, SIGMETRICS 2002";
  info.information = Information::kCausal;
  info.parameters = {
      {"hir", "room of blocks of high inter-reference recency", "share of the buffer", 0.01, 0, 1, false},
      {"history", "blocks remembered that left", "share of the buffer", 1, 0, 100, false}};
  info.by_default = false;
  info.buffer_per_layer = true;
  info.make = [](const Parameters& p) { return per_layer_buffers(LirsOrder(p.at("hir"), p.at("history"))); };
  registry.add(std::move(info));
}

}  // namespace kvplace
