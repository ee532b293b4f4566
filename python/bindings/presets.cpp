// What there is: presets with their fields, and listings.
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "bindings/errors.h"
#include "kvplace/base/manifest.h"
#include "kvplace/base/measure.h"
#include "kvplace/base/parse.h"
#include "kvplace/hardware/hardware.h"
#include "kvplace/model/changes.h"
#include "kvplace/model/model.h"
#include "kvplace/simulate/listing.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace kvplace::python {
namespace {

/// Key and text of each field that is set; then the provenance of the figures.
using Fields = std::pair<std::vector<std::pair<std::string, std::string>>, std::map<std::string, std::string>>;
/// Changes to a preset: (key, text).
using Changes = std::vector<std::pair<std::string, std::string>>;

template <class T, class FieldList>
Fields fields_of(const FieldList& fields, const T& value) {
  Fields out;
  for (const Field<T>& field : fields) {
    if (std::string text = field.get(value); !text.empty()) {
      out.first.emplace_back(field.key, std::move(text));
    }
  }
  out.second = value.provenance;
  return out;
}

Fields hardware(const std::string& name_or_file, const Changes& changes) {
  Hardware hardware = unwrap(load_hardware(name_or_file));
  for (const auto& [key, text] : changes) {
    unwrap(apply_hardware_entry({key, text, name_or_file}, hardware));
  }
  unwrap(validate(hardware, name_or_file));
  return fields_of(hardware_fields(hardware), hardware);
}

Fields model(const std::string& name_or_file, const Changes& changes) {
  Model model = unwrap(load_model(name_or_file));
  std::vector<ConfigEntry> entries;
  for (const auto& [key, text] : changes) {
    entries.push_back({key, text, name_or_file});
  }
  unwrap(apply_model_entries(entries, model));
  unwrap(validate(model, name_or_file));
  return fields_of(model_fields(model), model);
}

/// A field's text as a number in bytes, bytes/s, seconds, FLOP or FLOP/s; None if it is none of these.
std::optional<std::variant<std::int64_t, double>> number_of(const std::string& text) {
  if (const auto bytes = parse_bytes_of("bytes", text)) {  // or a count
    return bytes->value();
  }
  if (const auto number = parse_number(text)) {
    return *number;
  }
  if (const auto rate = parse_bandwidth(text)) {
    return rate->value();
  }
  if (const auto time = parse_seconds(text)) {
    return time->value();
  }
  if (const auto rate = parse_flops_rate(text)) {
    return rate->value();
  }
  if (const auto work = parse_flops(text)) {
    return work->value();
  }
  return std::nullopt;
}

}  // namespace

void bind_presets(nb::module_& module) {
  module.def("hardware", &hardware, "name_or_file"_a, "changes"_a, "Fields and provenance of a machine.");
  module.def("model", &model, "name_or_file"_a, "changes"_a, "Fields and provenance of a model.");
  module.def("number_of", &number_of, "text"_a,
             "A text with its unit as a number: bytes, bytes/s, seconds, FLOP or FLOP/s; None if it is no quantity.");
  module.def(
      "listing", [](const std::string& what) { return unwrap(listing_json(what)); }, "what"_a,
      "JSON of what `kvplace list` lists.");
  module.def("version", [] { return make_manifest().version; });
  module.def("commit", [] { return make_manifest().commit; });
}

}  // namespace kvplace::python
