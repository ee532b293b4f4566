// Writing traces: record by record, from arrays, from foreign files, from other traces.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/errors.h"
#include "bindings/run.h"
#include "kvplace/base/measure.h"
#include "kvplace/base/parse.h"
#include "kvplace/generate/import_requests.h"
#include "kvplace/generate/merge.h"
#include "kvplace/trace/formats.h"
#include "kvplace/trace/slice.h"
#include "kvplace/trace/writer.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace kvplace::python {
namespace {

/// Of a served batch, by request: tokens of its prompt, first decode step, end.
using RequestRows = std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>>;

using Ids = nb::ndarray<const std::uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

std::span<const BlockId> blocks_of(const Ids& ids) {
  return {reinterpret_cast<const BlockId*>(ids.data()), ids.size()};
}

/// A writer that is gone once the trace is finished or given up.
class Writer {
 public:
  Writer(const std::string& path, const TraceMeta& meta, const TraceWriterOptions& options)
      : writer_(unwrap(TraceWriter::create(path, meta, options))) {}

  void add(std::uint32_t step, std::uint32_t layer, const Ids& reads, const Ids& appended, const Ids& ranking,
           const Ids& read_bytes, std::uint32_t decoded, std::uint32_t verified, const Ids& written_tokens) {
    StepView record;
    record.step = StepIndex(step);
    record.layer = LayerIndex(layer);
    record.reads = blocks_of(reads);
    record.appended = blocks_of(appended);
    record.ranking = blocks_of(ranking);
    record.read_bytes = {read_bytes.data(), read_bytes.size()};
    record.tokens = {decoded, verified};
    record.written_tokens = {written_tokens.data(), written_tokens.size()};
    unwrap(open().add(record));
  }

  /// Blocks of a request's pages.
  NumpyArray<std::uint32_t> ids_of(std::uint32_t request, const Ids& pages) {
    const BlockLayout& layout = open().meta().layout;
    if (request >= layout.requests) {
      throw ErrorException({ErrorKind::kBadInput, "there is no request " + std::to_string(request) +
                                                      "; the trace has " + std::to_string(layout.requests)});
    }
    std::vector<std::uint32_t> ids;
    for (std::size_t i = 0; i < pages.size(); ++i) {
      const std::uint32_t page = pages.data()[i];
      if (layout.served != nullptr && page >= layout.served->blocks_of(request).size()) {
        throw ErrorException({ErrorKind::kBadInput, "request " + std::to_string(request) + " has no page " +
                                                        std::to_string(page) + " by its end"});
      }
      ids.push_back(layout.page_block(page, request).value());
    }
    const std::size_t count = ids.size();
    return to_numpy(std::move(ids), {count});
  }

  void set_measurements(const std::map<std::string, double>& measurements) {
    unwrap(open().set_measurements(measurements));
  }
  void set_prompt_experts(const std::vector<std::vector<std::uint32_t>>& prompt_experts) {
    unwrap(open().set_prompt_experts(prompt_experts));
  }
  nb::tuple keep_partial() {
    const PartialTrace kept = unwrap(open().keep_partial());
    writer_.reset();
    return nb::make_tuple(kept.path, kept.steps);
  }
  void finish() {
    static_cast<void>(unwrap(open().finish()));
    writer_.reset();
  }
  void discard() { writer_.reset(); }

 private:
  TraceWriter& open() {
    if (!writer_) {
      throw ErrorException({ErrorKind::kBadInput, "the trace is finished or was given up; nothing can be added to it"});
    }
    return *writer_;
  }

