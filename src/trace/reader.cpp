#include "kvplace/trace/reader.h"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>

#include "base/file.h"
#include "trace/block_births.h"
#include "trace/byte_order.h"
#include "trace/chunk_codec.h"
#include "trace/kvt_format.h"

namespace kvplace {

struct TraceReader::State {
  Status read_head();
  Status read_footer();
  Status scan_chunks();
  Status find_tokens();
  Status check_totals() const;
  [[nodiscard]] Result<kvt::ChunkHeader> chunk_header(std::uint64_t offset) const;
  /// One chunk by itself: whether its blocks exist when they are used remains to be seen.
  [[nodiscard]] Result<Segment> decode(std::size_t index, ChunkParts parts, std::span<LayerBirths> births) const;
  [[nodiscard]] Error unborn(const UnbornUse& use) const;

  std::string path;
  FileHandle file;
  std::uint64_t size = 0;
  std::uint64_t first_chunk = 0;
  TraceMeta meta;
  TraceTotals totals;
  std::vector<kvt::ChunkPlace> chunks;
  bool recovered = false;
  std::unique_ptr<BirthLedger> ledger;
};

Status TraceReader::State::read_head() {
  const auto not_a_trace = [this] {
    return bad_input(path + ": is not a .kvt trace; kvplace import makes one from a CSV or NumPy file");
  };
  if (size < kvt::kPreambleBytes) {
    return not_a_trace();
  }
  std::vector<std::byte> head(kvt::kPreambleBytes);
  KVPLACE_TRY(read_exactly_at(file.get(), 0, head, path));
  if (std::memcmp(head.data(), kvt::kMagic.data(), kvt::kMagic.size()) != 0) {
    return not_a_trace();
  }
  const auto version = load_little_endian<std::uint32_t>(head.data() + 8);
  if (version < kvt::kOldestVersion || version > kvt::kVersion) {
    return bad_input(path + ": is of .kvt version " + std::to_string(version) + ", this program reads versions " +
                     std::to_string(kvt::kOldestVersion) + " and " + std::to_string(kvt::kVersion));
  }
  const auto length = load_little_endian<std::uint32_t>(head.data() + 12);
  if (length > kvt::kMostMetadataBytes || kvt::kPreambleBytes + length + 8 > size) {
    return bad_input(path + ": its metadata is damaged or cut off; make the trace anew");
  }
  head.resize(kvt::kPreambleBytes + length + 8);
  KVPLACE_TRY(read_exactly_at(file.get(), 0, head, path));
  const std::span<const std::byte> body(head.data(), head.size() - 8);
  if (load_little_endian<std::uint64_t>(head.data() + body.size()) != kvt::checksum(body)) {
    return bad_input(path + ": its metadata does not match its checksum; the file is damaged, make it anew");
  }
  const auto text = body.subspan(kvt::kPreambleBytes);
  Result<TraceMeta> parsed = kvt::meta_from_json({reinterpret_cast<const char*>(text.data()), text.size()}, version);
  if (!parsed) {
    return bad_input(path + ": " + parsed.error().message);
  }
  meta = std::move(*parsed);
  first_chunk = head.size();
  return {};
}

Status TraceReader::State::read_footer() {
  const auto truncated = [this] {
    return bad_input(path +
                     ": is truncated (its end is missing); make it anew, or read its whole chunks with --recover");
  };
  if (size < first_chunk + kvt::kTrailerBytes) {
    return truncated();
  }
  std::array<std::byte, kvt::kTrailerBytes> trailer{};
  KVPLACE_TRY(read_exactly_at(file.get(), size - trailer.size(), trailer, path));
  if (std::memcmp(trailer.data() + 8, kvt::kEndMagic.data(), kvt::kEndMagic.size()) != 0) {
    return truncated();
  }
  const auto damaged = [this] {
    return bad_input(path + ": its index is damaged; make it anew, or read its whole chunks with --recover");
  };
  const auto offset = load_little_endian<std::uint64_t>(trailer.data());
  constexpr std::size_t kFixedBytes = 4 + 8 + kvt::kFooterTotalsBytes + 8;
  if (offset < first_chunk || offset > size - trailer.size() || size - trailer.size() - offset < kFixedBytes) {
    return damaged();
  }
  std::vector<std::byte> footer(size - trailer.size() - offset);
  if (footer.size() > kvt::kMostChunkBytes) {
    return damaged();
  }
  KVPLACE_TRY(read_exactly_at(file.get(), offset, footer, path));
  const std::byte* at = footer.data();
  const auto get = [&at]<class T>(T& value) {
    value = load_little_endian<T>(at);
    at += sizeof value;
  };
  std::uint32_t magic = 0;
  std::uint64_t num_chunks = 0;
  get(magic);
  get(num_chunks);
  const std::span<const std::byte> body(footer.data(), footer.size() - 8);
  const std::size_t listed = footer.size() - kFixedBytes;
  const bool counts_chunks =
      meta.has_tokens ? num_chunks <= listed / kvt::kFooterEntryBytes : num_chunks == listed / kvt::kFooterEntryBytes;
  if (magic != kvt::kFooterMagic ||
      load_little_endian<std::uint64_t>(footer.data() + body.size()) != kvt::checksum(body) || !counts_chunks) {
    return damaged();
  }
  chunks.resize(num_chunks);
  for (kvt::ChunkPlace& chunk : chunks) {
    get(chunk.offset);
    get(chunk.first_step);
    get(chunk.num_steps);
    get(chunk.num_reads);
  }
  if (meta.has_tokens) {
    const std::size_t left = listed - num_chunks * kvt::kFooterEntryBytes;
    std::vector<StepTokens> step_tokens(left / kvt::kStepTokensBytes);
    for (StepTokens& tokens : step_tokens) {
      std::uint16_t verified = 0;
      std::uint16_t decoded = 0;
      get(verified);
      get(decoded);
      tokens = {decoded, verified};
    }
    at += left % kvt::kStepTokensBytes;
    totals.step_tokens = std::make_shared<const std::vector<StepTokens>>(std::move(step_tokens));
  }
  if (meta.layout.served != nullptr) {
    totals.step_tokens = std::make_shared<const std::vector<StepTokens>>(tokens_of(*meta.layout.served));
  }
  get(totals.steps);
  get(totals.blocks_per_layer);
  get(totals.reads);
  totals.digest = kvt::to_hex({at, 16});
  std::uint64_t next_step = 0;
  std::uint64_t num_reads = 0;
  for (const kvt::ChunkPlace& chunk : chunks) {
    if (chunk.first_step != next_step || chunk.offset < first_chunk || chunk.offset >= offset) {
      return damaged();
    }
    next_step += chunk.num_steps;
    num_reads += chunk.num_reads;
  }
  const bool has_all_tokens = totals.step_tokens == nullptr || totals.step_tokens->size() == totals.steps;
  return next_step == totals.steps && num_reads == totals.reads && has_all_tokens ? Status() : damaged();
}

Result<kvt::ChunkHeader> TraceReader::State::chunk_header(std::uint64_t offset) const {
  std::array<std::byte, kvt::kChunkHeaderBytes> bytes{};
  KVPLACE_TRY(read_exactly_at(file.get(), offset, bytes, path));
  return kvt::ChunkHeader::decode(bytes);
}

Status TraceReader::State::scan_chunks() {
  recovered = true;
  totals = {};
  chunks.clear();
  totals.blocks_per_layer = meta.layout.initial_blocks();
  std::uint64_t offset = first_chunk;
  while (offset + kvt::kChunkHeaderBytes <= size) {
    const Result<kvt::ChunkHeader> header = chunk_header(offset);
    if (!header || header->first_step != totals.steps ||
        offset + kvt::kChunkHeaderBytes + header->stored_bytes > size) {
      break;
    }
    chunks.push_back({offset, header->first_step, header->num_steps, header->num_reads});
    totals.steps += header->num_steps;
    totals.reads += header->num_reads;
    totals.blocks_per_layer = std::max(totals.blocks_per_layer, header->blocks_per_layer);
    offset += kvt::kChunkHeaderBytes + header->stored_bytes;
  }
  if (chunks.empty()) {
    return bad_input(path + ": holds no whole chunk; nothing can be recovered");
  }
  return {};
}

Status TraceReader::State::check_totals() const {
  if (totals.steps == 0 || totals.blocks_per_layer > kvt::kMostBlocksPerLayer ||
      totals.blocks_per_layer < meta.layout.initial_blocks()) {
    return bad_input(path + ": its totals are damaged; make it anew");
  }
  if (std::uint64_t{totals.blocks_per_layer} * meta.layers > kvt::kMostBlocks) {
    return bad_input(path + ": has more than 2^32 - 1 blocks over all layers; split it by layers");
  }
  return {};
}

TraceReader::TraceReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
TraceReader::TraceReader(TraceReader&&) noexcept = default;
TraceReader& TraceReader::operator=(TraceReader&&) noexcept = default;
TraceReader::~TraceReader() = default;

const std::string& TraceReader::path() const { return state_->path; }
const TraceMeta& TraceReader::meta() const { return state_->meta; }
const TraceTotals& TraceReader::totals() const { return state_->totals; }
std::size_t TraceReader::num_chunks() const { return state_->chunks.size(); }
std::size_t TraceReader::chunk_of(StepIndex step) const {
  const auto& chunks = state_->chunks;
  const auto behind =
      std::upper_bound(chunks.begin(), chunks.end(), step.value(),
                       [](std::uint32_t wanted, const kvt::ChunkPlace& chunk) { return wanted < chunk.first_step; });
  return static_cast<std::size_t>(behind - chunks.begin()) - 1;
}
bool TraceReader::recovered() const { return state_->recovered; }

Result<TraceReader> TraceReader::open(const std::string& path, const TraceReaderOptions& options) {
  auto state = std::make_unique<State>();
  state->path = path;
  KVPLACE_ASSIGN(file, open_seekable(path));
  state->file = std::move(file);
  KVPLACE_ASSIGN(size, file_size(state->file.get(), path));
  state->size = size;
  KVPLACE_TRY(state->read_head());
  Status footer = state->read_footer();
  if (!footer) {
    if (!options.recover) {
      return tl::unexpected(footer.error());
    }
    KVPLACE_TRY(state->scan_chunks());
  }
  KVPLACE_TRY(state->check_totals());
  state->ledger = std::make_unique<BirthLedger>(state->meta, state->totals, state->chunks.size());
  if (state->recovered && state->meta.has_tokens) {
    KVPLACE_TRY(state->find_tokens());
  }
  if (state->recovered && state->meta.layout.served != nullptr) {
    return bad_input(path + ": is the trace of a served batch cut off in the middle; merge it anew");
  }
  state->path = options.name.empty() ? path : options.name;
  return TraceReader(std::move(state));
}

namespace {

std::optional<std::size_t> decompress(std::span<const std::byte> stored, std::span<std::byte> payload) {
  const std::size_t got = ZSTD_decompress(payload.data(), payload.size(), stored.data(), stored.size());
  return ZSTD_isError(got) != 0 || got != payload.size() ? std::nullopt : std::optional(got);
}

struct FreeDecompressor {
  void operator()(ZSTD_DCtx* decompressor) const { ZSTD_freeDCtx(decompressor); }
};

/// Only the part of the payload that those parts are decoded from.
std::optional<std::size_t> decompress_front(std::span<const std::byte> stored, std::span<std::byte> payload,
                                            const TraceMeta& meta, ChunkParts parts) {
  const std::unique_ptr<ZSTD_DCtx, FreeDecompressor> decompressor(ZSTD_createDCtx());
  const std::size_t header_bytes = ChunkDecoder::header_bytes(meta);
  if (decompressor == nullptr || payload.size() < header_bytes) {
    return std::nullopt;
  }
  ZSTD_inBuffer in{stored.data(), stored.size(), 0};
  ZSTD_outBuffer out{payload.data(), 0, 0};
  const auto fill_to = [&](std::size_t size) {
    out.size = size;
    while (out.pos < size) {
      const std::size_t before = in.pos + out.pos;
      if (ZSTD_isError(ZSTD_decompressStream(decompressor.get(), &out, &in)) != 0 || in.pos + out.pos == before) {
        return false;
      }
    }
    return true;
  };
  if (!fill_to(header_bytes)) {
    return std::nullopt;
  }
  const std::size_t needed = ChunkDecoder::bytes_of(parts, meta, payload.first(header_bytes));
  if (needed > payload.size() || !fill_to(needed)) {
    return std::nullopt;
  }
  return needed;
}

}  // namespace

Result<Segment> TraceReader::State::decode(std::size_t index, ChunkParts parts, std::span<LayerBirths> births) const {
  const kvt::ChunkPlace& place = chunks[index];
  const auto damaged = [&](const std::string& why) {
    return bad_input(path + ": chunk " + std::to_string(index) + " (decode steps " + std::to_string(place.first_step) +
                     " to " + std::to_string(place.first_step + place.num_steps - 1) + "): " + why +
                     "; the file is damaged, make it anew");
  };
  const Result<kvt::ChunkHeader> header = chunk_header(place.offset);
  if (!header) {
    return damaged(header.error().message);
  }
  if (header->first_step != place.first_step || header->num_steps != place.num_steps ||
      header->num_reads != place.num_reads || header->blocks_per_layer > totals.blocks_per_layer) {
    return damaged("its header contradicts the index");
  }
  // Not filled with zeros first.
  const auto stored_bytes = std::make_unique_for_overwrite<std::byte[]>(header->stored_bytes);
  const std::span<std::byte> stored(stored_bytes.get(), header->stored_bytes);
  KVPLACE_TRY(read_exactly_at(file.get(), place.offset + kvt::kChunkHeaderBytes, stored, path));
  if (kvt::chunk_checksum(*header, stored) != header->checksum) {
    return damaged("it does not match its checksum");
  }
  const auto payload_bytes = std::make_unique_for_overwrite<std::byte[]>(header->payload_bytes);
  const std::span<std::byte> whole(payload_bytes.get(), header->payload_bytes);
  const std::optional<std::size_t> got =
      ChunkDecoder::reads_all(meta, parts) ? decompress(stored, whole) : decompress_front(stored, whole, meta, parts);
  if (!got) {
    return damaged("it does not decompress");
  }
  const std::span<const std::byte> payload = whole.first(*got);
  ChunkLimits limits;
  limits.first_step = header->first_step;
  limits.num_steps = header->num_steps;
  limits.blocks_per_layer = header->blocks_per_layer;
  limits.num_reads = header->num_reads;
  Result<Segment> segment = ChunkDecoder::decode(meta, limits, payload, parts, births);
  if (!segment) {
    return damaged(segment.error().message);
  }
  const std::vector<StepTokens>& tokens = segment->step_tokens();
  if (totals.step_tokens != nullptr &&
      !std::equal(tokens.begin(), tokens.end(), totals.step_tokens->begin() + place.first_step)) {
    return damaged("its tokens contradict the index");
  }
  return segment;
}

/// Of a file whose index is missing: they are in the chunks as well.
Status TraceReader::State::find_tokens() {
  auto all = std::make_shared<std::vector<StepTokens>>();
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    std::vector<LayerBirths> births = ledger->before(i);
    KVPLACE_ASSIGN(segment, decode(i, ChunkParts::kWithoutRankings, births));
    all->insert(all->end(), segment.step_tokens().begin(), segment.step_tokens().end());
  }
  totals.step_tokens = std::move(all);
  return {};
}

