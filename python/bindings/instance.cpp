// Instances: from keys and texts to the numbers of the formulation.
#include "kvplace/instance/instance.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <tuple>

#include "bindings/errors.h"
#include "kvplace/base/file_guard.h"
#include "kvplace/base/toml_file.h"
#include "kvplace/instance/layer_budgets.h"
#include "kvplace/instance/resolve.h"
#include "kvplace/simulate/report.h"
#include "kvplace/trace/reader.h"
#include "tables.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace kvplace::python {
namespace {

/// (key, text, where it stands)
using Entry = std::tuple<std::string, std::string, std::string>;

struct InputFiles {
  InputFiles() = default;
  InputFiles(InputFiles&&) = default;  // and no copies

  std::vector<InputUse> files;
};

std::vector<ConfigEntry> entries_of(const std::vector<Entry>& entries) {
  std::vector<ConfigEntry> list;
  list.reserve(entries.size());
  for (const auto& [key, text, where] : entries) {
    list.push_back({key, text, where});
  }
  return list;
}

std::vector<Entry> texts_of(const std::vector<ConfigEntry>& entries) {
  std::vector<Entry> list;
  for (const ConfigEntry& entry : entries) {
    list.emplace_back(entry.key, entry.text, entry.where);
  }
  return list;
}

Instance make_instance(const TraceReader& trace, const std::vector<Entry>& entries) {
  const InstanceSpec spec = unwrap(resolve_spec(entries_of(entries), trace.meta()));
  return unwrap(Instance::make(spec, trace.meta(), trace.totals()));
}

}  // namespace

void bind_instance(nb::module_& module) {
  nb::class_<Instance>(module, "Instance")
      .def(
          "__init__",
          [](Instance* self, const TraceReader& trace, const std::vector<Entry>& entries) {
            new (self) Instance(make_instance(trace, entries));
          },
          "trace"_a, "entries"_a)
      .def_prop_ro("layers", &Instance::layers, "Layers of the trace.")
      .def_prop_ro("steps", &Instance::steps, "Decode steps of the trace.")
      .def_prop_ro("blocks_per_layer", &Instance::blocks_per_layer, "Blocks per layer at the end of the trace.")
      .def_prop_ro(
          "block_bytes", [](const Instance& i) { return i.mean_kv_block_bytes().value(); },
          "Bytes of a KV page of one request.")
      .def_prop_ro(
          "near_capacity_bytes_per_request", [](const Instance& i) { return i.capacity().value(); },
          "Near capacity for the KV of one request, bytes.")
      .def_prop_ro(
          "weight_bytes_per_step", [](const Instance& i) { return i.weight_bytes_per_step().value(); },
          "Weights read in one layer of one decode step, bytes.")
      .def_prop_ro("notes", &Instance::notes, "What a reader of the results should know.")
      .def_prop_ro(
          "near_capacity_bytes", [](const Instance& i) { return i.capacity().value() * i.options().batch; },
          "Near capacity for the KV of all requests of the batch, bytes.")
      .def_prop_ro(
          "layer_capacity_bytes_per_request",
          [](const Instance& i) {
            std::vector<std::int64_t> bytes;
            for (std::uint32_t layer = 0; layer < i.layers(); ++layer) {
              bytes.push_back(i.layer_capacity(LayerIndex(layer)).value());
            }
            return bytes;
          },
          "What a policy with a buffer per layer may use of it in each layer, bytes.")
      .def("json", [](const Instance& i) { return to_json(i); })
      .def(
          "to_toml", [](const Instance& i) { return to_toml(i.spec()); },
          "The resolved specification as TOML; Instance(trace, config=FILE) gives the same instance again.");
  module.def(
      "parse_toml",
      [](const std::string& document, const std::string& name) { return texts_of(unwrap(parse_toml(document, name))); },
      "document"_a, "name"_a, "The entries (key, text, place) of a TOML document.");
  module.def(
      "read_toml", [](const std::string& path) { return texts_of(unwrap(read_toml(path))); }, "path"_a,
      "The same of a TOML file.");
  nb::class_<InputFiles>(module, "InputFiles", "Files that no output of the process replaces while this lives.")
      .def(
          "__init__",
          [](InputFiles* self, const std::vector<std::string>& paths) {
            new (self) InputFiles;
            for (const std::string& path : paths) {
              self->files.emplace_back(path);
            }
          },
          "paths"_a, "What is no file is left out.");
  module.def(
      "resolved_toml",
      [](const std::vector<Entry>& entries) {
        const InstanceSpec spec = unwrap(resolve_spec(entries_of(entries), {}));
        unwrap(validate(spec.hardware, "hardware"));
        if (spec.model) {
          unwrap(validate(*spec.model, "model"));
        }
        return to_toml(spec);
      },
      "entries"_a, "The specification these entries give without a trace, as TOML.");
  module.def(
      "read_layer_budgets", [](const std::string& path) { return unwrap(read_layer_budgets(path)); }, "path"_a,
      "The budgets per layer of a .json or .toml file.");
  module.def("toml_string", [](const std::string& text) { return toml_string(text); }, "text"_a);
  module.def(
      "describe", [](const TraceReader& trace, const Instance& instance) { return cli::describe(trace, instance); },
      "trace"_a, "instance"_a, "What is compared, in a few lines.");
}

}  // namespace kvplace::python
