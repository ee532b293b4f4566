// Damaged traces are errors, never more: the payload of a chunk on its own, and whole files whose checksums are mended
// first, so that what lies behind them is reached.
#include <algorithm>
#include <string_view>
#include <vector>

#include "import_fuzz.h"
#include "kvplace/trace/reader.h"
#include "trace/byte_order.h"
#include "trace/chunk_codec.h"
#include "trace/kvt_format.h"

namespace kvplace {
namespace {

using FileBytes = std::vector<std::byte>;

template <class T>
T value_at(const FileBytes& file, std::size_t at) {
  return load_little_endian<T>(file.data() + at);
}

std::uint64_t sum_of(const FileBytes& file, std::size_t from, std::size_t to) {
  return kvt::checksum(std::span(file).subspan(from, to - from));
}

/// Makes the checksum of the head right; returns where the chunks begin, 0 if the file is too short.
std::size_t mend_head(FileBytes& file) {
  if (file.size() < kvt::kPreambleBytes) {
    return 0;
  }
  const std::size_t end = kvt::kPreambleBytes + value_at<std::uint32_t>(file, 12);
  if (end + 8 > file.size()) {
    return 0;
  }
  store_little_endian(file.data() + end, sum_of(file, 0, end));
  return end + 8;
}

void mend_footer(FileBytes& file) {
  const std::size_t end = file.size() - kvt::kTrailerBytes;
  const auto offset = value_at<std::uint64_t>(file, end);
  if (offset < end && end - offset > 8) {
    store_little_endian(file.data() + end - 8, sum_of(file, offset, end - 8));
  }
}

void mend_chunks(FileBytes& file, std::size_t at) {
  while (at + kvt::kChunkHeaderBytes <= file.size()) {
    auto header = kvt::ChunkHeader::decode(std::span(file).subspan(at, kvt::kChunkHeaderBytes));
    if (!header || header->stored_bytes > file.size() - at - kvt::kChunkHeaderBytes) {
      return;
    }
    header->checksum =
        kvt::chunk_checksum(*header, std::span(file).subspan(at + kvt::kChunkHeaderBytes, header->stored_bytes));
    const auto mended = header->encode();
    std::copy(mended.begin(), mended.end(), file.begin() + static_cast<std::ptrdiff_t>(at));
    at += kvt::kChunkHeaderBytes + header->stored_bytes;
  }
}

void check_records(const Segment& segment, const TraceMeta& meta, std::uint32_t blocks) {
  for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
    for (std::uint32_t layer = 0; layer < meta.layers; ++layer) {
      const StepView view = segment.view(step, layer);
      const auto not_ascending = [](BlockId a, BlockId b) { return a >= b; };
      for (const std::span<const BlockId> ids : {view.reads, view.appended}) {
        REQUIRE(std::adjacent_find(ids.begin(), ids.end(), not_ascending) == ids.end());
        REQUIRE(ids.empty() || ids.back().value() < blocks);
      }
      for (const BlockId id : view.ranking) {
        REQUIRE(id.value() < blocks);
      }
      REQUIRE(view.read_bytes.empty() || view.read_bytes.size() == view.reads.size());
      REQUIRE(view.tokens.decoded >= 1 && view.tokens.decoded <= view.tokens.verified);
      REQUIRE(view.written_tokens.empty() || view.written_tokens.size() == view.appended.size());
    }
  }
}

/// `exist`: by layer, before the segment, then behind it.
void check_births(const Segment& segment, const TraceMeta& meta, std::vector<std::vector<bool>>& exist) {
  for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
    for (std::uint32_t layer = 0; layer < meta.layers; ++layer) {
      const StepView view = segment.view(step, layer);
      for (const BlockId id : view.appended) {
        exist[layer][id.value()] = true;
      }
      for (const std::span<const BlockId> ids : {view.reads, view.ranking}) {
        REQUIRE(std::all_of(ids.begin(), ids.end(), [&](BlockId id) { return exist[layer][id.value()]; }));
      }
    }
  }
}

