#include "kvplace/instance/resolve.h"

#include <algorithm>
#include <optional>

#include "kvplace/instance/settings.h"
#include "kvplace/model/changes.h"

namespace kvplace {
namespace {

template <class T>
void append_table(std::string& out, const std::string& name, std::span<const Field<T>> fields, const T& value) {
  out += "\n[" + name + "]\n";
  for (const Field<T>& field : fields) {
    const std::string text = field.get(value);
    if (!text.empty()) {
      out += field.key + " = " + (field.is_text ? toml_string(text) : text) + "\n";
    }
  }
}

bool is_section(const ConfigEntry& entry, const std::string& section) { return entry.key.starts_with(section + "."); }

/// Whether a file gives a section in full, as show-config prints it: it has a name of its own and names no preset.
bool given_in_full(std::span<const ConfigEntry> entries, const std::string& section) {
  const auto in_file = [](const ConfigEntry& entry) { return entry.where != kSetFlag; };
  const auto has = [&](const std::string& key) {
    return std::any_of(entries.begin(), entries.end(),
                       [&](const ConfigEntry& e) { return e.key == key && in_file(e); });
  };
  return has(section + ".name") && !has(section);
}

/// A list in a file comes as an entry per element ("options.layer_shares.0", ...); its field takes it whole.
std::vector<ConfigEntry> with_whole_lists(std::span<const ConfigEntry> entries) {
  constexpr std::string_view kList = "options.layer_shares";
  std::vector<ConfigEntry> whole;
  for (const ConfigEntry& entry : entries) {
    const bool of_list = is_section(entry, std::string(kList));
    if (of_list && entry.key == std::string(kList) + ".0") {
      whole.push_back({std::string(kList), entry.text, entry.where});
    } else if (of_list && !whole.empty() && whole.back().key == kList) {
      whole.back().text += ", " + entry.text;
    } else {
      whole.push_back(entry);  // also what is unknown, which is said later
    }
  }
  return whole;
}

/// The file, flag or call that an entry is from: its place without a line.
std::string_view source_of(const ConfigEntry& entry) {
  const std::string_view where = entry.where;
  return where.substr(0, std::min(where.rfind(':'), where.size()));
}

/// Changes of the model that one source makes, which are taken together: KV bytes and shape may be given in any order.
class ModelChanges {
 public:
  Status add(const ConfigEntry& entry, std::optional<Model>& model) {
    if (!entries_.empty() && source_of(entry) != source_of(entries_.back())) {
      KVPLACE_TRY(apply(model));
    }
    entries_.push_back(without_prefix(entry, "model"));
    return {};
  }

  Status apply(std::optional<Model>& model) {
    if (entries_.empty()) {
      return {};
    }
    if (!model) {
      model.emplace();
    }
    KVPLACE_TRY(apply_model_entries(entries_, *model));
    entries_.clear();
    return {};
  }

