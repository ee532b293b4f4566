#include "kvplace/trace/writer.h"

#include <zstd.h>

#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "kvplace/base/parse.h"
#include "trace/byte_order.h"
#include "trace/chunk_codec.h"
#include "trace/kvt_format.h"

namespace kvplace {

struct TraceWriter::State {
  State(OutputFile out, const TraceMeta& the_meta, const TraceWriterOptions& the_options)
      : file(std::move(out)),
        meta(the_meta),
        options(the_options),
        encoder(the_meta),
        digest(the_meta),
        exists(the_meta.layers),
        num_first(the_meta.layers, the_meta.layout.initial_blocks()) {
    for (std::vector<bool>& layer : exists) {
      layer.assign(meta.layout.initial_blocks(), true);
    }
    totals.blocks_per_layer = meta.layout.initial_blocks();
  }

  Status check(const StepView& record);
  Status check_tokens(const StepView& record) const;
  Status check_requests(const StepView& record) const;
  Status flush_chunk();
  /// Rewrites the metadata, within its room.
  Status replace(TraceMeta changed, const std::string& what_needs);

  OutputFile file;
  TraceMeta meta;
  TraceWriterOptions options;
  ChunkEncoder encoder;
  kvt::Digest digest;
  std::vector<std::vector<bool>> exists;  ///< by layer
  std::vector<std::uint32_t> num_first;   ///< by layer: so many blocks from the first on exist
  std::vector<bool> ranked;               ///< scratch: in the ranking at hand
  TraceTotals totals;
  std::uint32_t next_layer = 0;
  std::uint32_t chunk_first_step = 0;
  std::vector<kvt::ChunkPlace> chunks;
  std::vector<StepTokens> step_tokens;        ///< with has_tokens
  std::vector<BlockId> appended;              ///< of a served batch: by the decode step at hand
  std::vector<std::uint32_t> tokens_written;  ///< scratch
  bool broken = false;                        ///< a chunk could not be written; what it held is lost
  std::uint64_t whole_bytes = 0;              ///< of the file, up to the end of its last whole chunk
  std::size_t metadata_bytes = 0;             ///< of the head, its room for measurements included
};

namespace {

std::string place(const StepView& record) {
  return "decode step " + std::to_string(record.step.value()) + ", layer " + std::to_string(record.layer.value());
}

/// The file's first bytes, up to the first chunk.
std::vector<std::byte> head_of(std::uint32_t version, const std::string& metadata) {
  std::vector<std::byte> head(kvt::kPreambleBytes + metadata.size());
  std::memcpy(head.data(), kvt::kMagic.data(), kvt::kMagic.size());
  store_little_endian(head.data() + 8, version);
  store_little_endian(head.data() + 12, static_cast<std::uint32_t>(metadata.size()));
  std::memcpy(head.data() + kvt::kPreambleBytes, metadata.data(), metadata.size());
  const std::uint64_t sum = kvt::checksum(head);
  head.resize(head.size() + sizeof sum);
  store_little_endian(head.data() + head.size() - sizeof sum, sum);
  return head;
}

bool strictly_ascending(std::span<const BlockId> ids) {
  std::uint32_t wrong = 0;
  for (std::size_t i = 1; i < ids.size(); ++i) {
    wrong |= static_cast<std::uint32_t>(ids[i - 1].value() >= ids[i].value());  // to the end: many at once
  }
  return wrong == 0;
}

}  // namespace

Status TraceWriter::State::check(const StepView& record) {
  if (record.step.value() != totals.steps || record.layer.value() != next_layer) {
    return bad_input(place(record) + ": out of order: decode step " + std::to_string(totals.steps) + ", layer " +
                     std::to_string(next_layer) + " is next (steps run by decode step, then by layer)");
  }
  if (!strictly_ascending(record.reads) || !strictly_ascending(record.appended)) {
    return bad_input(place(record) + ": block ids are not ascending and unique");
  }
  if (!record.read_bytes.empty() && record.read_bytes.size() != record.reads.size()) {
    return bad_input(place(record) + ": bytes are given for " + std::to_string(record.read_bytes.size()) + " of " +
                     std::to_string(record.reads.size()) + " reads");
  }
  KVPLACE_TRY(check_tokens(record));
  KVPLACE_TRY(check_requests(record));
  std::vector<bool>& layer = exists[next_layer];
  for (const BlockId id : record.appended) {
    if (id.value() >= kvt::kMostBlocksPerLayer || meta.layout.kind(id) == BlockKind::kExpert) {
      return bad_input(place(record) + ": block " + std::to_string(id.value()) + " cannot be appended to");
    }
    if (id.value() >= layer.size()) {
      if (std::uint64_t{id.value() + 1} * meta.layers > kvt::kMostBlocks) {
        return bad_input(place(record) + ": more than 2^32 - 1 blocks over all layers; split the trace by layers");
      }
      layer.resize(id.value() + 1, false);
      totals.blocks_per_layer = std::max(totals.blocks_per_layer, id.value() + 1);
    }
    layer[id.value()] = true;
  }
  std::uint32_t& first = num_first[next_layer];
  while (first < layer.size() && layer[first]) {
    ++first;
  }
  const auto known = [&layer](BlockId id) { return id.value() < layer.size() && layer[id.value()]; };
  const bool reads_known = !record.reads.empty() && record.reads.back().value() < first;  // the common case
  for (const std::span<const BlockId> ids : {reads_known ? std::span<const BlockId>() : record.reads, record.ranking}) {
    const auto unknown = std::find_if_not(ids.begin(), ids.end(), known);
    if (unknown != ids.end()) {
      return bad_input(
          place(record) + ": block " + std::to_string(unknown->value()) +
          " is read before it exists (neither in the prompt nor appended so far): are the prompt tokens (" +
          std::to_string(meta.layout.prompt_tokens) + ") and block tokens (" +
          std::to_string(meta.layout.block_tokens) + ") right?");
    }
  }
  ranked.assign(record.ranking.empty() ? 0 : layer.size(), false);
  for (const BlockId id : record.ranking) {
    if (ranked[id.value()]) {
      return bad_input(place(record) + ": block " + std::to_string(id.value()) + " is twice in the ranking");
    }
    ranked[id.value()] = true;
  }
  return {};
}

Status TraceWriter::State::check_tokens(const StepView& record) const {
  const StepTokens& tokens = record.tokens;
  const std::span<const std::uint32_t> written = record.written_tokens;
  if (tokens.decoded == 0 || tokens.decoded > tokens.verified || tokens.verified > kvt::kMostStepTokens) {
    return bad_input(place(record) + ": " + std::to_string(tokens.decoded) + " tokens are decoded of " +
                     std::to_string(tokens.verified) + " verified; expected 1 to those verified, at most " +
                     std::to_string(kvt::kMostStepTokens));
  }
  if (!written.empty() && written.size() != record.appended.size()) {
    return bad_input(place(record) + ": tokens are given for " + std::to_string(written.size()) + " of " +
                     std::to_string(record.appended.size()) + " appended blocks");
  }
  const auto fits = [&tokens](std::uint32_t count) { return count >= 1 && count <= tokens.verified; };
  if (const auto wrong = std::find_if_not(written.begin(), written.end(), fits); wrong != written.end()) {
    return bad_input(place(record) + ": " + std::to_string(*wrong) + " tokens are written to a block, " +
                     std::to_string(tokens.verified) + " are verified");
  }
  if (!meta.has_tokens && tokens != StepTokens()) {
    return bad_input(place(record) + ": is a step of " + std::to_string(tokens.verified) +
                     " tokens, of which the metadata says nothing");
  }
  if (next_layer > 0 && meta.has_tokens && tokens != step_tokens.back()) {
    return bad_input(place(record) + ": has other tokens than layer 0 of the decode step");
  }
  return {};
}

/// Of a served batch: what a step may read, the table says.
Status TraceWriter::State::check_requests(const StepView& record) const {
  const ServedRequests* served = meta.layout.served.get();
  if (served == nullptr) {
    return {};
  }
  if (record.step.value() >= served->steps()) {
    return bad_input(place(record) + ": the last request of the table ends before it");
  }
  for (const std::span<const BlockId> ids : {record.reads, record.ranking}) {
    if (const auto id = served->first_unreadable(record.step.value(), ids)) {
      return bad_input(place(record) + ": block " + std::to_string(id->value()) +
                       " is read, which is no page of a request that runs then");
    }
  }
  return {};
}

Status TraceWriter::State::flush_chunk() {
  if (totals.steps == chunk_first_step) {
    return {};
  }
  kvt::ChunkHeader header;
  header.first_step = chunk_first_step;
  header.num_steps = totals.steps - chunk_first_step;
  header.blocks_per_layer = totals.blocks_per_layer;
  header.num_reads = encoder.num_reads();
  const std::vector<std::byte> payload = encoder.take();
  std::vector<std::byte> stored(ZSTD_compressBound(payload.size()));
  const std::size_t size =
      ZSTD_compress(stored.data(), stored.size(), payload.data(), payload.size(), options.zstd_level);
  if (ZSTD_isError(size) != 0) {
    return failed(file.path() + ": compression failed: " + ZSTD_getErrorName(size));
  }
  stored.resize(size);
  header.payload_bytes = payload.size();
  header.stored_bytes = size;
  if (header.payload_bytes > kvt::kMostChunkBytes || header.num_reads > kvt::kMostChunkReads) {
    return bad_input(file.path() + ": decode step " + std::to_string(header.first_step) + " alone has " +
                     std::to_string(header.num_reads) + " reads, more than a chunk may hold");
  }
  header.checksum = kvt::chunk_checksum(header, stored);
  const kvt::ChunkPlace chunk{file.written(), header.first_step, header.num_steps, header.num_reads};
  broken = true;
  KVPLACE_TRY(file.write(header.encode()));
  KVPLACE_TRY(file.write(stored));
  broken = false;
  chunks.push_back(chunk);
  whole_bytes = file.written();
  chunk_first_step = totals.steps;
  return {};
}

Status TraceWriter::State::replace(TraceMeta changed, const std::string& what_needs) {
  if (Status status = kvt::check_meta(changed); !status) {
    return bad_input(file.path() + ": " + status.error().message);
  }
  std::string metadata = kvt::meta_to_json(changed);
  if (metadata.size() > metadata_bytes) {
    return bad_input(file.path() + ": " + what_needs + std::to_string(metadata.size() - metadata_bytes) +
                     " characters more than the metadata has room for");
  }
  metadata.resize(metadata_bytes, ' ');
  KVPLACE_TRY(file.rewrite(0, head_of(kvt::version_of(changed), metadata)));
  meta = std::move(changed);
  return {};
}

TraceWriter::TraceWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
TraceWriter::TraceWriter(TraceWriter&&) noexcept = default;
TraceWriter& TraceWriter::operator=(TraceWriter&&) noexcept = default;
TraceWriter::~TraceWriter() = default;

const TraceMeta& TraceWriter::meta() const { return state_->meta; }

Result<TraceWriter> TraceWriter::create(const std::string& path, const TraceMeta& meta,
                                        const TraceWriterOptions& options) {
  if (Status status = kvt::check_meta(meta); !status) {
    return bad_input(path + ": " + status.error().message);
  }
  if (options.zstd_level < 1 || options.zstd_level > 19) {
    return bad_input(path + ": zstd level " + std::to_string(options.zstd_level) + " is not 1 to 19");
  }
  KVPLACE_ASSIGN(file, OutputFile::create(path));
  // Blanks behind the JSON are the room for measurements.
  const std::string metadata = kvt::meta_to_json(meta) + std::string(options.measurement_room, ' ');
  KVPLACE_TRY(file.write(head_of(kvt::version_of(meta), metadata)));
  auto state = std::make_unique<State>(std::move(file), meta, options);
  state->metadata_bytes = metadata.size();
  return TraceWriter(std::move(state));
}

Status TraceWriter::set_measurements(const std::map<std::string, double>& measurements) {
  TraceMeta meta = state_->meta;
  meta.measurements = measurements;
  return state_->replace(std::move(meta), "the measurements need ");
}

Status TraceWriter::set_prompt_experts(const std::vector<std::vector<std::uint32_t>>& prompt_experts) {
  TraceMeta meta = state_->meta;
  meta.prompt_experts = prompt_experts;
  return state_->replace(std::move(meta), "the prompt's experts need ");
}

Status TraceWriter::add(const StepView& record) {
  State& s = *state_;
  StepView kept = record;
  const ServedRequests* served = s.meta.layout.served.get();
  if (served != nullptr && record.step.value() < served->steps()) {
    if (record.layer.value() == 0) {
      served->appended(record.step.value(), s.appended, s.tokens_written);
    }
    kept.appended = s.appended;
    kept.written_tokens = {};
    kept.tokens = {};
  }
  KVPLACE_TRY(s.check(kept));
  if (!s.meta.has_ranking) {
    kept.ranking = {};
  }
  std::vector<std::uint32_t> whole_blocks;
  if (!s.meta.has_read_bytes) {
    kept.read_bytes = {};
  } else if (kept.read_bytes.empty()) {
    whole_blocks.assign(kept.reads.size(), 0);
    kept.read_bytes = whole_blocks;
  }
  std::vector<std::uint32_t> one_each;
  if (!s.meta.has_tokens) {
    kept.written_tokens = {};
  } else {
    if (kept.written_tokens.empty()) {
      one_each.assign(kept.appended.size(), 1);
      kept.written_tokens = one_each;
    }
    if (s.next_layer == 0) {
      s.step_tokens.push_back(kept.tokens);
    }
  }
  s.encoder.add(kept);
  s.digest.add(kept);
  s.totals.reads += kept.reads.size();
  if (++s.next_layer == s.meta.layers) {
    s.next_layer = 0;
    ++s.totals.steps;
    constexpr std::uint64_t kFullChunkReads = std::uint64_t{1} << 21;
    if (s.encoder.payload_bytes() >= s.options.chunk_bytes || s.encoder.num_reads() >= kFullChunkReads) {
      return s.flush_chunk();
    }
  }
  return {};
}

Result<TraceTotals> TraceWriter::finish() {
  State& s = *state_;
  if (s.next_layer != 0) {
    return bad_input(s.file.path() + ": decode step " + std::to_string(s.totals.steps) + " ends after layer " +
                     std::to_string(s.next_layer - 1) + " of " + std::to_string(s.meta.layers));
  }
  if (s.totals.steps == 0) {
    return bad_input(s.file.path() + ": a trace needs at least one decode step");
  }
  const ServedRequests* served = s.meta.layout.served.get();
  if (served != nullptr && s.totals.steps != served->steps()) {
    return bad_input(s.file.path() + ": the table of requests has " + std::to_string(served->steps()) +
                     " decode steps, " + std::to_string(s.totals.steps) + " were written");
  }
  KVPLACE_TRY(s.flush_chunk());
  const std::uint64_t footer_offset = s.file.written();
  const auto digest = s.digest.value();
  s.totals.digest = kvt::to_hex(digest);

  std::vector<std::byte> footer;
  const auto put = [&footer](auto value) {
    footer.resize(footer.size() + sizeof value);
    store_little_endian(footer.data() + footer.size() - sizeof value, value);
  };
  put(kvt::kFooterMagic);
  put(std::uint64_t{s.chunks.size()});
  for (const kvt::ChunkPlace& chunk : s.chunks) {
    put(chunk.offset);
    put(chunk.first_step);
    put(chunk.num_steps);
    put(chunk.num_reads);
  }
  for (const StepTokens& tokens : s.step_tokens) {
    put(static_cast<std::uint16_t>(tokens.verified));
    put(static_cast<std::uint16_t>(tokens.decoded));
  }
  put(s.totals.steps);
  put(s.totals.blocks_per_layer);
  put(s.totals.reads);
  footer.insert(footer.end(), digest.begin(), digest.end());
  put(kvt::checksum(footer));
  put(footer_offset);
  const auto end = std::as_bytes(std::span(kvt::kEndMagic.data(), kvt::kEndMagic.size()));
  footer.insert(footer.end(), end.begin(), end.end());
  KVPLACE_TRY(s.file.write(footer));
  KVPLACE_TRY(s.file.commit());
  if (s.meta.has_tokens) {
    s.totals.step_tokens = std::make_shared<const std::vector<StepTokens>>(std::move(s.step_tokens));
  } else if (served != nullptr) {
    s.totals.step_tokens = std::make_shared<const std::vector<StepTokens>>(tokens_of(*served));
  }
  return s.totals;
}

Result<PartialTrace> TraceWriter::keep_partial() {
  State& s = *state_;
  if (s.next_layer == 0 && !s.broken) {
    // Whole steps that are in no chunk yet; on a full disk they are lost.
    [[maybe_unused]] const Status flushed = s.flush_chunk();
  }
  const std::uint64_t size = s.file.end_partial();
  PartialTrace kept;
  for (std::size_t i = 0; i < s.chunks.size(); ++i) {
    const std::uint64_t end = i + 1 < s.chunks.size() ? s.chunks[i + 1].offset : s.whole_bytes;
    if (end > size) {
      break;
    }
    kept.steps = s.chunks[i].first_step + s.chunks[i].num_steps;
  }
  if (kept.steps == 0) {
    return kept;
  }
  KVPLACE_ASSIGN(path, s.file.commit_partial(std::min(size, s.whole_bytes)));
  kept.path = std::move(path);
  return kept;
}

}  // namespace kvplace
