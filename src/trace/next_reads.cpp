#include "kvplace/trace/next_reads.h"

#include "trace/byte_order.h"
#include "trace/chunk_spool.h"

namespace kvplace {
namespace {

/// Distances to the next read: a byte each, 0 = never, kFar = a 32-bit distance follows in a second array.
constexpr std::uint8_t kNever = 0;
constexpr std::uint8_t kFar = 255;

class DistanceEncoder {
 public:
  void add(std::uint32_t step, std::uint32_t next) {
    if (next == kNeverRead) {
      near_.push_back(std::byte{kNever});
    } else if (next - step < kFar) {
      near_.push_back(static_cast<std::byte>(next - step));
    } else {
      near_.push_back(std::byte{kFar});
      far_.resize(far_.size() + sizeof(std::uint32_t));
      store_little_endian(far_.data() + far_.size() - sizeof(std::uint32_t), next - step);
    }
  }
  [[nodiscard]] std::vector<std::byte> take() {
    std::vector<std::byte> data = std::move(near_);
    data.insert(data.end(), far_.begin(), far_.end());
    near_.clear();
    far_.clear();
    return data;
  }

 private:
  std::vector<std::byte> near_;
  std::vector<std::byte> far_;
};

class DistanceDecoder {
 public:
  /// `count` distances are encoded in `data`.
  DistanceDecoder(std::span<const std::byte> data, std::size_t count) : near_(data.data()), far_(data.data() + count) {}

  std::uint32_t next_read_after(std::uint32_t step) {
    const auto code = std::to_integer<std::uint8_t>(*near_++);
    if (code == kNever) {
      return kNeverRead;
    }
    if (code != kFar) {
      return step + code;
    }
    const auto distance = load_little_endian<std::uint32_t>(far_);
    far_ += sizeof distance;
    return step + distance;
  }

 private:
  const std::byte* near_;
  const std::byte* far_;
};

}  // namespace

struct NextReads::State {
  explicit State(ChunkSpool the_spool) : spool(std::move(the_spool)) {}

  ChunkSpool spool;
  std::vector<std::uint32_t> first_reads;  ///< during the pass: the next read after the step at hand
};

NextReads::NextReads(std::unique_ptr<State> state) : state_(std::move(state)) {}
NextReads::NextReads(NextReads&&) noexcept = default;
NextReads& NextReads::operator=(NextReads&&) noexcept = default;
NextReads::~NextReads() = default;

const std::vector<std::uint32_t>& NextReads::first_reads() const { return state_->first_reads; }

Result<NextReads> NextReads::build(const TraceReader& trace, const RunContext& context, CountedReads counted) {
  KVPLACE_ASSIGN(spool, ChunkSpool::create(trace.num_chunks()));
  auto state = std::make_unique<State>(std::move(spool));
  const std::uint32_t layers = trace.meta().layers;
  const std::size_t blocks = trace.totals().blocks_per_layer;
  state->first_reads.assign(layers * blocks, kNeverRead);
  if (context.progress != nullptr) {
    context.progress->start("finding next reads", trace.totals().reads, "reads");
  }
  std::uint64_t done = 0;
  DistanceEncoder encoder;
  std::vector<std::uint32_t> of_appended;
  for (std::size_t i = trace.num_chunks(); i-- > 0;) {
    if (context.stop_requested()) {
      return interrupted("stopped before the next reads were known");
    }
    KVPLACE_ASSIGN(segment, trace.chunk(i, ChunkParts::kWithoutRankings));
    // Encoded from the end of the chunk; attach() decodes in the same order.
    for (std::uint32_t step = segment.end_step(); step-- > segment.first_step();) {
      for (std::uint32_t layer = layers; layer-- > 0;) {
        std::uint32_t* next = state->first_reads.data() + layer * blocks;
        const StepView view = segment.view(step, layer);
        for (const BlockId id : view.reads) {
          encoder.add(step, next[id.value()]);
        }
        for (const BlockId id : view.appended) {
          encoder.add(step, next[id.value()]);
        }
        of_appended.clear();
        for (const BlockId id : view.appended) {
          of_appended.push_back(next[id.value()]);
        }
        for (const BlockId id : view.reads) {
          next[id.value()] = step;
        }
        for (std::size_t j = 0; counted == CountedReads::kNotNearByRule && j < view.appended.size(); ++j) {
          next[view.appended[j].value()] = of_appended[j];
        }
      }
    }
    KVPLACE_TRY(state->spool.put(i, encoder.take()));
    done += segment.num_reads();
    if (context.progress != nullptr) {
      context.progress->update(done);
    }
  }
  if (context.progress != nullptr) {
    context.progress->finish();
  }
  return NextReads(std::move(state));
}

Status NextReads::attach(std::size_t index, Segment& segment) const {
  KVPLACE_ASSIGN(data, state_->spool.get(index));
  DistanceDecoder decoder(data, segment.num_reads() + segment.num_appended());
  std::vector<std::uint32_t> of_reads(segment.num_reads());
  std::vector<std::uint32_t> of_appended(segment.num_appended());
  auto reads_end = of_reads.end();
  auto appended_end = of_appended.end();
  for (std::uint32_t step = segment.end_step(); step-- > segment.first_step();) {
    for (std::uint32_t layer = segment.layers(); layer-- > 0;) {
      const StepView view = segment.view(step, layer);
      reads_end -= static_cast<std::ptrdiff_t>(view.reads.size());
      appended_end -= static_cast<std::ptrdiff_t>(view.appended.size());
      for (std::size_t i = 0; i < view.reads.size(); ++i) {
        reads_end[static_cast<std::ptrdiff_t>(i)] = decoder.next_read_after(step);
      }
      for (std::size_t i = 0; i < view.appended.size(); ++i) {
        appended_end[static_cast<std::ptrdiff_t>(i)] = decoder.next_read_after(step);
      }
    }
  }
  segment.set_next_reads(std::move(of_reads), std::move(of_appended));
  return {};
}

}  // namespace kvplace
