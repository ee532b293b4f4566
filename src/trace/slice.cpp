#include "kvplace/trace/slice.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "kvplace/base/file_guard.h"
#include "trace/loop_watch.h"

namespace kvplace {
namespace {

Result<Stretch> checked(const std::optional<Stretch>& wanted, const char* what, std::uint32_t size,
                        const std::string& path) {
  const Stretch stretch = wanted.value_or(Stretch{0, size});
  if (stretch.first >= stretch.end || stretch.end > size) {
    return bad_input(path + ": " + what + " " + std::to_string(stretch.first) + " to " + std::to_string(stretch.end) +
                     " (excluded) are not in the trace, which has 0 to " + std::to_string(size) + " (excluded)");
  }
  return stretch;
}

/// What had been appended before the first step of a slice: tokens per request, and the last page. In steps of several
/// tokens those that were decoded count.
class Grown {
 public:
  explicit Grown(const BlockLayout& layout)
      : layout_(layout), tokens_(layout.requests, 0), counted_(layout.requests, 0) {}

  /// REQUIRES: all records of one layer.
  void add(const StepView& record) {
    for (const BlockId id : record.appended) {
      const std::uint32_t request = layout_.request(id);
      if (record.written_tokens.empty()) {
        ++tokens_[request];
      } else if (std::exchange(counted_[request], record.step.value() + 1) != record.step.value() + 1) {
        tokens_[request] += record.tokens.decoded;
      }
      pages_ = std::max(pages_, layout_.page(id) + 1);
    }
  }

  [[nodiscard]] std::uint32_t prompt_tokens() const {
    const std::uint32_t most = *std::max_element(tokens_.begin(), tokens_.end());
    const std::uint32_t first_of_last_page = pages_ == 0 ? 0 : (pages_ - 1) * layout_.block_tokens + 1;
    return std::max(layout_.prompt_tokens + most, first_of_last_page);
  }

 private:
  BlockLayout layout_;
  std::vector<std::uint32_t> tokens_;   // by request
  std::vector<std::uint32_t> counted_;  // by request: the last decode step that was counted, from 1
  std::uint32_t pages_ = 0;
};

}  // namespace

Result<TraceTotals> slice_trace(const TraceReader& trace, const std::string& out, const SliceOptions& options,
                                const RunContext& context) {
  TraceMeta meta = trace.meta();
  KVPLACE_ASSIGN(steps, checked(options.steps, "decode steps", trace.totals().steps, trace.path()));
  KVPLACE_ASSIGN(layers, checked(options.layers, "layers", meta.layers, trace.path()));
  if (meta.layout.served != nullptr && (steps.first != 0 || steps.end != trace.totals().steps)) {
    return bad_input(trace.path() +
                     ": is a served batch, whose table of requests names all its decode steps: slice its " +
                     "layers alone, or the traces before they are merged");
  }
  FileScope files;
  KVPLACE_TRY(files.claim(out));
  LoopWatch watch(context, "slicing", std::uint64_t{steps.end} * meta.layers, "rows");

  // The prompt that stands for what came before is that of the layer that grew most.
  std::vector<Grown> grown(layers.end - layers.first, Grown(meta.layout));
  std::optional<TraceWriter> writer;
  const std::size_t end_chunk = trace.chunk_of(StepIndex(steps.end - 1)) + 1;
  for (std::size_t i = 0; i < end_chunk; ++i) {
    KVPLACE_ASSIGN(segment, trace.chunk(i));
    for (std::uint32_t step = segment.first_step(); step < std::min(segment.end_step(), steps.end); ++step) {
      if (step == steps.first) {
        for (const Grown& layer : grown) {
          meta.layout.prompt_tokens = std::max(meta.layout.prompt_tokens, layer.prompt_tokens());
        }
        meta.layers = layers.end - layers.first;
        meta.first_layer += layers.first;
        if (!meta.expert_bytes.empty()) {
          meta.expert_bytes.assign(trace.meta().expert_bytes.begin() + layers.first,
                                   trace.meta().expert_bytes.begin() + layers.end);
        }
        if (steps.first > 0) {
          meta.prompt_experts.clear();  // what came before is no prompt's
        } else if (!meta.prompt_experts.empty()) {
          meta.prompt_experts.assign(trace.meta().prompt_experts.begin() + layers.first,
                                     trace.meta().prompt_experts.begin() + layers.end);
        }
        KVPLACE_ASSIGN(created, TraceWriter::create(out, meta, options.writer));
        writer.emplace(std::move(created));
      }
      for (std::uint32_t layer = layers.first; layer < layers.end; ++layer) {
        StepView record = segment.view(step, layer);
        if (!writer) {
          grown[layer - layers.first].add(record);
          continue;
        }
        record.step = StepIndex(step - steps.first);
        record.layer = LayerIndex(layer - layers.first);
        KVPLACE_TRY(writer->add(record));
      }
      KVPLACE_TRY(watch.advance(trace.meta().layers));
    }
  }
  return writer->finish();
}

}  // namespace kvplace
