#include "trace/chunk_codec.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "trace/byte_order.h"
#include "trace/dispatch/bitmap_kernel.h"
#include "trace/kvt_format.h"
#include "trace/ranking_decoder.h"
#include "trace/symmetric_difference.h"
#include "trace/varint.h"

namespace kvplace {
namespace {

/// Streams in their order; that of tokens, which not all traces have, comes first, so that the front of a payload is
/// without rankings.
struct Streams {
  explicit Streams(const TraceMeta& meta) : before_reads(meta.has_tokens ? 1 : 0) {}

  std::size_t before_reads;
  [[nodiscard]] std::size_t reads() const { return before_reads; }
  [[nodiscard]] std::size_t appended() const { return before_reads + 1; }
  [[nodiscard]] std::size_t ranking() const { return before_reads + 2; }
  [[nodiscard]] std::size_t read_bytes() const { return before_reads + 3; }
  [[nodiscard]] std::size_t count() const { return before_reads + 4; }
};

/// Returns how many bytes were added.
std::size_t put_gaps(std::vector<std::uint8_t>& out, std::span<const std::uint32_t> ascending) {
  constexpr std::size_t kMostBytes = 5;  // of a gap
  const std::size_t begin = out.size();
  out.resize(begin + kMostBytes * ascending.size());
  std::uint8_t* at = out.data() + begin;
  std::uint32_t next = 0;
  for (const std::uint32_t id : ascending) {
    std::uint32_t gap = id - next;
    next = id + 1;
    for (; gap >= 1u << 14; gap >>= 7) {
      *at++ = static_cast<std::uint8_t>(gap | 0x80);
    }
    // One byte or two without a branch: which cannot be guessed.
    const auto is_long = static_cast<std::uint32_t>(gap >= 0x80);
    at[0] = static_cast<std::uint8_t>(gap | is_long << 7);
    at[1] = static_cast<std::uint8_t>(gap >> 7);
    at += 1 + is_long;
  }
  out.resize(static_cast<std::size_t>(at - out.data()));
  return out.size() - begin;
}

}  // namespace

ChunkEncoder::ChunkEncoder(const TraceMeta& meta)
    : has_ranking_(meta.has_ranking),
      has_read_bytes_(meta.has_read_bytes),
      has_tokens_(meta.has_tokens),
      previous_reads_(meta.layers),
      previous_rank_(meta.layers),
      previous_ranking_(meta.layers) {}

void ChunkEncoder::add(const StepView& record) {
  add_reads(record);
  add_appended(record);
  if (has_ranking_) {
    add_ranking(record);
  }
  if (has_read_bytes_) {
    for (std::size_t i = 0; i < record.reads.size(); ++i) {
      put_varint(read_bytes_, record.read_bytes.empty() ? 0 : record.read_bytes[i]);
    }
  }
  if (has_tokens_) {
    if (record.layer.value() == 0) {
      put_varint(tokens_, record.tokens.verified);
      put_varint(tokens_, record.tokens.decoded);
    }
    for (const std::uint32_t written : record.written_tokens) {
      put_varint(tokens_, written);
    }
  }
  num_reads_ += record.reads.size();
}

void ChunkEncoder::add_reads(const StepView& record) {
  std::vector<BlockId>& previous = previous_reads_[record.layer.value()];
  toggled_.resize(previous.size() + record.reads.size());
  toggled_.resize(symmetric_difference(previous, record.reads, toggled_.data()));
  previous.assign(record.reads.begin(), record.reads.end());

  const std::size_t words = toggled_.empty() ? 0 : toggled_.back() / 64 + 1;
  const std::size_t map_size = words * sizeof(std::uint64_t);
  const std::size_t begin = reads_.size();
  put_varint(reads_, std::uint64_t{toggled_.size()} << 1);
  if (put_gaps(reads_, toggled_) > map_size) {
    reads_.resize(begin);
    put_varint(reads_, words << 1 | 1);
    const std::size_t map = reads_.size();
    reads_.resize(map + map_size, 0);
    for (const std::uint32_t id : toggled_) {
      // Little-endian words: bit i of the map is bit i % 8 of byte i / 8.
      reads_[map + id / 8] = static_cast<std::uint8_t>(reads_[map + id / 8] | 1u << id % 8);
    }
  }
}

void ChunkEncoder::add_appended(const StepView& record) {
  put_varint(appended_, record.appended.size());
  std::uint32_t base = previous_appended_;
  for (const BlockId id : record.appended) {
    put_varint(appended_, zigzag(std::int64_t{id.value()} - base));
    base = id.value();
  }
  if (!record.appended.empty()) {
    previous_appended_ = record.appended.front().value();
  }
}

void ChunkEncoder::add_ranking(const StepView& record) {
  std::vector<std::uint32_t>& rank_of = previous_rank_[record.layer.value()];
  std::vector<BlockId>& previous = previous_ranking_[record.layer.value()];
  put_varint(ranking_, record.ranking.size());
  for (std::size_t rank = 0; rank < record.ranking.size(); ++rank) {
    const std::uint32_t id = record.ranking[rank].value();
    if (id >= rank_of.size()) {
      rank_of.resize(std::size_t{id} + id / 2 + 1, 0);
    }
    if (rank_of[id] == 0) {
      put_varint(ranking_, 0);
      put_varint(ranking_, id);
    } else {
      put_varint(ranking_, zigzag(static_cast<std::int64_t>(rank_of[id] - 1) - static_cast<std::int64_t>(rank)) + 1);
    }
  }
  for (const BlockId id : previous) {
    rank_of[id.value()] = 0;
  }
  previous.assign(record.ranking.begin(), record.ranking.end());
  for (std::size_t rank = 0; rank < previous.size(); ++rank) {
    rank_of[previous[rank].value()] = static_cast<std::uint32_t>(rank) + 1;
  }
}

std::size_t ChunkEncoder::payload_bytes() const {
  const std::size_t streams = tokens_.size() + reads_.size() + appended_.size() + ranking_.size() + read_bytes_.size();
  return (has_tokens_ ? 5 : 4) * sizeof(std::uint64_t) + streams;
}

std::vector<std::byte> ChunkEncoder::take() {
  std::vector<std::byte> payload(payload_bytes());
  std::vector<std::vector<std::uint8_t>*> streams{&reads_, &appended_, &ranking_, &read_bytes_};
  if (has_tokens_) {
    streams.insert(streams.begin(), &tokens_);
  }
  std::size_t at = streams.size() * sizeof(std::uint64_t);
  std::size_t header = 0;
  for (std::vector<std::uint8_t>* stream : streams) {
    store_little_endian(payload.data() + header, std::uint64_t{stream->size()});
    if (!stream->empty()) {
      std::memcpy(payload.data() + at, stream->data(), stream->size());
    }
    header += sizeof(std::uint64_t);
    at += stream->size();
    stream->clear();
  }
  num_reads_ = 0;
  previous_appended_ = 0;
  for (std::size_t layer = 0; layer < previous_reads_.size(); ++layer) {
    previous_reads_[layer].clear();
    previous_rank_[layer].clear();
    previous_ranking_[layer].clear();
  }
  return payload;
}

namespace {

/// One layer's read set as a bitmap, from which ascending ids are extracted.
struct ReadSet {
  std::vector<std::uint64_t> words;
  std::size_t used_words = 0;
  std::uint64_t count = 0;

