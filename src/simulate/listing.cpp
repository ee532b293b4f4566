#include "kvplace/simulate/listing.h"

#include <nlohmann/json.hpp>

#include "kvplace/base/parse.h"
#include "kvplace/generate/config.h"
#include "kvplace/hardware/hardware.h"
#include "kvplace/model/model.h"
#include "kvplace/policy/registry.h"
#include "kvplace/trace/formats.h"

namespace kvplace {
namespace {

using Json = nlohmann::ordered_json;

Json list_policies() {
  Json list = Json::array();
  for (const PolicyInfo& info : PolicyRegistry::instance().policies()) {
    Json parameters = Json::array();
    for (const ParameterInfo& p : info.parameters) {
      parameters.push_back({{"name", p.name},
                            {"doc", p.doc},
                            {"unit", p.unit},
                            {"default", p.default_value},
                            {"least", p.least},
                            {"most", p.most},
                            {"whole", p.whole}});
    }
    list.push_back({{"name", info.name},
                    {"information", to_text(info.information)},
                    {"doc", info.doc},
                    {"source", info.source},
                    {"requires_ranking", info.requires_ranking},
                    {"by_default", info.by_default},
                    {"buffer_per_layer", info.buffer_per_layer},
                    {"parameters", std::move(parameters)}});
  }
  return list;
}

template <class T>
Json fields_of(std::span<const Field<T>> fields, const T& value) {
  Json json = Json::object();
  for (const Field<T>& field : fields) {
    if (const std::string text = field.get(value); !text.empty()) {
      json[field.key] = text;
    }
  }
  return json;
}

Result<Json> list_hardware() {
  Json list = Json::array();
  for (const std::string& name : hardware_names()) {
    KVPLACE_ASSIGN(hardware, load_hardware(name));
    Json entry = fields_of<Hardware>(hardware_fields(), hardware);
    entry["provenance"] = hardware.provenance;
    list.push_back(std::move(entry));
  }
  return list;
}

Result<Json> list_models() {
  Json list = Json::array();
  for (const std::string& name : model_names()) {
    KVPLACE_ASSIGN(model, load_model(name));
    Json entry = fields_of<Model>(model_fields(), model);
    entry["provenance"] = model.provenance;
    list.push_back(std::move(entry));
  }
  return list;
}

Result<Json> list_generators() {
  Json list = Json::array();
  for (const std::string& name : generator_names()) {
    KVPLACE_ASSIGN(config, load_generator(name));
    list.push_back(fields_of<GeneratorConfig>(generator_fields(), config));
  }
  return list;
}

Json list_formats() {
  Json list = Json::array();
  for (const Format& format : FormatRegistry::instance().formats()) {
    list.push_back({{"name", format.name},
                    {"doc", format.doc},
                    {"import", format.import_trace != nullptr},
                    {"export", format.export_trace != nullptr}});
  }
  return list;
}

Result<Json> listing(std::string_view what) {
  if (what == "policies") {
    return list_policies();
  }
  if (what == "hardware") {
    return list_hardware();
  }
  if (what == "models") {
    return list_models();
  }
  if (what == "formats") {
    return list_formats();
  }
  if (what == "generators") {
    return list_generators();
  }
  const std::vector<std::string> known{"policies", "hardware", "models", "formats", "generators"};
  return bad_input("kvplace list " + in_quotes(what) +
                   ": there are policies, hardware, models, formats and generators; the nearest is " +
                   in_quotes(nearest_name(what, known)));
}

}  // namespace

Result<std::string> listing_json(std::string_view what) {
  KVPLACE_ASSIGN(list, listing(what));
  return list.dump(2);
}

}  // namespace kvplace