void decode_payload(const std::uint8_t* data, std::size_t size) {
  if (size < 4) {
    return;
  }
  TraceMeta meta;
  meta.layers = 1u + data[0] % 4;
  meta.has_ranking = (data[0] & 64) != 0;
  meta.has_read_bytes = (data[0] & 128) != 0;
  meta.has_tokens = (data[0] & 32) != 0;
  ChunkLimits limits;
  limits.num_steps = 1u + data[1] % 8;
  limits.blocks_per_layer = data[2];
  limits.num_reads = data[3];
  std::vector<LayerBirths> births(meta.layers, LayerBirths(0, limits.blocks_per_layer));
  const auto segment =
      ChunkDecoder::decode(meta, limits, std::as_bytes(std::span(data + 4, size - 4)), ChunkParts::kAll, births);
  if (segment) {
    REQUIRE(segment->num_steps() == limits.num_steps && segment->num_reads() == limits.num_reads);
    check_records(*segment, meta, limits.blocks_per_layer);
  }
}

/// Work grows with layers x blocks, which a few bytes can claim.
bool is_small(const TraceReader& trace) {
  return std::uint64_t{trace.meta().layers} * trace.totals().blocks_per_layer <= 1u << 20 &&
         trace.totals().reads <= 1u << 20;
}

/// A table of requests takes memory for each decode step and block that it names, up to 2^26 of each: none with a
/// number of 6 digits is read.
bool has_large_table(const FileBytes& file) {
  if (file.size() < kvt::kPreambleBytes) {
    return false;
  }
  const std::size_t metadata =
      std::min<std::size_t>(value_at<std::uint32_t>(file, 12), file.size() - kvt::kPreambleBytes);
  const std::string_view text(reinterpret_cast<const char*>(file.data() + kvt::kPreambleBytes), metadata);
  if (text.find("request_table") == std::string_view::npos) {
    return false;
  }
  std::size_t digits = 0;
  return std::any_of(text.begin(), text.end(), [&digits](char c) {
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    return digits == 6;
  });
}

void read_file(const std::uint8_t* data, std::size_t size, bool mend) {
  const auto bytes = std::as_bytes(std::span(data, size));
  FileBytes file(bytes.begin(), bytes.end());
  if (mend && size > kvt::kTrailerBytes) {
    mend_footer(file);
    if (const std::size_t chunks = mend_head(file); chunks != 0) {
      mend_chunks(file, chunks);
    }
  }
  if (has_large_table(file)) {
    return;
  }
  const fuzz::MemoryFile stored(reinterpret_cast<const std::uint8_t*>(file.data()), size);
  for (const bool recover : {false, true}) {
    TraceReaderOptions options;
    options.recover = recover;
    const auto trace = TraceReader::open(stored.path(), options);
    if (!trace) {
      REQUIRE(trace.error().message.starts_with(stored.path()));
      continue;
    }
    if (!is_small(*trace)) {
      continue;
    }
    std::vector<std::vector<bool>> exist(trace->meta().layers, std::vector<bool>(trace->totals().blocks_per_layer));
    for (std::vector<bool>& layer : exist) {
      std::fill_n(layer.begin(), trace->meta().layout.initial_blocks(), true);
    }
    bool all_before = true;
    for (std::size_t i = 0; i < trace->num_chunks(); ++i) {
      const auto segment = trace->chunk(i);
      all_before = all_before && segment;
      if (segment) {
        check_records(*segment, trace->meta(), trace->totals().blocks_per_layer);
      }
      if (all_before) {
        check_births(*segment, trace->meta(), exist);
      }
    }
    static_cast<void>(trace->verify_digest());
  }
}

}  // namespace
}  // namespace kvplace

// The first byte chooses: 0 a chunk's payload, 1 a file as it is, else a file whose checksums are mended.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return -1;
  }
  if (data[0] == 0) {
    kvplace::decode_payload(data + 1, size - 1);
  } else {
    kvplace::read_file(data + 1, size - 1, data[0] != 1);
  }
  return 0;
}
