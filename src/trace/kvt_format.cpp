#include "trace/kvt_format.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "kvplace/base/parse.h"
#include "trace/byte_order.h"

namespace kvplace::kvt {
namespace {

// The digest is defined over little-endian words and computed on memory as it lies.
static_assert(std::endian::native == std::endian::little);

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMostBlockBytes = std::int64_t{1} << 40;
constexpr const char* kNeedsTokens = "tokens";
constexpr const char* kNeedsRequests = "requests";

Result<std::uint32_t> number_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number_unsigned() || found->get<std::uint64_t>() > 0xffffffffu) {
    return bad_input(std::string("metadata: ") + key + " is missing or no number of 0 to 2^32 - 1");
  }
  return found->get<std::uint32_t>();
}

std::string text_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// What of version 2 the trace makes use of.
struct Needs {
  bool tokens = false;
  bool requests = false;
};

Result<Needs> needs_of(const Json& json) {
  Needs needs;
  const auto found = json.find("needs");
  for (const Json& need : found == json.end() ? Json::array() : *found) {
    if (need != kNeedsTokens && need != kNeedsRequests) {
      return bad_input("it needs " + need.dump() + ", which this program does not know: read it with a newer one");
    }
    (need == kNeedsTokens ? needs.tokens : needs.requests) = true;
  }
  return needs;
}

Json table_of(const ServedRequests& served) {
  Json table{{"prompt_tokens", Json::array()}, {"first_step", Json::array()}, {"end_step", Json::array()}};
  for (const ServedRequest& request : served.all()) {
    table["prompt_tokens"].push_back(request.prompt_tokens);
    table["first_step"].push_back(request.first_step);
    table["end_step"].push_back(request.end_step);
  }
  table["has_pages"] = served.has_pages();
  return table;
}

/// One number for each request.
Result<std::vector<std::uint32_t>> column_of(const Json& table, const char* key, std::uint32_t requests) {
  const auto column = table.find(key);
  if (column == table.end() || !column->is_array() || column->size() != requests) {
    return bad_input("metadata: request_table needs a list " + in_quotes(key) + " of one number per request");
  }
  std::vector<std::uint32_t> numbers;
  for (const Json& number : *column) {
    if (!number.is_number_unsigned() || number.get<std::uint64_t>() > 0xffffffffu) {
      return bad_input("metadata: request_table: numbers in " + in_quotes(key) + " must be 0 to 2^32 - 1");
    }
    numbers.push_back(number.get<std::uint32_t>());
  }
  return numbers;
}

bool flag_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_boolean() && found->get<bool>();
}

Result<std::vector<std::vector<std::uint32_t>>> lists_of(const Json& json) {
  const auto wrong = [] { return bad_input("metadata: prompt_experts is no list of lists of experts"); };
  if (!json.is_array()) {
    return wrong();
  }
  std::vector<std::vector<std::uint32_t>> lists;
  for (const Json& list : json) {
    if (!list.is_array()) {
      return wrong();
    }
    lists.emplace_back();
    for (const Json& id : list) {
      if (!id.is_number_unsigned() || id.get<std::uint64_t>() > 0xffffffffu) {
        return wrong();
      }
      lists.back().push_back(id.get<std::uint32_t>());
    }
  }
  return lists;
}

/// The layout with the table in place of what is alike.
Status take_requests(const Json& json, BlockLayout& layout) {
  const auto table = json.find("request_table");
  if (table == json.end() || !table->is_object()) {
    return bad_input("metadata: request_table is missing");
  }
  KVPLACE_ASSIGN(prompts, column_of(*table, "prompt_tokens", layout.requests));
  KVPLACE_ASSIGN(first, column_of(*table, "first_step", layout.requests));
  KVPLACE_ASSIGN(end, column_of(*table, "end_step", layout.requests));
  std::vector<ServedRequest> requests;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    requests.push_back({prompts[i], first[i], end[i]});
  }
  auto made =
      ServedRequests::make(std::move(requests), layout.block_tokens, layout.experts, flag_of(*table, "has_pages"));
  if (!made) {
    return bad_input("metadata: request_table: " + made.error().message);
  }
  BlockLayout served = BlockLayout::of(std::move(*made), layout.experts, layout.block_tokens);
  if (served.prompt_tokens != layout.prompt_tokens) {
    return bad_input("metadata: prompt_tokens is not that of the longest prompt in request_table");
  }
  layout = std::move(served);
  return {};
}