 private:
  std::vector<ConfigEntry> entries_;
};

/// The dtype of the KV cache decides its size, or it is an error to give it.
Status check_kv_dtype(std::span<const ConfigEntry> entries, const InstanceSpec& spec) {
  const auto in_whole_section = [&](const ConfigEntry& entry) {
    return std::any_of(entries.begin(), entries.end(), [&](const ConfigEntry& other) {
      return other.key == "model.name" && source_of(other) == source_of(entry);
    });
  };
  for (const ConfigEntry& entry : entries) {
    if (entry.key != kKvDtypeKey || in_whole_section(entry)) {
      continue;
    }
    const bool has_shape =
        spec.model && (!spec.model->name.empty() || kv_bytes_of_shape(spec.model->attention) > Bytes(0) ||
                       spec.model->kv_bytes_per_token_per_layer > Bytes(0));
    if (!has_shape && entry.text == Attention().dtype) {
      continue;  // as a model without a shape prints it
    }
    if (!has_shape) {
      return bad_input(entry.where + ": a KV cache in " + entry.text +
                       " needs a model, whose KV it sizes: give --model as well");
    }
    if (spec.options.block_bytes) {
      return bad_input(entry.where + ": a KV cache in " + entry.text +
                       " decides how large a block is, and so does block_bytes: give one of them");
    }
  }
  return {};
}

/// The engine, on the machine that there is. Its overlap is the default of the options'.
Status resolve_engine(std::span<const ConfigEntry> entries, InstanceSpec& spec) {
  for (const ConfigEntry& entry : entries) {
    if (entry.key == "engine") {
      KVPLACE_ASSIGN(preset, load_engine(entry.text));
      KVPLACE_ASSIGN(engine, preset.on(spec.hardware.name));
      spec.engine = std::move(engine);
    } else if (is_section(entry, "engine")) {
      KVPLACE_TRY(apply_engine_entry(without_prefix(entry, "engine"), spec.engine));
    }
  }
  KVPLACE_ASSIGN(here, spec.engine.on(spec.hardware.name));  // those of a file's [engine] table
  spec.engine = std::move(here);
  const bool says_overlap = std::any_of(entries.begin(), entries.end(),
                                        [](const ConfigEntry& entry) { return entry.key == "options.overlap"; });
  if (!spec.engine.overlap.empty() && !says_overlap) {
    spec.options.overlap = spec.engine.overlap == "none" ? Overlap::kNone : Overlap::kFull;
  }
  return validate(spec.engine, spec.engine.name.empty() ? "engine" : "engine " + spec.engine.name);
}

Error unknown_key(const ConfigEntry& entry) {
  std::vector<std::string> known{"hardware", "model", "engine"};
  const auto add = [&known](const std::string& section, const auto& fields) {
    for (const auto& field : fields) {
      known.push_back(section + "." + field.key);
    }
  };
  add("hardware", hardware_fields());
  add("model", model_fields());  // those of [[layer]] tables are named where they are wrong
  add("engine", engine_fields());
  add("options", option_fields());
  return {ErrorKind::kBadInput, entry.where + ": unknown key " + in_quotes(entry.key) + "; the nearest known key is " +
                                    in_quotes(nearest_name(entry.key, known))};
}

}  // namespace

Result<InstanceSpec> resolve_spec(std::span<const ConfigEntry> entries, const TraceMeta& meta) {
  InstanceSpec spec;
  if (!given_in_full(entries, "hardware")) {
    KVPLACE_ASSIGN(hardware, load_hardware(kDefaultHardware));
    spec.hardware = std::move(hardware);
  }
  const std::vector<std::string> models = model_names();
  if (!given_in_full(entries, "model") && std::find(models.begin(), models.end(), meta.model) != models.end()) {
    KVPLACE_ASSIGN(model, load_model(meta.model));
    spec.model = std::move(model);
  }
  ModelChanges changes;
  for (const ConfigEntry& entry : with_whole_lists(entries)) {
    if (entry.key == "engine" || is_section(entry, "engine")) {
      continue;  // below, for the machine as it is
    }
    if (entry.key == "hardware") {
      KVPLACE_ASSIGN(hardware, load_hardware(entry.text));
      spec.hardware = std::move(hardware);
    } else if (entry.key == "model") {
      KVPLACE_TRY(changes.apply(spec.model));
      KVPLACE_ASSIGN(model, load_model(entry.text));
      spec.model = std::move(model);
    } else if (is_section(entry, "hardware")) {
      KVPLACE_TRY(apply_hardware_entry(without_prefix(entry, "hardware"), spec.hardware));
    } else if (is_section(entry, "model")) {
      KVPLACE_TRY(changes.add(entry, spec.model));
    } else if (is_section(entry, "options")) {
      KVPLACE_TRY(apply_entry<InstanceOptions>(option_fields(), without_prefix(entry, "options"), spec.options));
    } else {
      return tl::unexpected(unknown_key(entry));
    }
  }
  KVPLACE_TRY(changes.apply(spec.model));
  KVPLACE_TRY(resolve_engine(entries, spec));
  KVPLACE_TRY(check_kv_dtype(entries, spec));
  return spec;
}

std::string to_toml(const InstanceSpec& spec) {
  std::string out;
  append_table<Hardware>(out, "hardware", hardware_fields(spec.hardware), spec.hardware);
  if (spec.model) {
    append_table<Model>(out, "model", model_fields(*spec.model), *spec.model);
  }
  if (spec.engine != Engine()) {
    append_table<Engine>(out, "engine", engine_fields(), spec.engine);
  }
  append_table<InstanceOptions>(out, "options", option_fields(), spec.options);
  return out;
}

}  // namespace kvplace
