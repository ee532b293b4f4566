#include "kvplace/instance/engine.h"

#include <algorithm>

#include "base/fields.h"
#include "base/presets.h"

namespace kvplace {

template <>
struct TextForm<bool> {
  static Result<bool> parse(std::string_view text) { return parse_bool(text); }
  static std::string format(bool value) { return value ? "true" : "false"; }
  static bool is_set(bool value) { return value; }
  static constexpr bool kIsText = false;
};

template <>
struct TextForm<Tiering> {
  static Result<Tiering> parse(std::string_view text) {
    for (const Tiering tiering : {Tiering::kNone, Tiering::kKv, Tiering::kExperts}) {
      if (text == format(tiering)) {
        return tiering;
      }
    }
    return bad_input(in_quotes(text) + " is not none, kv or experts");
  }
  static std::string format(Tiering tiering) {
    return tiering == Tiering::kNone ? "none" : tiering == Tiering::kKv ? "kv" : "experts";
  }
  static bool is_set(Tiering tiering) { return tiering != Tiering::kNone; }
  static constexpr bool kIsText = true;
};

namespace {

constexpr std::string_view kOnMachine = "machine";

std::vector<Field<Engine>> make_engine_fields() {
  return {
      KVPLACE_FIELD(Engine, name, "name of the engine"),
      KVPLACE_FIELD(Engine, description, "one line"),
      KVPLACE_FIELD(Engine, overlap, "far reads beside near ones: full or none; options.overlap goes before it"),
      KVPLACE_FIELD(Engine, weights_efficiency, "share of near memory's bandwidth that reads of weights reach"),
      KVPLACE_FIELD(Engine, kv_efficiency, "the same of KV, and of all else that near memory moves"),
      KVPLACE_FIELD(Engine, layer_overhead, "time of each layer of the model in each decode step, beside bytes"),
      KVPLACE_FIELD(Engine, step_overhead, "time of each decode step, beside bytes"),
      KVPLACE_FIELD(Engine, tiered_overhead, "time of each traced layer in each decode step, if not all KV is near"),
      KVPLACE_FIELD(Engine, tiering, "what may be far: none, kv or experts"),
      KVPLACE_FIELD(Engine, policy, "the policy that stands for what it keeps near"),
      KVPLACE_FIELD(Engine, buffer_per_top_k, "tokens of its buffer per layer and request, over those that are read"),
      KVPLACE_FIELD(Engine, buffer_tokens, "tokens of its buffer per layer and request, as it ships"),
      KVPLACE_FIELD(Engine, write_through, "whether new KV is written to far memory at once"),
      KVPLACE_FIELD(Engine, whole_requests, "whether KV is near while it fits, and then only that of some requests"),
      KVPLACE_FIELD(Engine, far_computes, "whether weights in far memory are multiplied there, and cross no link"),
      KVPLACE_FIELD(Engine, far_efficiency, "share of far memory's bandwidth that such reads reach"),
      KVPLACE_FIELD(Engine, memory_setting, "its setting for the share of near memory that it takes"),
      KVPLACE_FIELD(Engine, buffer_setting, "its setting for the buffer"),
      KVPLACE_FIELD(Engine, pool_setting, "its setting for far memory"),
  };
}

/// "machine.8xh200.kv_efficiency" -> "kv_efficiency".
std::string key_on_machine(const ConfigEntry& entry) {
  const std::string rest = without_prefix(entry, kOnMachine).key;
  const std::size_t dot = rest.rfind('.');
  return dot == std::string::npos ? std::string() : rest.substr(dot + 1);
}

std::string machine_of(const ConfigEntry& entry) {
  const std::string rest = without_prefix(entry, kOnMachine).key;
  return rest.substr(0, rest.rfind('.'));
}

}  // namespace

bool Engine::operator==(const Engine& other) const {
  const std::span<const Field<Engine>> fields = engine_fields();
  return std::all_of(fields.begin(), fields.end(),
                     [&](const Field<Engine>& field) { return field.get(*this) == field.get(other); });
}

std::span<const Field<Engine>> engine_fields() {
  static const std::vector<Field<Engine>> kFields = make_engine_fields();
  return kFields;
}

Status apply_engine_entry(const ConfigEntry& entry, Engine& engine) {
  if (entry.key.starts_with("provenance.")) {
    std::vector<std::string> known;
    for (const Field<Engine>& field : engine_fields()) {
      known.push_back(field.key);
    }
    for (const ConfigEntry& on_machine : engine.on_machines) {
      known.push_back(on_machine.key);
    }
    return add_provenance(entry, known, engine.provenance);
  }
  if (entry.key.starts_with(std::string(kOnMachine) + ".")) {
    Engine tried;
    const std::string key = key_on_machine(entry);
    KVPLACE_TRY(apply_entry<Engine>(engine_fields(), {key, entry.text, entry.where, entry.section}, tried));
    engine.on_machines.push_back(entry);
    return {};
  }
  return apply_entry<Engine>(engine_fields(), entry, engine);
}

Result<Engine> Engine::on(std::string_view machine) const {
  Engine here = *this;
  here.on_machines.clear();
  for (const ConfigEntry& entry : on_machines) {
    if (machine_of(entry) == machine) {
      KVPLACE_TRY(apply_entry<Engine>(engine_fields(), {key_on_machine(entry), entry.text, entry.where}, here));
    }
  }
  return here;
}

Status validate(const Engine& engine, const std::string& where) {
  for (const auto& [key, share] :
       {std::pair{"weights_efficiency", engine.weights_efficiency}, std::pair{"kv_efficiency", engine.kv_efficiency},
        std::pair{"far_efficiency", engine.far_efficiency}}) {
    if (!(share > 0 && share <= 1)) {
      return bad_input(where + ": " + key + " must be above 0 and at most 1");
    }
  }
  if (!engine.overlap.empty() && engine.overlap != "full" && engine.overlap != "none") {
    return bad_input(where + ": overlap is " + in_quotes(engine.overlap) + "; it is full or none");
  }
  if (!(engine.buffer_per_top_k >= 0)) {
    return bad_input(where + ": buffer_per_top_k must not be negative");
  }
  if (engine.buffer_per_top_k > 0 && engine.buffer_tokens > 0) {
    return bad_input(where + ": buffer_per_top_k and buffer_tokens both say how large the buffer is; give one of them");
  }
  return {};
}

Result<Engine> parse_engine(std::string_view document, const std::string& name) {
  KVPLACE_ASSIGN(entries, parse_toml(document, name));
  Engine engine;
  for (const bool provenance : {false, true}) {  // which may name fields of machines
    for (const ConfigEntry& entry : entries) {
      if (entry.key.starts_with("provenance.") == provenance) {
        KVPLACE_TRY(apply_engine_entry(entry, engine));
      }
    }
  }
  KVPLACE_TRY(validate(engine, name));
  for (const ConfigEntry& entry : engine.on_machines) {
    KVPLACE_ASSIGN(here, engine.on(machine_of(entry)));
    KVPLACE_TRY(validate(here, name));
  }
  return engine;
}

Result<Engine> load_engine(std::string_view name_or_file) {
  KVPLACE_ASSIGN(document, find_document(name_or_file, embedded_engines(), "engine"));
  return parse_engine(document.text, document.name);
}

std::vector<std::string> engine_names() { return document_names(embedded_engines()); }

}  // namespace kvplace