Error TraceReader::State::unborn(const UnbornUse& use) const {
  std::vector<LayerBirths> births = ledger->before(use.chunk);
  Result<Segment> segment = decode(use.chunk, ChunkParts::kAll, births);
  if (!segment) {
    return segment.error();
  }
  std::uint32_t step = segment->first_step();
  const auto uses_it = [&](std::span<const BlockId> ids) {
    return std::find(ids.begin(), ids.end(), use.block) != ids.end();
  };
  while (step + 1 < segment->end_step() && !uses_it(segment->view(step, use.layer).reads) &&
         !uses_it(segment->view(step, use.layer).ranking)) {
    ++step;
  }
  const char* how = uses_it(segment->view(step, use.layer).reads) ? "read" : "ranked";
  return {ErrorKind::kBadInput, path + ": decode step " + std::to_string(step) + ", layer " +
                                    std::to_string(use.layer) + ": block " + std::to_string(use.block.value()) +
                                    " is " + how + " before it exists (neither in the prompt nor appended so far); " +
                                    "the file is damaged, make it anew"};
}

Result<Segment> TraceReader::chunk(std::size_t index, ChunkParts parts) const {
  std::vector<LayerBirths> births = state_->ledger->before(index);
  KVPLACE_ASSIGN(segment, state_->decode(index, parts, births));
  if (const std::optional<UnbornUse> use = state_->ledger->add(index, births)) {
    return tl::unexpected(state_->unborn(*use));
  }
  return segment;
}

Status TraceReader::verify_digest() const {
  kvt::Digest digest(state_->meta);
  for (std::size_t i = 0; i < num_chunks(); ++i) {
    KVPLACE_ASSIGN(segment, chunk(i));
    for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
        digest.add(segment.view(step, layer));
      }
    }
  }
  if (!state_->recovered && kvt::to_hex(digest.value()) != state_->totals.digest) {
    return bad_input(state_->path + ": its contents do not match their digest; the file is damaged, make it anew");
  }
  return {};
}

}  // namespace kvplace