  std::optional<TraceWriter> writer_;
};

TraceMeta meta_of(std::uint32_t layers, std::uint32_t prompt_tokens, std::uint32_t block_tokens, std::uint32_t requests,
                  const std::optional<RequestRows>& table, std::uint32_t experts, bool ranking, bool read_bytes,
                  bool tokens, std::optional<std::int64_t> block_bytes, const std::string& model,
                  const std::string& selection, const std::string& source,
                  const std::map<std::string, double>& measurements) {
  TraceMeta meta;
  meta.layers = layers;
  meta.layout = {experts, requests, block_tokens, prompt_tokens};
  if (table) {
    std::vector<ServedRequest> served;
    for (const auto& [prompt, first, end] : *table) {
      served.push_back({prompt, first, end});
    }
    meta.layout = BlockLayout::of(unwrap(ServedRequests::make(std::move(served), block_tokens, experts, true)), experts,
                                  block_tokens);
  }
  meta.has_ranking = ranking;
  meta.has_read_bytes = read_bytes;
  meta.has_tokens = tokens;
  if (block_bytes) {
    meta.block_bytes = Bytes(*block_bytes);
  }
  meta.model = model;
  meta.selection = selection;
  meta.source = source;
  meta.measurements = measurements;
  return meta;
}

void bind_import_and_export(nb::module_& module) {
  module.def(
      "import_trace",
      [](const std::vector<std::string>& sources, const std::filesystem::path& out, const std::string& format,
         std::optional<std::uint32_t> block_tokens, std::optional<std::uint32_t> prompt_tokens,
         std::optional<std::uint32_t> prompt_rows, std::optional<std::uint32_t> experts,
         std::optional<std::uint32_t> layers, const std::string& request, const std::string& columns,
         std::optional<std::uint32_t> read, std::optional<std::string> block_bytes, const std::string& model,
         const std::string& selection, int zstd_level, const nb::object& progress, const Interrupt* interrupt) {
        if (sources.empty()) {
          throw ErrorException({ErrorKind::kBadInput, "import needs at least one file"});
        }
        const FormatRegistry& formats = FormatRegistry::instance();
        const Format* importer = unwrap(format.empty() ? formats.recognise(sources.front()) : formats.find(format));
        if (importer->import_trace == nullptr) {
          throw ErrorException({ErrorKind::kBadInput, "format " + importer->name + " can be exported, not imported"});
        }
        ImportOptions options;
        options.block_tokens = block_tokens;
        options.prompt_tokens = prompt_tokens;
        options.prompt_rows = prompt_rows;
        options.experts = experts;
        options.layers = layers;
        options.request = request;
        options.columns = columns;
        options.read_k = read;
        if (block_bytes) {
          options.block_bytes = unwrap(parse_bytes_of("block_bytes", *block_bytes));
        }
        options.model = model;
        options.selection = selection;
        options.writer.zstd_level = zstd_level;
        static_cast<void>(run({1, progress, interrupt}, [&](const RunContext& context) {
          return import_requests(*importer, sources, out.string(), options, context);
        }));
      },
      "sources"_a, "out"_a, "format"_a, "block_tokens"_a.none(), "prompt_tokens"_a.none(), "prompt_rows"_a.none(),
      "experts"_a.none(), "layers"_a.none(), "request"_a, "columns"_a, "read"_a.none(), "block_bytes"_a.none(),
      "model"_a, "selection"_a, "zstd_level"_a, "progress"_a.none(), "interrupt"_a.none());
  module.def(
      "merge",
      [](const std::vector<std::string>& traces, const std::filesystem::path& out, const std::string& arrivals,
         std::optional<std::uint32_t> requests, std::uint32_t slots, std::optional<std::uint64_t> kv_tokens,
         const std::string& step_time, std::uint64_t seed, int zstd_level, const nb::object& progress,
         const Interrupt* interrupt) {
        MergeOptions options;
        options.arrivals = unwrap(parse_arrivals(arrivals));
        options.requests = requests;
        options.slots = slots;
        options.kv_tokens = kv_tokens;
        options.step_time = unwrap(parse_seconds(step_time));
        options.seed = seed;
        options.writer.zstd_level = zstd_level;
        static_cast<void>(run({1, progress, interrupt}, [&](const RunContext& context) {
          return merge_traces(traces, out.string(), options, context);
        }));
      },
      "traces"_a, "out"_a, "arrivals"_a, "requests"_a.none(), "slots"_a, "kv_tokens"_a.none(), "step_time"_a, "seed"_a,
      "zstd_level"_a, "progress"_a.none(), "interrupt"_a.none());
  module.def(
      "export_trace",
      [](const TraceReader& trace, const std::filesystem::path& out, const std::string& format, bool ranking,
         const nb::object& progress, const Interrupt* interrupt) {
        const Format* exporter = unwrap(FormatRegistry::instance().find(format));
        if (exporter->export_trace == nullptr) {
          throw ErrorException({ErrorKind::kBadInput, "format " + exporter->name + " can be imported, not exported"});
        }
        run({1, progress, interrupt},
            [&](const RunContext& context) { return exporter->export_trace(trace, out.string(), {ranking}, context); });
      },
      "trace"_a, "out"_a, "format"_a, "ranking"_a, "progress"_a.none(), "interrupt"_a.none());
}

}  // namespace