  void toggle(std::uint32_t id) {
    std::uint64_t& word = words[id / 64];
    // Without a branch: whether an id enters or leaves cannot be predicted.
    count += 1 - 2 * (word >> (id % 64) & 1);
    word ^= std::uint64_t{1} << (id % 64);
    used_words = std::max<std::size_t>(used_words, id / 64 + 1);
  }

  void toggle_word(std::size_t index, std::uint64_t toggles) {
    count -= static_cast<std::uint64_t>(std::popcount(words[index]));
    words[index] ^= toggles;
    count += static_cast<std::uint64_t>(std::popcount(words[index]));
    used_words = std::max(used_words, index + 1);
  }
};

/// Applies one record's changes; false if they are damaged.
bool update_reads(VarintReader& in, std::uint32_t num_blocks, ReadSet& set, LayerBirths& births) {
  const std::uint64_t control = in.next();
  const std::uint64_t count = control >> 1;
  if ((control & 1) != 0) {
    if (count > set.words.size()) {
      return false;
    }
    const std::uint8_t* words = in.take(count * sizeof(std::uint64_t));
    if (words == nullptr) {
      return false;
    }
    for (std::size_t w = 0; w < count; ++w) {
      const auto toggles = load_little_endian<std::uint64_t>(words + w * sizeof(std::uint64_t));
      set.toggle_word(w, toggles);
      births.use_word(w, toggles);
    }
    // Bits past the last block would become ids that do not exist.
    return num_blocks % 64 == 0 || count < set.words.size() || (set.words[count - 1] >> (num_blocks % 64)) == 0;
  }
  std::uint64_t next = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    next += in.next_short();
    if (next >= num_blocks || !in.ok()) {
      return false;
    }
    set.toggle(static_cast<std::uint32_t>(next));
    births.use(static_cast<std::uint32_t>(next));
    ++next;
  }
  return in.ok();
}

/// Experts are not appended to.
bool decode_appended(VarintReader& in, std::uint32_t num_experts, std::uint32_t num_blocks,
                     std::uint32_t& previous_first, std::vector<BlockId>& out, LayerBirths& births) {
  const std::uint64_t count = in.next();
  std::int64_t base = previous_first;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::int64_t id = base + unzigzag(in.next());
    if (!in.ok() || id < num_experts || id >= num_blocks || (i > 0 && id <= base)) {
      return false;
    }
    births.append(BlockId(static_cast<std::uint32_t>(id)));
    if (i == 0) {
      previous_first = static_cast<std::uint32_t>(id);
    }
    out.emplace_back(static_cast<std::uint32_t>(id));
    base = id;
  }
  return in.ok();
}

