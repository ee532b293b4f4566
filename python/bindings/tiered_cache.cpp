// The KV cache in two memories, as kvplace.TieredCache drives it: one call per layer and decode step.
#include "kvplace/runtime/tiered_cache.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/errors.h"
#include "kvplace/base/measure.h"
#include "kvplace/base/parse.h"
#include "kvplace/hardware/hardware.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace kvplace::python {
namespace {

using Floats = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;

std::span<const float> span_of(const Floats& array) { return {array.data(), array.size()}; }

[[noreturn]] void refuse(const std::string& message) { throw ErrorException({ErrorKind::kBadInput, message}); }

KvType type_of(const std::string& name) {
  const std::map<std::string, KvType> types{
      {"float32", KvType::kFloat32}, {"bfloat16", KvType::kBfloat16}, {"float16", KvType::kFloat16}};
  const auto found = types.find(name);
  return found != types.end() ? found->second
                              : (refuse("KV is kept in float32, bfloat16 or float16, not in " + name), KvType());
}

/// Where nothing was measured: near memory as one thread reads it; far memory at its pace, or as a local disk.
Hardware assumed_hardware(const std::string& far) {
  constexpr double kNear = 15e9;
  constexpr double kDisk = 1e9;
  constexpr std::string_view kPaced = "paced:";
  BytesPerSecond rate(kDisk);
  if (far.rfind(kPaced, 0) == 0) {
    const Result<BytesPerSecond> paced = parse_bandwidth(far.substr(kPaced.size(), far.find(',') - kPaced.size()));
    rate = paced ? *paced : rate;
  }
  Hardware hardware;
  hardware.name = "assumed";
  hardware.near.capacity = hardware.far.capacity = Bytes(std::int64_t{1} << 50);
  hardware.near.bandwidth.spec = BytesPerSecond(kNear);
  hardware.far.bandwidth.spec = hardware.far.link_read.spec = hardware.far.link_write.spec = rate;
  return hardware;
}

struct PyCache {
  TieredCache cache;
  std::uint32_t layers = 0;
  std::uint32_t requests = 0;
  AttentionShape shape;
  bool quest = false;
  Bytes near_pages;
};

PyCache make_cache(std::uint32_t layers, std::uint32_t requests, std::uint32_t most_tokens, std::uint32_t query_heads,
                   std::uint32_t kv_heads, std::uint32_t head_dim, std::uint32_t page_tokens, const std::string& dtype,
                   float scale, const std::string& near_capacity, const std::string& far, const std::string& mode,
                   const std::string& copies, const std::string& policy, const std::optional<std::string>& hardware,
                   std::uint64_t seed, bool quest, unsigned threads) {
  TieredCacheOptions options;
  options.shape = {query_heads, kv_heads, head_dim, page_tokens, type_of(dtype)};
  unwrap(check(options.shape));
  options.layers = layers;
  options.requests = requests;
  options.most_tokens = most_tokens;
  options.scale = scale;
  options.seed = seed;
  options.quest = quest;
  options.threads = threads;
  InstanceOptions words;
  for (const auto& [key, text] : {std::pair{"mode", mode}, std::pair{"copies", copies}}) {
    for (const Field<InstanceOptions>& field : option_fields()) {
      if (field.key == key) {
        unwrap(field.set(words, text));
      }
    }
  }
  options.mode = words.mode;
  options.copies = words.copies;
  options.policy = unwrap(PolicyRegistry::instance().parse(policy));
  options.hardware = hardware ? unwrap(load_hardware(*hardware)) : assumed_hardware(far);
  constexpr std::uint32_t kLargestAlignment = 4096;
  const Bytes far_bytes = TieredCache::far_capacity(options, kLargestAlignment);
  MemoryPtr memory = unwrap(make_memory(far, far_bytes));
  Result<Bytes> pages =
      TieredCache::pages_within(options, unwrap(parse_bytes_of("near_capacity", near_capacity)), memory->alignment());
  if (!pages) {
    refuse("near_capacity: " + pages.error().message);
  }
  options.near_pages_capacity = *pages;
  return {unwrap(TieredCache::make(options, std::move(memory))),
          layers,
          requests,
          options.shape,
          quest,
          options.near_pages_capacity};
}

/// A decode step of a layer: a token of each request, the pages that its query reads, attention over them.
std::pair<NumpyArray<float>, std::vector<NumpyArray<std::uint32_t>>> decode(PyCache& self, std::uint32_t layer,
                                                                            const Floats& keys, const Floats& values,
                                                                            const Floats& queries, std::uint32_t window,
                                                                            std::size_t pages,
                                                                            const std::optional<Floats>& sinks) {
  const LayerIndex l(layer);
  const std::size_t of_key = std::size_t{self.shape.kv_heads} * self.shape.head_dim;
  const std::size_t of_query = std::size_t{self.shape.query_heads} * self.shape.head_dim;
  if (layer >= self.layers || keys.size() != self.requests * of_key || values.size() != keys.size() ||
      queries.size() != self.requests * of_query) {
    refuse(
        "a decode step has a token of each request: keys and values [requests][kv_heads][head_dim], queries "
        "[requests][query_heads][head_dim]");
  }
  std::vector<float> out(self.requests * of_query);
  std::vector<std::vector<std::uint32_t>> read(self.requests);
  Status status;
  {
    const nb::gil_scoped_release released;
    std::vector<RequestStep> steps;
    for (std::uint32_t r = 0; r < self.requests && status; ++r) {
      status = self.cache.append(l, r, span_of(keys).subspan(r * of_key, of_key),
                                 span_of(values).subspan(r * of_key, of_key));
      const std::span<const float> query = span_of(queries).subspan(r * of_query, of_query);
      const bool selects = self.quest && pages > 0 && window == 0;
      if (status) {
        read[r] = selects ? self.cache.select_quest(l, r, query, pages) : self.cache.select_all(l, r, window);
        steps.push_back({r, query, read[r], window});
      }
    }
    if (status) {
      status = self.cache.attend(l, steps, sinks ? span_of(*sinks) : std::span<const float>(), out);
    }
  }
  unwrap(status);
  std::vector<NumpyArray<std::uint32_t>> selected;
  for (std::vector<std::uint32_t>& of_request : read) {
    const std::size_t count = of_request.size();
    selected.push_back(to_numpy(std::move(of_request), {count}));
  }
  return {to_numpy(std::move(out), {self.requests, self.shape.query_heads, self.shape.head_dim}), std::move(selected)};
}

nb::dict statistics(const PyCache& self) {
  const CacheStatistics s = self.cache.statistics();
  const ReplayResult predicted = self.cache.predicted();
  nb::dict out;
  out["steps"] = s.steps;
  out["near_reads"] = s.near_reads;
  out["far_reads"] = s.far_reads;
  out["pages_from_far"] = s.traffic.from_far();
  out["pages_to_far"] = s.traffic.to_far();
  out["placing_s"] = s.placing.value();
  out["computing_s"] = s.computing.value();
  out["waiting_s"] = s.waiting.value();
  out["near_bytes"] = s.near_bytes.value();
  out["page_bytes"] = self.shape.page_bytes().value();
  out["near_pages"] = self.near_pages.value() / self.shape.page_bytes().value();
  out["predicted_s"] = predicted.total.value();
  out["notes"] = self.cache.notes();
  return out;
}

}  // namespace

