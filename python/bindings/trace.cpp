// Reading traces: metadata, records as views, statistics.
#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <tuple>

#include "bindings/arrays.h"
#include "bindings/errors.h"
#include "bindings/run.h"
#include "kvplace/simulate/report.h"
#include "kvplace/trace/reader.h"
#include "kvplace/trace/statistics.h"
#include "tables.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace kvplace::python {
namespace {

/// Decoded decode steps, shared by the records that look into them.
struct Chunk {
  std::shared_ptr<const Segment> segment;
};

struct Record {
  std::shared_ptr<const Segment> segment;
  StepView view;
};

Record record_of(const Chunk& chunk, std::uint32_t step, std::uint32_t layer) {
  const Segment& segment = *chunk.segment;
  if (step < segment.first_step() || step >= segment.end_step() || layer >= segment.layers()) {
    throw nb::index_error("no such decode step or layer in this chunk");
  }
  return {chunk.segment, segment.view(step, layer)};
}

void bind_records(nb::module_& module) {
  nb::class_<Record>(module, "Record", "One layer of one decode step. Arrays are read-only views, uint32.")
      .def_prop_ro(
          "step", [](const Record& r) { return r.view.step.value(); }, "Decode step, from 0.")
      .def_prop_ro(
          "layer", [](const Record& r) { return r.view.layer.value(); }, "Layer, from 0.")
      .def_prop_ro(
          "reads", [](nb::handle_t<Record> self) { return view_of(nb::cast<Record&>(self).view.reads, self); },
          "Ids of the blocks read, ascending; [reads].")
      .def_prop_ro(
          "appended", [](nb::handle_t<Record> self) { return view_of(nb::cast<Record&>(self).view.appended, self); },
          "Ids of the blocks written to, ascending.")
      .def_prop_ro(
          "ranking", [](nb::handle_t<Record> self) { return view_of(nb::cast<Record&>(self).view.ranking, self); },
          "The selector's candidates, best first; empty if the trace has no rankings.")
      .def_prop_ro(
          "read_bytes",
          [](nb::handle_t<Record> self) { return view_of(nb::cast<Record&>(self).view.read_bytes, self); },
          "Bytes of each read, 0 for the whole block; empty if the trace does not say.")
      .def_prop_ro(
          "tokens", [](const Record& r) { return r.view.tokens.decoded; },
          "Tokens that the decode step adds to the text; 1 without speculative decoding.")
      .def_prop_ro(
          "verified", [](const Record& r) { return r.view.tokens.verified; },
          "Tokens that the decode step reads and computes for.")
      .def_prop_ro(
          "written_tokens",
          [](nb::handle_t<Record> self) { return view_of(nb::cast<Record&>(self).view.written_tokens, self); },
          "Tokens written to each block of `appended`; empty if it is one in each.")
      .def("__repr__", [](const Record& r) {
        return "<Record step " + std::to_string(r.view.step.value()) + ", layer " +
               std::to_string(r.view.layer.value()) + ": " + std::to_string(r.view.reads.size()) + " reads>";
      });
  nb::class_<Chunk>(module, "Chunk", "Consecutive whole decode steps, decoded.")
      .def_prop_ro("first_step", [](const Chunk& c) { return c.segment->first_step(); })
      .def_prop_ro("end_step", [](const Chunk& c) { return c.segment->end_step(); })
      .def("record", &record_of, "step"_a, "layer"_a);
}

void bind_reader(nb::module_& module) {
  nb::class_<TraceReader>(module, "Trace")
      .def(
          "__init__",
          [](TraceReader* self, const std::filesystem::path& path, bool recover) {
            new (self) TraceReader(unwrap(TraceReader::open(path.string(), {recover})));
          },
          "path"_a, nb::kw_only(), "recover"_a = false)
      .def_prop_ro("path", [](const TraceReader& t) { return std::filesystem::path(t.path()); })
      .def_prop_ro(
          "layers", [](const TraceReader& t) { return t.meta().layers; }, "Layers of every decode step.")
      .def_prop_ro(
          "steps", [](const TraceReader& t) { return t.totals().steps; }, "Decode steps.")
      .def_prop_ro(
          "prompt_tokens", [](const TraceReader& t) { return t.meta().layout.prompt_tokens; },
          "Tokens of each request before the first decode step.")
      .def_prop_ro(
          "block_tokens", [](const TraceReader& t) { return t.meta().layout.block_tokens; }, "Tokens of a KV page.")
      .def_prop_ro(
          "requests", [](const TraceReader& t) { return t.meta().layout.requests; }, "Requests in the trace.")
      .def_prop_ro(
          "experts", [](const TraceReader& t) { return t.meta().layout.experts; }, "Expert blocks per layer.")
      .def_prop_ro(
          "first_layer", [](const TraceReader& t) { return t.meta().first_layer; },
          "Layer of the model that is layer 0 of the trace.")
      .def_prop_ro(
          "prompt_experts", [](const TraceReader& t) { return t.meta().prompt_experts; },
          "Experts that the prompt used, by layer, the last used last; empty if the source did not say.")
      .def_prop_ro(
          "expert_bytes",
          [](const TraceReader& t) {
            std::vector<std::int64_t> sizes;
            for (const Bytes size : t.meta().expert_bytes) {
              sizes.push_back(size.value());
            }
            return sizes;
          },
          "Bytes of an expert, by layer; empty if the trace does not say.")
      .def_prop_ro(
          "block_bytes",
          [](const TraceReader& t) -> std::optional<std::int64_t> {
            return t.meta().block_bytes ? std::optional(t.meta().block_bytes->value()) : std::nullopt;
          },
          "Bytes of a KV page, or None if the trace does not say.")
      .def_prop_ro(
          "blocks_per_layer", [](const TraceReader& t) { return t.totals().blocks_per_layer; },
          "Blocks per layer at the end, prompt included.")
      .def_prop_ro(
          "num_reads", [](const TraceReader& t) { return t.totals().reads; }, "Reads in all.")
      .def_prop_ro(
          "has_ranking", [](const TraceReader& t) { return t.meta().has_ranking; }, "Whether records hold rankings.")
      .def_prop_ro(
          "has_read_bytes", [](const TraceReader& t) { return t.meta().has_read_bytes; },
          "Whether records hold bytes per read.")
      .def_prop_ro(
          "has_tokens", [](const TraceReader& t) { return t.meta().has_tokens; },
          "Whether decode steps may be of several tokens.")
      .def_prop_ro(
          "tokens", [](const TraceReader& t) { return t.totals().tokens(); }, "Tokens decoded by all decode steps.")
      .def_prop_ro(
          "verified_per_step", [](const TraceReader& t) { return t.totals().verified_per_step(); },
          "Tokens that a decode step reads and computes for, mean.")
      .def_prop_ro(
          "model", [](const TraceReader& t) { return t.meta().model; }, "Name of a model preset, or ''.")
      .def_prop_ro(
          "selection", [](const TraceReader& t) { return t.meta().selection; }, "How blocks were selected, in words.")
      .def_prop_ro(
          "source", [](const TraceReader& t) { return t.meta().source; }, "Where it came from, in words.")
      .def_prop_ro(
          "measurements", [](const TraceReader& t) { return t.meta().measurements; },
          "What was measured where the trace was made, by name.")
      .def(
          "verify_digest",
          [](const TraceReader& t) {
            const nb::gil_scoped_release released;
            unwrap(t.verify_digest());
          },
          "Compares all contents with the digest; raises BadInput if they differ.")
      .def_prop_ro(
          "digest", [](const TraceReader& t) { return t.totals().digest; },
          "Digest of the contents, 32 hex digits; '' if recovered.")
      .def_prop_ro(
          "recovered", [](const TraceReader& t) { return t.recovered(); },
          "True if read with recover=True from a truncated file.")
      .def_prop_ro("num_chunks", &TraceReader::num_chunks)
      .def(
          "chunk_of",
          [](const TraceReader& t, std::uint32_t step) {
            if (step >= t.totals().steps) {
              throw nb::index_error("no such decode step");
            }
            return t.chunk_of(StepIndex(step));
          },
          "step"_a, "The chunk that holds a decode step.")
      .def(
          "chunk",
          [](const TraceReader& t, std::size_t index) {
            if (index >= t.num_chunks()) {
              throw nb::index_error("no such chunk");
            }
            const nb::gil_scoped_release released;
            return Chunk{std::make_shared<const Segment>(unwrap(t.chunk(index)))};
          },
          "index"_a, "Decodes one chunk.");
}

}  // namespace

void bind_trace(nb::module_& module) {
  bind_records(module);
  bind_reader(module);
  module.def(
      "info",
      [](const TraceReader& trace, unsigned threads, const nb::object& progress, const Interrupt* interrupt) {
        const TraceStatistics statistics = run({threads, progress, interrupt}, [&](const RunContext& context) {
          return compute_statistics(trace, context);
        });
        return std::make_tuple(to_json(statistics, trace), cli::table(statistics, trace));
      },
      "trace"_a, "threads"_a, "progress"_a.none(), "interrupt"_a.none(), "JSON and table of the statistics.");
}

}  // namespace kvplace::python
