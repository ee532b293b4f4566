#include "kvplace/simulate/listing.h"

#include <nlohmann/json.hpp>

#include "kvplace/base/parse.h"
#include "kvplace/generate/config.h"
#include "kvplace/hardware/hardware.h"
#include "kvplace/instance/engine.h"
#include "kvplace/instance/settings.h"
#include "kvplace/model/model.h"
#include "kvplace/policy/registry.h"
#include "kvplace/trace/formats.h"
#include "simulate/result_fields.h"

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
                            {"whole", p.whole},
                            {"choices", p.choices}});
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
    Json entry = fields_of<Model>(model_fields(model), model);
    entry["provenance"] = model.provenance;
    list.push_back(std::move(entry));
  }
  return list;
}

Result<Json> list_engines() {
  Json list = Json::array();
  for (const std::string& name : engine_names()) {
    KVPLACE_ASSIGN(engine, load_engine(name));
    Json entry = fields_of<Engine>(engine_fields(), engine);
    for (const ConfigEntry& on_machine : engine.on_machines) {
      entry[on_machine.key] = on_machine.text;
    }
    entry["provenance"] = engine.provenance;
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

Json list_settings() {
  Json list = Json::array();
  for (const Setting& setting : settings()) {
    list.push_back({{"key", setting.key},
                    {"flag", setting.flag},
                    {"keyword", setting.keyword},
                    {"value", setting.value},
                    {"range", setting.range},
                    {"default", setting.by_default},
                    {"doc", setting.doc}});
  }
  return list;
}

Json list_results() {
  Json list = Json::array();
  for (const ResultField& field : result_fields()) {
    list.push_back({{"key", field.key},
                    {"unit", field.unit},
                    {"type", field.type},
                    {"optional", field.optional},
                    {"doc", field.doc}});
  }
  return list;
}

struct Listing {
  std::string name;
  Result<Json> (*make)();
};

const std::vector<Listing>& listings() {
  static const std::vector<Listing> kListings{
      {"policies", [] { return Result<Json>(list_policies()); }},
      {"hardware", list_hardware},
      {"models", list_models},
      {"engines", list_engines},
      {"formats", [] { return Result<Json>(list_formats()); }},
      {"generators", list_generators},
      {"settings", [] { return Result<Json>(list_settings()); }},
      {"results", [] { return Result<Json>(list_results()); }},
  };
  return kListings;
}

Result<Json> listing(std::string_view what) {
  std::string known;
  for (const Listing& listing : listings()) {
    if (listing.name == what) {
      return listing.make();
    }
    known += (known.empty() ? "" : (&listing == &listings().back() ? " and " : ", ")) + listing.name;
  }
  return bad_input("kvplace list " + in_quotes(what) + ": there are " + known + "; the nearest is " +
                   in_quotes(nearest_name(what, listing_names())));
}

}  // namespace

std::vector<std::string> listing_names() {
  std::vector<std::string> names;
  for (const Listing& listing : listings()) {
    names.push_back(listing.name);
  }
  return names;
}

Result<std::string> listing_json(std::string_view what) {
  KVPLACE_ASSIGN(list, listing(what));
  return list.dump(2);
}

}  // namespace kvplace
