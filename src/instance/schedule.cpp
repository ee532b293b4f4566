#include "kvplace/instance/schedule.h"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "kvplace/base/parse.h"
#include "trace/byte_order.h"
#include "trace/kvt_format.h"
#include "trace/varint.h"

namespace kvplace {
namespace {

constexpr std::string_view kMagic{"\x89KVS\r\n\x1a\n", 8};
constexpr std::uint32_t kVersion = 2;
/// Knows one migration rule, so that its head names none, and promotions are sets.
constexpr std::uint32_t kVersionOfSets = 1;
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr std::uint64_t kMostPieceBytes = std::uint64_t{1} << 28;
constexpr std::size_t kPieceHeaderBytes = 3 * sizeof(std::uint64_t);

void put_set(std::vector<std::uint8_t>& out, std::span<const BlockIndex> blocks, std::vector<BlockIndex>& scratch) {
  scratch.assign(blocks.begin(), blocks.end());
  std::sort(scratch.begin(), scratch.end());
  put_varint(out, scratch.size());
  std::uint32_t next = 0;
  for (const BlockIndex block : scratch) {
    put_varint(out, block.value() - next);
    next = block.value() + 1;
  }
}

/// In the order given.
void put_list(std::vector<std::uint8_t>& out, std::span<const BlockIndex> blocks) {
  put_varint(out, blocks.size());
  std::int64_t next = 0;
  for (const BlockIndex block : blocks) {
    put_varint(out, zigzag(std::int64_t{block.value()} - next));
    next = std::int64_t{block.value()} + 1;
  }
}

bool get_list(VarintReader& in, std::uint32_t num_blocks, std::vector<BlockIndex>& out) {
  const std::uint64_t count = in.next();
  if (count > num_blocks) {  // some would come twice
    return false;
  }
  std::uint64_t next = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    next += static_cast<std::uint64_t>(unzigzag(in.next()));  // wraps around to what is no block
    if (!in.ok() || next >= num_blocks) {
      return false;
    }
    out.emplace_back(static_cast<std::uint32_t>(next++));
  }
  return in.ok();
}

bool get_set(VarintReader& in, std::uint32_t num_blocks, std::vector<BlockIndex>& out) {
  const std::uint64_t count = in.next();
  std::uint64_t next = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    next += in.next();
    if (!in.ok() || next >= num_blocks) {
      return false;
    }
    out.emplace_back(static_cast<std::uint32_t>(next++));
  }
  return in.ok();
}

}  // namespace

ScheduleMeta schedule_meta(const Instance& instance, std::string trace_digest, std::string made_by) {
  return {std::move(trace_digest), instance.layers(),         instance.steps(),  instance.blocks_per_layer(),
          instance.options().mode, instance.options().copies, std::move(made_by)};
}

struct ScheduleWriter::State {
  State(OutputFile the_file, const ScheduleMeta& the_meta) : file(std::move(the_file)), meta(the_meta) {}

  Status flush() {
    std::vector<std::byte> stored(ZSTD_compressBound(piece.size()));
    const std::size_t size = ZSTD_compress(stored.data(), stored.size(), piece.data(), piece.size(), 3);
    if (ZSTD_isError(size) != 0) {
      return failed(file.path() + ": compression failed: " + ZSTD_getErrorName(size));
    }
    stored.resize(size);
    std::array<std::byte, kPieceHeaderBytes> header{};
    store_little_endian(header.data(), std::uint64_t{piece.size()});
    store_little_endian(header.data() + 8, std::uint64_t{size});
    store_little_endian(header.data() + 16, kvt::checksum(stored));
    KVPLACE_TRY(file.write(header));
    piece.clear();
    return file.write(stored);
  }

  OutputFile file;
  ScheduleMeta meta;
  std::uint64_t steps_added = 0;  // (decode step, layer) pairs
  std::vector<std::uint8_t> piece;
  std::vector<BlockIndex> scratch;
};

ScheduleWriter::ScheduleWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
ScheduleWriter::ScheduleWriter(ScheduleWriter&&) noexcept = default;
ScheduleWriter::~ScheduleWriter() = default;