bool decode_step_tokens(VarintReader& in, std::vector<StepTokens>& out) {
  const std::uint64_t verified = in.next();
  const std::uint64_t decoded = in.next();
  if (!in.ok() || verified > kvt::kMostStepTokens || decoded == 0 || decoded > verified) {
    return false;
  }
  out.push_back({static_cast<std::uint32_t>(decoded), static_cast<std::uint32_t>(verified)});
  return true;
}

}  // namespace

std::size_t ChunkDecoder::bytes_of(ChunkParts parts, const TraceMeta& meta, std::span<const std::byte> header) {
  std::size_t bytes = header_bytes(meta);
  const Streams order(meta);
  const std::size_t num_streams = reads_all(meta, parts) ? order.count() : order.ranking();
  for (std::size_t i = 0; i < num_streams; ++i) {
    const auto size = load_little_endian<std::uint64_t>(header.data() + i * sizeof(std::uint64_t));
    bytes =
        size < std::numeric_limits<std::size_t>::max() - bytes ? bytes + size : std::numeric_limits<std::size_t>::max();
  }
  return bytes;
}

Result<Segment> ChunkDecoder::decode(const TraceMeta& meta, const ChunkLimits& limits,
                                     std::span<const std::byte> payload, ChunkParts parts,
                                     std::span<LayerBirths> births) {
  const auto damaged = [](const char* what) { return bad_input(std::string("the chunk's ") + what + " are damaged"); };
  const std::size_t header_size = header_bytes(meta);
  const Streams order(meta);
  if (payload.size() < header_size) {
    return damaged("lengths");
  }
  constexpr std::uint64_t kLeastRecordBytes = 2;  // one for the reads, one for the appended blocks
  if (std::uint64_t{limits.num_steps} * meta.layers * kLeastRecordBytes > payload.size()) {
    return damaged("counts");
  }
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(payload.data());
  const std::uint8_t* at = bytes + header_size;
  const std::uint8_t* const end = bytes + payload.size();
  std::vector<VarintReader> streams;
  for (std::size_t i = 0; i < order.count(); ++i) {
    const bool read = i < order.ranking() || reads_all(meta, parts);
    const auto size = read ? load_little_endian<std::uint64_t>(bytes + i * sizeof(std::uint64_t)) : 0;
    if (size > static_cast<std::uint64_t>(end - at)) {
      return damaged("lengths");
    }
    streams.emplace_back(at, at + size);
    at += size;
  }
  VarintReader& tokens_in = streams.front();  // if there are any
  VarintReader& reads_in = streams[order.reads()];
  VarintReader& appended_in = streams[order.appended()];
  VarintReader& ranking_in = streams[order.ranking()];
  VarintReader& read_bytes_in = streams[order.read_bytes()];

  const std::uint32_t num_blocks = limits.blocks_per_layer;
  std::vector<ReadSet> sets(meta.layers);
  for (ReadSet& set : sets) {
    set.words.resize((std::size_t{num_blocks} + 63) / 64);
  }
  const bool with_rankings = meta.has_ranking && parts == ChunkParts::kAll;
  std::vector<RankingPlace> previous_ranking(meta.layers);
  const RankingKernel kernel = ranking_kernel();
  const BitmapKernel places = bitmap_kernel();
  std::uint32_t previous_appended = 0;

  Segment segment(StepIndex(limits.first_step), meta.layers);
  segment.reads_.resize(limits.num_reads + kBitmapSpill);
  segment.begin_.reserve(std::size_t{limits.num_steps} * meta.layers + 1);
  BlockId* out = segment.reads_.data();
  BlockId* const out_end = out + limits.num_reads;
  if (with_rankings) {
    segment.ranking_.reserve(ranking_in.left());  // each takes a byte or more
  }
  for (std::uint32_t step = 0; step < limits.num_steps; ++step) {
    if (meta.has_tokens && !decode_step_tokens(tokens_in, segment.step_tokens_)) {
      return damaged("tokens");
    }
    for (std::uint32_t layer = 0; layer < meta.layers; ++layer) {
      ReadSet& set = sets[layer];
      // The appended blocks come first: they exist in the step already.
      if (!decode_appended(appended_in, meta.layout.experts, num_blocks, previous_appended, segment.appended_,
                           births[layer])) {
        return damaged("appended blocks");
      }
      while (meta.has_tokens && segment.written_tokens_.size() < segment.appended_.size()) {
        const std::uint64_t written = tokens_in.next();
        if (written == 0 || written > segment.step_tokens_.back().verified) {
          return damaged("tokens");
        }
        segment.written_tokens_.push_back(static_cast<std::uint32_t>(written));
      }
      if (!update_reads(reads_in, num_blocks, set, births[layer]) ||
          set.count > static_cast<std::uint64_t>(out_end - out)) {
        return damaged("reads");
      }
      BlockId* const begin = out;
      out = places(set.words.data(), set.used_words, out);
      if (with_rankings) {
        const std::size_t ranked = segment.ranking_.size();
        if (!decode_ranking(ranking_in, num_blocks, kernel, previous_ranking[layer], segment.ranking_)) {
          return damaged("rankings");
        }
        for (std::size_t i = ranked; i < segment.ranking_.size(); ++i) {
          births[layer].use(segment.ranking_[i].value());
        }
      }
      if (meta.has_read_bytes) {
        for (const BlockId* read = begin; read != out; ++read) {
          const std::uint64_t size = read_bytes_in.next();
          if (size > 0xffffffffu) {
            return damaged("read sizes");
          }
          segment.read_bytes_.push_back(static_cast<std::uint32_t>(size));
        }
      }
      segment.begin_.push_back(
          {static_cast<std::size_t>(out - segment.reads_.data()), segment.appended_.size(), segment.ranking_.size()});
    }
  }
  for (const VarintReader& stream : streams) {
    const bool skipped = &stream == &ranking_in && meta.has_ranking && !with_rankings;
    if (!skipped && (!stream.ok() || !stream.at_end())) {
      return damaged("lengths");
    }
  }
  if (out != out_end) {
    return damaged("counts");
  }
  segment.reads_.resize(limits.num_reads);
  if (meta.layout.served != nullptr && !follows(*meta.layout.served, segment)) {
    return bad_input("it does not follow the table of requests");
  }
  return segment;
}

bool ChunkDecoder::follows(const ServedRequests& served, Segment& segment) {
  if (segment.end_step() > served.steps()) {
    return false;
  }
  std::vector<BlockId> appended;
  std::vector<std::uint32_t> written;
  for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
    served.appended(step, appended, written);
    const auto running = static_cast<std::uint32_t>(served.running(step).size());
    segment.step_tokens_.push_back({running, running});
    for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
      const Segment::Offsets& from =
          segment.begin_[std::size_t{step - segment.first_step()} * segment.layers() + layer];
      const Segment::Offsets& to = (&from)[1];
      const auto ids = [](const std::vector<BlockId>& all, std::size_t begin, std::size_t end) {
        return std::span(all).subspan(begin, end - begin);
      };
      const std::span<const BlockId> given = ids(segment.appended_, from.appended, to.appended);
      if (!std::equal(given.begin(), given.end(), appended.begin(), appended.end()) ||
          served.first_unreadable(step, ids(segment.reads_, from.reads, to.reads))) {
        return false;
      }
      segment.written_tokens_.insert(segment.written_tokens_.end(), written.begin(), written.end());
    }
  }
  return true;
}

}  // namespace kvplace