Status out_of_range(const std::string& what, std::uint64_t most) {
  return bad_input("metadata: " + what + " must be 1 to " + std::to_string(most));
}

Status check_layout(const BlockLayout& layout) {
  if (layout.block_tokens == 0 || layout.block_tokens > kMostBlocksPerLayer) {
    return out_of_range("block_tokens", kMostBlocksPerLayer);
  }
  if (layout.requests == 0 || layout.requests > kMostBlocksPerLayer) {
    return out_of_range("requests", kMostBlocksPerLayer);
  }
  return {};
}

/// One list for each layer, of experts that there are, each once.
Status check_prompt_experts(const TraceMeta& meta) {
  if (meta.prompt_experts.empty()) {
    return {};
  }
  std::size_t count = 0;
  for (std::vector<std::uint32_t> list : meta.prompt_experts) {
    count += list.size();
    std::sort(list.begin(), list.end());
    if (std::adjacent_find(list.begin(), list.end()) != list.end() ||
        (!list.empty() && list.back() >= meta.layout.experts)) {
      return bad_input("metadata: prompt_experts must be experts that there are, each once");
    }
  }
  if (meta.prompt_experts.size() != meta.layers || count > kMostPromptExperts) {
    return bad_input("metadata: prompt_experts has " + std::to_string(meta.prompt_experts.size()) + " lists of " +
                     std::to_string(count) + " experts; one per layer and at most " +
                     std::to_string(kMostPromptExperts) + " in all are needed");
  }
  return {};
}

}  // namespace

std::array<std::byte, kChunkHeaderBytes> ChunkHeader::encode() const {
  std::array<std::byte, kChunkHeaderBytes> bytes{};
  std::byte* at = bytes.data();
  const auto put = [&at](auto value) {
    store_little_endian(at, value);
    at += sizeof value;
  };
  put(kChunkMagic);
  put(first_step);
  put(num_steps);
  put(blocks_per_layer);
  put(num_reads);
  put(payload_bytes);
  put(stored_bytes);
  put(checksum);
  return bytes;
}

Result<ChunkHeader> ChunkHeader::decode(std::span<const std::byte> bytes) {
  const std::byte* at = bytes.data();
  const auto get = [&at]<class T>(T& value) {
    value = load_little_endian<T>(at);
    at += sizeof value;
  };
  std::uint32_t magic = 0;
  ChunkHeader header;
  get(magic);
  get(header.first_step);
  get(header.num_steps);
  get(header.blocks_per_layer);
  get(header.num_reads);
  get(header.payload_bytes);
  get(header.stored_bytes);
  get(header.checksum);
  if (magic != kChunkMagic) {
    return bad_input("no chunk begins here");
  }
  if (header.payload_bytes > kMostChunkBytes || header.stored_bytes > kMostChunkBytes ||
      header.num_reads > kMostChunkReads || header.blocks_per_layer > kMostBlocksPerLayer || header.num_steps == 0 ||
      header.num_steps > header.payload_bytes) {
    return bad_input("the chunk's header is damaged");
  }
  return header;
}

std::uint64_t checksum(std::span<const std::byte> bytes) { return XXH64(bytes.data(), bytes.size(), 0); }

std::uint64_t chunk_checksum(const ChunkHeader& header, std::span<const std::byte> stored) {
  const auto bytes = header.encode();
  const std::uint64_t of_header = XXH64(bytes.data(), bytes.size() - sizeof header.checksum, 0);
  return XXH64(stored.data(), stored.size(), of_header);
}

std::uint32_t version_of(const TraceMeta& meta) {
  return meta.has_tokens || meta.layout.served != nullptr ? kVersion : kOldestVersion;
}