void bind_tiered_cache(nb::module_& module) {
  nb::class_<PyCache>(module, "TieredCache")
      .def(
          "__init__",
          [](PyCache* self, std::uint32_t layers, std::uint32_t requests, std::uint32_t most_tokens,
             std::uint32_t query_heads, std::uint32_t kv_heads, std::uint32_t head_dim, std::uint32_t page_tokens,
             const std::string& dtype, float scale, const std::string& near_capacity, const std::string& far,
             const std::string& mode, const std::string& copies, const std::string& policy,
             const std::optional<std::string>& hardware, std::uint64_t seed, bool quest, unsigned threads) {
            new (self)
                PyCache(make_cache(layers, requests, most_tokens, query_heads, kv_heads, head_dim, page_tokens, dtype,
                                   scale, near_capacity, far, mode, copies, policy, hardware, seed, quest, threads));
          },
          nb::kw_only(), "layers"_a, "requests"_a, "most_tokens"_a, "query_heads"_a, "kv_heads"_a, "head_dim"_a,
          "page_tokens"_a, "dtype"_a, "scale"_a, "near_capacity"_a, "far"_a, "mode"_a, "copies"_a, "policy"_a,
          "hardware"_a.none(), "seed"_a, "quest"_a, "threads"_a)
      .def(
          "append",
          [](PyCache& self, std::uint32_t layer, std::uint32_t request, const Floats& keys, const Floats& values) {
            Status status;
            {
              const nb::gil_scoped_release released;
              status = self.cache.append(LayerIndex(layer), request, span_of(keys), span_of(values));
            }
            unwrap(status);
          },
          "layer"_a, "request"_a, "keys"_a, "values"_a)
      .def(
          "place",
          [](PyCache& self, std::uint32_t layer) {
            Status status;
            {
              const nb::gil_scoped_release released;
              status = self.cache.attend(LayerIndex(layer), {}, {}, {});
            }
            unwrap(status);
          },
          "layer"_a)
      .def(
          "read",
          [](PyCache& self, std::uint32_t layer, std::uint32_t request) {
            const std::size_t tokens = self.cache.num_tokens(LayerIndex(layer), request);
            const std::size_t size = tokens * self.shape.kv_heads * self.shape.head_dim;
            std::vector<float> keys(size);
            std::vector<float> values(size);
            Status status;
            {
              const nb::gil_scoped_release released;
              status = self.cache.read(LayerIndex(layer), request, keys, values);
            }
            unwrap(status);
            return std::pair(to_numpy(std::move(keys), {tokens, self.shape.kv_heads, self.shape.head_dim}),
                             to_numpy(std::move(values), {tokens, self.shape.kv_heads, self.shape.head_dim}));
          },
          "layer"_a, "request"_a)
      .def("decode", &decode, "layer"_a, "keys"_a, "values"_a, "queries"_a, "window"_a, "pages"_a, "sinks"_a.none())
      .def("num_tokens", [](const PyCache& self, std::uint32_t layer,
                            std::uint32_t request) { return self.cache.num_tokens(LayerIndex(layer), request); })
      .def("statistics", &statistics);
}

}  // namespace kvplace::python