Result<ScheduleWriter> ScheduleWriter::create(const std::string& path, const ScheduleMeta& meta) {
  KVPLACE_ASSIGN(file, OutputFile::create(path));
  const nlohmann::ordered_json json = {{"trace_digest", meta.trace_digest},
                                       {"layers", meta.layers},
                                       {"steps", meta.steps},
                                       {"blocks_per_layer", meta.blocks_per_layer},
                                       {"mode", to_text(meta.mode)},
                                       {"copies", to_text(meta.copies)},
                                       {"made_by", meta.made_by}};
  const std::string text = json.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
  std::vector<std::byte> head(kMagic.size() + 8);
  std::memcpy(head.data(), kMagic.data(), kMagic.size());
  store_little_endian(head.data() + 8, kVersion);
  store_little_endian(head.data() + 12, static_cast<std::uint32_t>(text.size()));
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  head.insert(head.end(), bytes.begin(), bytes.end());
  const std::uint64_t sum = kvt::checksum(head);
  head.resize(head.size() + sizeof sum);
  store_little_endian(head.data() + head.size() - sizeof sum, sum);
  KVPLACE_TRY(file.write(head));
  return ScheduleWriter(std::make_unique<State>(std::move(file), meta));
}

Status ScheduleWriter::start(std::span<const BlockIndex> initial_near) {
  put_set(state_->piece, initial_near, state_->scratch);
  return {};
}

Status ScheduleWriter::add(std::span<const BlockIndex> promote, std::span<const BlockIndex> evict) {
  State& s = *state_;
  s.scratch.assign(promote.begin(), promote.end());
  if (s.meta.copies == Copies::kStep) {
    std::sort(s.scratch.begin(), s.scratch.end());
  }
  put_list(s.piece, s.scratch);
  put_set(s.piece, evict, s.scratch);
  ++s.steps_added;
  return s.piece.size() >= kPieceBytes ? s.flush() : Status();
}

Status ScheduleWriter::finish() {
  State& s = *state_;
  if (s.steps_added != std::uint64_t{s.meta.steps} * s.meta.layers) {
    return failed(s.file.path() + ": the schedule is incomplete");
  }
  KVPLACE_TRY(s.flush());
  return s.file.commit();
}

struct ScheduleReader::State {
  Status read_head();
  Status read_piece();

  std::string path;
  FileHandle file;
  std::uint32_t version = 0;
  std::uint64_t offset = 0;
  ScheduleMeta meta;
  std::vector<BlockIndex> initial_near;
  std::vector<std::byte> piece;
  VarintReader in{nullptr, nullptr};
};

Status ScheduleReader::State::read_head() {
  std::vector<std::byte> head(kMagic.size() + 8);
  const auto not_a_schedule = [this] { return rejected(path + ": is not a .kvs schedule, or its head is damaged"); };
  if (!read_exactly_at(file.get(), 0, head, path) || std::memcmp(head.data(), kMagic.data(), kMagic.size()) != 0) {
    return not_a_schedule();
  }
  version = load_little_endian<std::uint32_t>(head.data() + 8);
  if (version != kVersion && version != kVersionOfSets) {
    return rejected(path + ": is of .kvs version " + std::to_string(version) + ", this program reads versions " +
                    std::to_string(kVersionOfSets) + " and " + std::to_string(kVersion));
  }
  const auto length = load_little_endian<std::uint32_t>(head.data() + 12);
  if (length > kvt::kMostMetadataBytes) {
    return not_a_schedule();
  }
  const std::size_t body = head.size() + length;
  head.resize(body + 8);
  if (!read_exactly_at(file.get(), 0, head, path) ||
      load_little_endian<std::uint64_t>(head.data() + body) != kvt::checksum(std::span(head).first(body))) {
    return not_a_schedule();
  }
  const auto* text = reinterpret_cast<const char*>(head.data()) + kMagic.size() + 8;
  const auto json = nlohmann::ordered_json::parse(text, text + length, nullptr, false);
  const auto number = [&](const char* key, std::uint32_t& out) {
    const bool good = json.is_object() && json.contains(key) && json[key].is_number_unsigned();
    out = good ? json[key].get<std::uint32_t>() : 0;
    return good;
  };
  const auto string = [&](const char* key, std::string& out) {
    const bool good = json.is_object() && json.contains(key) && json[key].is_string();
    out = good ? json[key].get<std::string>() : std::string();
    return good;
  };
  std::string mode;
  std::string copies = to_text(Copies::kStep);
  if (!number("layers", meta.layers) || !number("steps", meta.steps) ||
      !number("blocks_per_layer", meta.blocks_per_layer) || !string("trace_digest", meta.trace_digest) ||
      !string("mode", mode) || !string("made_by", meta.made_by) ||
      (version != kVersionOfSets && !string("copies", copies)) ||
      std::uint64_t{meta.layers} * meta.blocks_per_layer > 0xffffffffu) {
    return not_a_schedule();
  }
  if (mode != to_text(Mode::kInclusive) && mode != to_text(Mode::kExclusive)) {
    return rejected(path + ": its mode " + in_quotes(mode) + " is neither inclusive nor exclusive");
  }
  meta.mode = mode == to_text(Mode::kExclusive) ? Mode::kExclusive : Mode::kInclusive;
  if (copies != to_text(Copies::kStep) && copies != to_text(Copies::kBackground)) {
    return rejected(path + ": its migration rule " + in_quotes(copies) + " is neither step nor background");
  }
  meta.copies = copies == to_text(Copies::kBackground) ? Copies::kBackground : Copies::kStep;
  offset = head.size();
  return {};
}