std::string meta_to_json(const TraceMeta& meta) {
  Json json;
  if (meta.has_tokens) {
    json["needs"] = {kNeedsTokens};
  } else if (meta.layout.served != nullptr) {
    json["needs"] = {kNeedsRequests};
  }
  json["layers"] = meta.layers;
  json["prompt_tokens"] = meta.layout.prompt_tokens;
  json["block_tokens"] = meta.layout.block_tokens;
  json["requests"] = meta.layout.requests;
  if (meta.layout.served != nullptr) {
    json["request_table"] = table_of(*meta.layout.served);
  }
  json["experts"] = meta.layout.experts;
  json["block_bytes"] = meta.block_bytes ? Json(meta.block_bytes->value()) : Json(nullptr);
  if (meta.first_layer > 0) {
    json["first_layer"] = meta.first_layer;
  }
  if (!meta.expert_bytes.empty()) {
    json["expert_bytes"] = Json::array();
    for (const Bytes size : meta.expert_bytes) {
      json["expert_bytes"].push_back(size.value());
    }
  }
  if (!meta.prompt_experts.empty()) {
    json["prompt_experts"] = meta.prompt_experts;
  }
  json["has_ranking"] = meta.has_ranking;
  json["has_read_bytes"] = meta.has_read_bytes;
  json["model"] = meta.model;
  json["selection"] = meta.selection;
  json["source"] = meta.source;
  if (!meta.measurements.empty()) {
    json["measurements"] = meta.measurements;
  }
  return json.dump(-1, ' ', true, Json::error_handler_t::replace);
}

Result<TraceMeta> meta_from_json(std::string_view text, std::uint32_t version) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) {
    return bad_input("metadata is no JSON object");
  }
  TraceMeta meta;
  Needs needs;
  if (version > kOldestVersion) {
    KVPLACE_ASSIGN(named, needs_of(json));
    needs = named;
  }
  meta.has_tokens = needs.tokens;
  KVPLACE_ASSIGN(layers, number_of(json, "layers"));
  KVPLACE_ASSIGN(prompt_tokens, number_of(json, "prompt_tokens"));
  KVPLACE_ASSIGN(block_tokens, number_of(json, "block_tokens"));
  KVPLACE_ASSIGN(requests, number_of(json, "requests"));
  KVPLACE_ASSIGN(experts, number_of(json, "experts"));
  meta.layers = layers;
  meta.layout = {experts, requests, block_tokens, prompt_tokens};
  if (needs.requests) {
    KVPLACE_TRY(check_layout(meta.layout));
    KVPLACE_TRY(take_requests(json, meta.layout));
  }
  const auto block_bytes = json.find("block_bytes");
  if (block_bytes != json.end() && block_bytes->is_number_unsigned()) {
    meta.block_bytes = Bytes(block_bytes->get<std::int64_t>());
  }
  if (json.contains("first_layer")) {
    KVPLACE_ASSIGN(first_layer, number_of(json, "first_layer"));
    meta.first_layer = first_layer;
  }
  if (const auto sizes = json.find("expert_bytes"); sizes != json.end() && sizes->is_array()) {
    for (const Json& size : *sizes) {
      meta.expert_bytes.emplace_back(size.is_number_unsigned() ? size.get<std::int64_t>() : 0);
    }
  }
  if (const auto lists = json.find("prompt_experts"); lists != json.end()) {
    KVPLACE_ASSIGN(prompt_experts, lists_of(*lists));
    meta.prompt_experts = std::move(prompt_experts);
  }
  meta.has_ranking = flag_of(json, "has_ranking");
  meta.has_read_bytes = flag_of(json, "has_read_bytes");
  meta.model = text_of(json, "model");
  meta.selection = text_of(json, "selection");
  meta.source = text_of(json, "source");
  if (const auto measurements = json.find("measurements"); measurements != json.end() && measurements->is_object()) {
    for (const auto& [name, value] : measurements->items()) {
      if (value.is_number()) {
        meta.measurements[name] = value.get<double>();
      }
    }
  }
  KVPLACE_TRY(check_meta(meta));
  return meta;
}

