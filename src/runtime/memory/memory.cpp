#include "kvplace/runtime/memory.h"

#include <algorithm>

#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

constexpr const char* kForms = "memories are dram, numa:N, file:PATH and paced:BANDWIDTH";

Result<PacedMemoryOptions> parse_paced(std::string_view text) {
  PacedMemoryOptions options;
  std::size_t end = std::min(text.find(','), text.size());
  KVPLACE_ASSIGN(bandwidth, parse_bandwidth(text.substr(0, end)));
  options.bandwidth = bandwidth;
  while (end < text.size()) {
    const std::string_view rest = text.substr(end + 1);
    const std::size_t size = std::min(rest.find(','), rest.size());
    const std::string_view part = rest.substr(0, size);
    const std::size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    if (equals == std::string_view::npos || (key != "latency" && key != "piece")) {
      return bad_input(in_quotes(part) + " is neither latency=TIME nor piece=TIME");
    }
    KVPLACE_ASSIGN(time, parse_seconds(part.substr(equals + 1)));
    (key == "latency" ? options.latency : options.per_piece) = time;
    end += size + 1;
  }
  return options;
}

}  // namespace

Result<MemoryPtr> make_memory(std::string_view text, Bytes capacity) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string_view kind = text.substr(0, colon);
  const std::string_view rest = text.substr(std::min(colon + 1, text.size()));
  if (text == "dram") {
    return make_dram_memory(capacity);
  }
  if (rest.empty() || (kind != "numa" && kind != "file" && kind != "paced")) {
    return bad_input(in_quotes(text) + " names no memory; " + kForms);
  }
  if (kind == "file") {
    return make_file_memory({.path = std::string(rest)}, capacity);
  }
  if (kind == "numa") {
    const Result<std::uint64_t> node = parse_count(rest);
    constexpr std::uint64_t kMostNodes = 1024;
    if (!node || *node >= kMostNodes) {
      return bad_input(in_quotes(text) + " names no node; they are numa:0, numa:1, ...");
    }
    return make_numa_memory(static_cast<std::uint32_t>(*node), capacity);
  }
  const Result<PacedMemoryOptions> paced = parse_paced(rest);
  if (!paced) {
    return bad_input(in_quotes(text) + ": " + paced.error().message);
  }
  return make_paced_memory(*paced, capacity);
}

Slots::Slots(const Memory& memory, Bytes slot, std::uint32_t most)
    : stride_(static_cast<std::uint32_t>((slot.value() + memory.alignment() - 1) / memory.alignment() *
                                         memory.alignment())),
      count_(static_cast<std::uint32_t>(std::min<std::int64_t>(
          most, memory.room().value() / (stride_ + static_cast<std::int64_t>(sizeof(std::uint32_t)))))) {
  free_.reserve(count_);
  for (std::uint32_t i = count_; i > 0; --i) {
    free_.push_back(i - 1);
  }
}

std::uint32_t Slots::take() {
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  return slot;
}

void Slots::give(std::uint32_t slot) { free_.push_back(slot); }

Bytes Slots::capacity_for(std::uint64_t slots, Bytes slot, std::uint32_t alignment, Bytes own) {
  const std::int64_t stride = (slot.value() + alignment - 1) / alignment * alignment;
  return own + Bytes(static_cast<std::int64_t>(slots) * (stride + static_cast<std::int64_t>(sizeof(std::uint32_t))));
}

}  // namespace kvplace
