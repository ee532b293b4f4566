/// Loading a preset by name or a user's file by path, the same for hardware and models.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/embedded.h"
#include "kvplace/base/config.h"

namespace kvplace {

struct NamedDocument {
  std::string name;  ///< for messages: the file's path, or "preset NAME"
  std::string text;
};

/// The document a user means by `name_or_file`: a file if it ends in ".toml" or contains a '/', else a preset.
/// `kind` ("hardware", "model") is for messages.
[[nodiscard]] Result<NamedDocument> find_document(std::string_view name_or_file, std::span<const EmbeddedFile> presets,
                                                  std::string_view kind);

[[nodiscard]] std::vector<std::string> document_names(std::span<const EmbeddedFile> presets);

/// Stores a "provenance.KEY" entry after checking that KEY is a field or a group of fields.
[[nodiscard]] Status add_provenance(const ConfigEntry& entry, std::span<const std::string> known_keys,
                                    std::map<std::string, std::string>& provenance);

}  // namespace kvplace