Status check_meta(const TraceMeta& meta) {
  const BlockLayout& layout = meta.layout;
  if (meta.layers == 0 || meta.layers > kMostLayers) {
    return out_of_range("layers", kMostLayers);
  }
  KVPLACE_TRY(check_layout(layout));
  if ((meta.has_tokens || meta.has_ranking) && layout.served != nullptr) {
    return bad_input("metadata: a table of requests goes with neither steps of several tokens nor rankings");
  }
  if (meta.first_layer > kMostLayers) {
    return bad_input("metadata: first_layer must be 0 to " + std::to_string(kMostLayers));
  }
  if (!meta.expert_bytes.empty() && meta.expert_bytes.size() != meta.layers) {
    return bad_input("metadata: expert_bytes has " + std::to_string(meta.expert_bytes.size()) +
                     " sizes, one per layer are needed");
  }
  for (const Bytes size : meta.expert_bytes) {
    if (size.value() <= 0 || size.value() > kMostBlockBytes) {
      return bad_input("metadata: sizes in expert_bytes must be 1 to 2^40");
    }
  }
  KVPLACE_TRY(check_prompt_experts(meta));
  const std::uint64_t initial = layout.served != nullptr
                                    ? layout.initial_blocks()
                                    : std::uint64_t{layout.prompt_pages()} * layout.requests + layout.experts;
  if (initial > kMostBlocksPerLayer) {
    return bad_input("metadata: " + std::to_string(initial) + " blocks per layer before the first step; at most " +
                     std::to_string(kMostBlocksPerLayer) + " are supported");
  }
  if (initial * meta.layers > kMostBlocks) {
    return bad_input("metadata: more than 2^32 - 1 blocks over all layers; split the trace by layers");
  }
  if (meta.block_bytes && (meta.block_bytes->value() <= 0 || meta.block_bytes->value() > kMostBlockBytes)) {
    return bad_input("metadata: block_bytes must be 1 to 2^40");
  }
  for (const auto& [name, value] : meta.measurements) {
    if (name.empty() || !std::isfinite(value)) {
      return bad_input("metadata: measurement " + in_quotes(name) + " needs a name and a finite value");
    }
  }
  return {};
}

void Digest::Release::operator()(void* state) const { XXH3_freeState(static_cast<XXH3_state_t*>(state)); }

Digest::Digest(const TraceMeta& meta) : has_tokens_(meta.has_tokens), state_(XXH3_createState()) {
  XXH3_128bits_reset(static_cast<XXH3_state_t*>(state_.get()));
  const std::array<std::uint32_t, 7> shape{meta.layers,
                                           meta.layout.experts,
                                           meta.layout.requests,
                                           meta.layout.block_tokens,
                                           meta.layout.prompt_tokens,
                                           meta.has_ranking ? 1u : 0u,
                                           meta.has_read_bytes ? 1u : 0u};
  add_words(shape.data(), shape.size());
  if (meta.layout.served != nullptr) {
    for (const ServedRequest& request : meta.layout.served->all()) {
      const std::array<std::uint32_t, 3> row{request.prompt_tokens, request.first_step, request.end_step};
      add_words(row.data(), row.size());
    }
  }
}

void Digest::add_words(const void* data, std::size_t count) {
  XXH3_128bits_update(static_cast<XXH3_state_t*>(state_.get()), data, count * sizeof(std::uint32_t));
}

void Digest::add(const StepView& record) {
  const std::array<std::uint32_t, 3> counts{static_cast<std::uint32_t>(record.reads.size()),
                                            static_cast<std::uint32_t>(record.appended.size()),
                                            static_cast<std::uint32_t>(record.ranking.size())};
  add_words(counts.data(), counts.size());
  add_words(record.reads.data(), record.reads.size());
  add_words(record.appended.data(), record.appended.size());
  add_words(record.ranking.data(), record.ranking.size());
  add_words(record.read_bytes.data(), record.read_bytes.size());
  if (has_tokens_) {
    const std::array<std::uint32_t, 2> tokens{record.tokens.decoded, record.tokens.verified};
    add_words(tokens.data(), record.layer.value() == 0 ? tokens.size() : 0);
    add_words(record.written_tokens.data(), record.written_tokens.size());
  }
}

std::array<std::byte, 16> Digest::value() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(static_cast<const XXH3_state_t*>(state_.get()));
  std::array<std::byte, 16> bytes{};
  store_little_endian(bytes.data(), hash.low64);
  store_little_endian(bytes.data() + 8, hash.high64);
  return bytes;
}

std::string to_hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte b : bytes) {
    text += kDigits[std::to_integer<unsigned>(b) >> 4];
    text += kDigits[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

}  // namespace kvplace::kvt
