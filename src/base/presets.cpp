#include "base/presets.h"

#include <algorithm>

#include "base/file.h"

namespace kvplace {

Result<NamedDocument> find_document(std::string_view name_or_file, std::span<const EmbeddedFile> presets,
                                    std::string_view kind) {
  if (name_or_file.ends_with(".toml") || name_or_file.find('/') != std::string_view::npos) {
    std::string path(name_or_file);
    KVPLACE_ASSIGN(text, read_small_file(path));
    return NamedDocument{std::move(path), std::move(text)};
  }
  for (const EmbeddedFile& preset : presets) {
    if (preset.name == name_or_file) {
      return NamedDocument{"preset " + std::string(preset.name), std::string(preset.text)};
    }
  }
  const std::vector<std::string> names = document_names(presets);
  return bad_input("unknown " + std::string(kind) + " " + in_quotes(name_or_file) + "; the nearest known name is " +
                   in_quotes(nearest_name(name_or_file, names)) + " (kvplace list " + std::string(kind) +
                   (kind == "hardware" ? "" : "s") + " prints all; a file's name ends in .toml)");
}

std::vector<std::string> document_names(std::span<const EmbeddedFile> presets) {
  std::vector<std::string> names;
  for (const EmbeddedFile& preset : presets) {
    names.emplace_back(preset.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status add_provenance(const ConfigEntry& entry, std::span<const std::string> known_keys,
                      std::map<std::string, std::string>& provenance) {
  const std::string key = without_prefix(entry, "provenance").key;
  const bool known = std::any_of(known_keys.begin(), known_keys.end(), [&](const std::string& candidate) {
    return candidate == key || candidate.starts_with(key + ".");
  });
  if (!known) {
    return bad_input(entry.where + ": provenance of unknown key " + in_quotes(key) + "; the nearest known key is " +
                     in_quotes(nearest_name(key, known_keys)));
  }
  provenance[key] = entry.text;
  return {};
}

}  // namespace kvplace
