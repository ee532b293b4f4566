#include "kvplace/instance/resolve.h"

#include <algorithm>

namespace kvplace {
namespace {

/// A TOML basic string.
std::string toml_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      constexpr std::string_view kHexDigits = "0123456789abcdef";
      out += "\\u00";
      out += kHexDigits[static_cast<unsigned char>(c) >> 4];
      out += kHexDigits[static_cast<unsigned char>(c) & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

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

/// The preset or file that the fields of a section start from: the one named last; none if the section names itself, as in a
/// file that gives it in full; else the fallback.
std::string base_of(std::span<const ConfigEntry> entries, const std::string& section, const std::string& fallback) {
  std::string base;
  bool in_full = false;
  for (const ConfigEntry& entry : entries) {
    if (entry.key == section) {
      base = entry.text;
    }
    in_full = in_full || entry.key == section + ".name";
  }
  return base.empty() && !in_full ? fallback : base;
}

Error unknown_key(const ConfigEntry& entry) {
  std::vector<std::string> known{"hardware", "model"};
  const auto add = [&known](const std::string& section, const auto& fields) {
    for (const auto& field : fields) {
      known.push_back(section + "." + field.key);
    }
  };
  add("hardware", hardware_fields());
  add("model", model_fields());
  add("options", option_fields());
  return {ErrorKind::kBadInput, entry.where + ": unknown key " + in_quotes(entry.key) + "; the nearest known key is " +
                                    in_quotes(nearest_name(entry.key, known))};
}

}  // namespace

Result<InstanceSpec> resolve_spec(std::span<const ConfigEntry> entries, const TraceMeta& meta) {
  InstanceSpec spec;
  const std::string hardware_base = base_of(entries, "hardware", kDefaultHardware);
  if (!hardware_base.empty()) {
    KVPLACE_ASSIGN(hardware, load_hardware(hardware_base));
    spec.hardware = std::move(hardware);
  }
  const std::vector<std::string> models = model_names();
  const bool trace_names_preset = std::find(models.begin(), models.end(), meta.model) != models.end();
  const std::string model_base = base_of(entries, "model", trace_names_preset ? meta.model : std::string());
  if (!model_base.empty()) {
    KVPLACE_ASSIGN(model, load_model(model_base));
    spec.model = std::move(model);
  }
  for (const ConfigEntry& entry : entries) {
    if (is_section(entry, "hardware")) {
      KVPLACE_TRY(apply_hardware_entry(without_prefix(entry, "hardware"), spec.hardware));
    } else if (is_section(entry, "model")) {
      if (!spec.model) {
        spec.model.emplace();
      }
      KVPLACE_TRY(apply_model_entry(without_prefix(entry, "model"), *spec.model));
    } else if (is_section(entry, "options")) {
      KVPLACE_TRY(apply_entry<InstanceOptions>(option_fields(), without_prefix(entry, "options"), spec.options));
    } else if (entry.key != "hardware" && entry.key != "model") {
      return tl::unexpected(unknown_key(entry));
    }
  }
  return spec;
}

std::string to_toml(const InstanceSpec& spec) {
  std::string out;
  append_table<Hardware>(out, "hardware", hardware_fields(), spec.hardware);
  if (spec.model) {
    append_table<Model>(out, "model", model_fields(), *spec.model);
  }
  append_table<InstanceOptions>(out, "options", option_fields(), spec.options);
  return out;
}

}  // namespace kvplace