void bind_trace_writer(nb::module_& module) {
  nb::class_<Writer>(module, "Writer")
      .def(
          "__init__",
          [](Writer* self, const std::filesystem::path& path, std::uint32_t layers, std::uint32_t prompt_tokens,
             std::uint32_t block_tokens, std::uint32_t requests, const std::optional<RequestRows>& table,
             std::uint32_t experts, bool ranking, bool read_bytes, bool tokens, std::optional<std::int64_t> block_bytes,
             const std::string& model, const std::string& selection, const std::string& source,
             const std::map<std::string, double>& measurements, std::uint32_t measurement_room, int zstd_level,
             std::size_t chunk_bytes) {
            TraceWriterOptions options;
            options.zstd_level = zstd_level;
            options.chunk_bytes = chunk_bytes;
            options.measurement_room = measurement_room;
            new (self) Writer(path.string(),
                              meta_of(layers, prompt_tokens, block_tokens, requests, table, experts, ranking,
                                      read_bytes, tokens, block_bytes, model, selection, source, measurements),
                              options);
          },
          "path"_a, "layers"_a, "prompt_tokens"_a, "block_tokens"_a, "requests"_a, "table"_a.none(), "experts"_a,
          "ranking"_a, "read_bytes"_a, "tokens"_a, "block_bytes"_a.none(), "model"_a, "selection"_a, "source"_a,
          "measurements"_a, "measurement_room"_a, "zstd_level"_a, "chunk_bytes"_a)
      .def("add", &Writer::add, "step"_a, "layer"_a, "reads"_a, "appended"_a, "ranking"_a, "read_bytes"_a, "decoded"_a,
           "verified"_a, "written_tokens"_a)
      .def("ids_of", &Writer::ids_of, "request"_a, "pages"_a)
      .def("set_measurements", &Writer::set_measurements, "measurements"_a)
      .def("keep_partial", &Writer::keep_partial)
      .def("set_prompt_experts", &Writer::set_prompt_experts)
      .def("finish", &Writer::finish)
      .def("discard", &Writer::discard);
  bind_import_and_export(module);
  module.def(
      "slice_trace",
      [](const TraceReader& trace, const std::filesystem::path& out, std::uint32_t first_step, std::uint32_t end_step,
         std::uint32_t first_layer, std::uint32_t end_layer, const nb::object& progress, const Interrupt* interrupt) {
        SliceOptions options;
        options.steps = {first_step, end_step};
        options.layers = {first_layer, end_layer};
        static_cast<void>(run({1, progress, interrupt}, [&](const RunContext& context) {
          return slice_trace(trace, out.string(), options, context);
        }));
      },
      "trace"_a, "out"_a, "first_step"_a, "end_step"_a, "first_layer"_a, "end_layer"_a, "progress"_a.none(),
      "interrupt"_a.none());
}

}  // namespace kvplace::python
