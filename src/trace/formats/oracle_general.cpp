/// oracle-general: the binary trace of libCacheSim, one packed little-endian record per read, so that any cache
/// simulator can re-check miss counts.
#include <array>

#include "kvplace/base/file_guard.h"
#include "kvplace/trace/formats.h"
#include "trace/byte_order.h"
#include "trace/byte_sink.h"
#include "trace/chunk_spool.h"
#include "trace/export_steps.h"

namespace kvplace {
namespace {

/// u32 time (decode step), u64 object (layer << 32 | id), u32 size, i64 index of the object's next record or -1.
constexpr std::size_t kRecordBytes = 4 + 8 + 4 + 8;
constexpr std::int64_t kNever = -1;

/// Index of the next record of every read, found from the trace's end, chunk by chunk into a temporary file.
Result<ChunkSpool> find_next_records(const TraceReader& trace, const RunContext& context) {
  KVPLACE_ASSIGN(spool, ChunkSpool::create(trace.num_chunks()));
  const std::size_t blocks = trace.totals().blocks_per_layer;
  std::vector<std::int64_t> next(blocks * trace.meta().layers, kNever);
  auto record = static_cast<std::int64_t>(trace.totals().reads);
  LoopWatch watch(context, "finding next reads", trace.totals().reads, "reads");
  std::vector<std::byte> of_chunk;
  for (std::size_t i = trace.num_chunks(); i-- > 0;) {
    KVPLACE_ASSIGN(segment, trace.chunk(i));
    of_chunk.resize(segment.num_reads() * sizeof(std::int64_t));
    std::byte* to = of_chunk.data() + of_chunk.size();
    for (std::uint32_t step = segment.end_step(); step-- > segment.first_step();) {
      for (std::uint32_t layer = segment.layers(); layer-- > 0;) {
        const auto reads = segment.view(step, layer).reads;
        for (auto read = reads.rbegin(); read != reads.rend(); ++read) {
          std::int64_t& next_record = next[layer * blocks + read->value()];
          to -= sizeof next_record;
          store_little_endian(to, next_record);
          next_record = --record;
        }
      }
    }
    KVPLACE_TRY(spool.put(i, of_chunk));
    KVPLACE_TRY(watch.advance(segment.num_reads()));
  }
  return spool;
}

Result<std::uint32_t> object_size(const TraceReader& trace) {
  // Sizes of experts are not in the trace: with them every object counts as one.
  if (!trace.meta().block_bytes || trace.meta().layout.experts > 0) {
    return 1u;
  }
  const std::int64_t size = trace.meta().block_bytes->value();
  if (size > std::int64_t{0xffffffff}) {
    return bad_input(trace.path() + ": blocks of " + std::to_string(size) +
                     " bytes do not fit oracle-general, whose sizes are of 32 bits");
  }
  return static_cast<std::uint32_t>(size);
}

Status export_trace(const TraceReader& trace, const std::string& out, const ExportOptions& options,
                    const RunContext& context) {
  if (options.ranking) {
    return bad_input(trace.path() + ": oracle-general holds no rankings; export them as topk-npy");
  }
  KVPLACE_ASSIGN(size, object_size(trace));
  FileScope files;
  KVPLACE_TRY(files.claim(out));
  KVPLACE_ASSIGN(spool, find_next_records(trace, context));
  KVPLACE_ASSIGN(sink, ByteSink::create(out));
  LoopWatch watch(context, "exporting", trace.totals().reads, "reads");
  std::vector<std::byte> records;
  for (std::size_t i = 0; i < trace.num_chunks(); ++i) {
    KVPLACE_ASSIGN(segment, trace.chunk(i));
    KVPLACE_ASSIGN(next_records, spool.get(i));
    const std::byte* next_record = next_records.data();
    for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
        const auto reads = segment.view(step, layer).reads;
        records.resize(reads.size() * kRecordBytes);
        std::byte* to = records.data();
        const auto put = [&to](auto value) {
          store_little_endian(to, value);
          to += sizeof value;
        };
        for (const BlockId id : reads) {
          put(step);
          put(std::uint64_t{layer} << 32 | id.value());
          put(size);
          put(load_little_endian<std::int64_t>(next_record));
          next_record += sizeof(std::int64_t);
        }
        KVPLACE_TRY(sink.write(records));
      }
    }
    KVPLACE_TRY(watch.advance(segment.num_reads()));
  }
  return sink.commit();
}

}  // namespace

void register_format_oracle_general(FormatRegistry& registry);

void register_format_oracle_general(FormatRegistry& registry) {
  registry.add({"oracle-general", "libCacheSim's binary trace, one record per read with its next access (export only)",
                nullptr, nullptr, export_trace});
}

}  // namespace kvplace
