#include "sweep/study_keys.h"

#include <algorithm>

#include "kvplace/base/measure.h"
#include "kvplace/generate/config.h"
#include "kvplace/generate/workload.h"
#include "kvplace/instance/resolve.h"
#include "kvplace/size/size.h"

namespace kvplace {
namespace {

/// A check that `parse` can read the value.
template <class Parse>
std::function<Status(std::string_view)> reads(Parse parse) {
  return [parse](std::string_view text) -> Status {
    if (auto value = parse(text); !value) {
      return tl::unexpected(value.error());
    }
    return {};
  };
}

Status any_text(std::string_view text) { return text.empty() ? Status(bad_input("is empty")) : Status(); }

Status check_workload(std::string_view text) {
  const std::vector<std::string> names = workload_names();
  if (std::find(names.begin(), names.end(), text) == names.end()) {
    return bad_input("unknown workload " + in_quotes(text) + "; the nearest is " +
                     in_quotes(nearest_name(text, names)));
  }
  return {};
}

std::vector<StudyKey> make_study_keys() {
  return {{"trace", any_text},
          {"workload", check_workload},
          {"context", reads(parse_tokens)},
          {"steps", reads(parse_tokens)},
          {"bound.time_limit", reads(parse_seconds)},
          {"size.target", reads(parse_target)},
          {"size.find", reads(parse_find)},
          {"size.tolerance", reads(parse_number)},
          {"size.crossover", reads(parse_bool)},
          {"size.price_near", reads(parse_number)},
          {"size.price_link", reads(parse_number)},
          {"size.time_limit", reads(parse_seconds)},
          {"advise.output", reads(parse_tokens)},
          {"advise.target", reads(parse_target)},
          {"advise.time_limit", reads(parse_seconds)}};
}

bool is_of(const ConfigEntry& entry, std::string_view section) {
  return entry.key.starts_with(section) && entry.key.size() > section.size() && entry.key[section.size()] == '.';
}

template <class T>
Status is_read(Result<T> value) {
  return value ? Status() : Status(tl::unexpected(std::move(value).error()));
}

/// The value alone, whatever stands beside it.
Status check_instance_setting(const ConfigEntry& entry) {
  if (entry.key == "hardware") {
    return is_read(load_hardware(entry.text));
  }
  if (entry.key == "model") {
    return is_read(load_model(entry.text));
  }
  if (entry.key == "engine") {
    return is_read(load_engine(entry.text));
  }
  if (is_of(entry, "hardware")) {
    Hardware hardware;
    return apply_hardware_entry(without_prefix(entry, "hardware"), hardware);
  }
  if (is_of(entry, "engine")) {
    Engine engine;
    return apply_engine_entry(without_prefix(entry, "engine"), engine);
  }
  if (is_of(entry, "options")) {
    if (entry.key.starts_with("options.layer_shares.")) {
      return {};  // an element of the list
    }
    InstanceOptions options;
    return apply_entry<InstanceOptions>(option_fields(), without_prefix(entry, "options"), options);
  }
  Model model;  // values of a model depend on each other: its key alone is looked at
  const ConfigEntry of_model = without_prefix(entry, "model");
  const auto known = [&](const Field<Model>& field) { return field.key == of_model.key; };
  if (of_model.key.starts_with("layer.") || of_model.key.starts_with("provenance.") ||
      std::any_of(model_fields().begin(), model_fields().end(), known)) {
    return {};
  }
  return apply_model_entry(of_model, model);
}

}  // namespace

std::span<const StudyKey> study_keys() {
  static const std::vector<StudyKey> kKeys = make_study_keys();
  return kKeys;
}

bool is_study_key(std::string_view key) {
  return is_generator_key(key) ||
         std::any_of(study_keys().begin(), study_keys().end(), [&](const StudyKey& own) { return own.key == key; });
}

Status check_setting(const ConfigEntry& entry) {
  for (const StudyKey& own : study_keys()) {
    if (own.key == entry.key) {
      if (Status status = own.check(entry.text); !status) {
        return bad_input(entry.where + ": " + entry.key + ": " + status.error().message);
      }
      return {};
    }
  }
  if (is_generator_key(entry.key)) {
    GeneratorConfig config;
    return apply_generator_entry(without_prefix(entry, "generator"), config);
  }
  for (const std::string section : {"hardware", "model", "engine", "options"}) {
    if (is_of(entry, section) || (entry.key == section && section != "options")) {
      Status status = check_instance_setting(entry);
      const bool says_where = !status && status.error().message.starts_with(entry.where);
      return status || says_where ? status : Status(bad_input(entry.where + ": " + status.error().message));
    }
  }
  std::vector<std::string> known{"name",     "compute", "policies", "grid",   "points",
                                 "hardware", "model",   "engine",   "options"};
  for (const StudyKey& own : study_keys()) {
    known.push_back(own.key);
  }
  for (const auto& field : option_fields()) {
    known.push_back("options." + field.key);
  }
  for (const auto& field : hardware_fields()) {
    known.push_back("hardware." + field.key);
  }
  return bad_input(entry.where + ": unknown key " + in_quotes(entry.key) + "; the nearest known key is " +
                   in_quotes(nearest_name(entry.key, known)));
}

}  // namespace kvplace