Status ScheduleReader::State::read_piece() {
  const auto damaged = [this] { return rejected(path + ": is cut off or damaged at byte " + std::to_string(offset)); };
  std::array<std::byte, kPieceHeaderBytes> header{};
  if (!read_exactly_at(file.get(), offset, header, path)) {
    return damaged();
  }
  const auto size = load_little_endian<std::uint64_t>(header.data());
  const auto stored_size = load_little_endian<std::uint64_t>(header.data() + 8);
  KVPLACE_ASSIGN(whole, file_size(file.get(), path));
  if (size > kMostPieceBytes || stored_size > whole - std::min(whole, offset)) {
    return damaged();
  }
  std::vector<std::byte> stored(stored_size);
  if (!read_exactly_at(file.get(), offset + header.size(), stored, path) ||
      kvt::checksum(stored) != load_little_endian<std::uint64_t>(header.data() + 16)) {
    return damaged();
  }
  piece.resize(size);
  const std::size_t got = ZSTD_decompress(piece.data(), piece.size(), stored.data(), stored.size());
  if (ZSTD_isError(got) != 0 || got != size) {
    return damaged();
  }
  offset += header.size() + stored_size;
  const auto* begin = reinterpret_cast<const std::uint8_t*>(piece.data());
  in = VarintReader(begin, begin + piece.size());
  return {};
}

ScheduleReader::ScheduleReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
ScheduleReader::ScheduleReader(ScheduleReader&&) noexcept = default;
ScheduleReader::~ScheduleReader() = default;

const ScheduleMeta& ScheduleReader::meta() const { return state_->meta; }
const std::vector<BlockIndex>& ScheduleReader::initial_near() const { return state_->initial_near; }

Result<ScheduleReader> ScheduleReader::open(const std::string& path) {
  auto state = std::make_unique<State>();
  state->path = path;
  KVPLACE_ASSIGN(file, open_seekable(path));
  state->file = std::move(file);
  KVPLACE_TRY(state->read_head());
  KVPLACE_TRY(state->read_piece());
  if (!get_set(state->in, state->meta.layers * state->meta.blocks_per_layer, state->initial_near)) {
    return rejected(path + ": its initial placement is damaged");
  }
  return ScheduleReader(std::move(state));
}

Status ScheduleReader::next(std::vector<BlockIndex>& promote, std::vector<BlockIndex>& evict) {
  State& s = *state_;
  if (s.in.at_end()) {
    KVPLACE_TRY(s.read_piece());
  }
  const std::uint32_t num_blocks = s.meta.layers * s.meta.blocks_per_layer;
  const bool promotions =
      s.version == kVersionOfSets ? get_set(s.in, num_blocks, promote) : get_list(s.in, num_blocks, promote);
  if (!promotions || !get_set(s.in, num_blocks, evict)) {
    return rejected(s.path + ": a step of it is damaged");
  }
  return {};
}

Status ScheduleReader::finish() const {
  const State& s = *state_;
  KVPLACE_ASSIGN(size, file_size(s.file.get(), s.path));
  return s.in.at_end() && s.offset == size ? Status() : rejected(s.path + ": goes on after its last step");
}

}  // namespace kvplace
