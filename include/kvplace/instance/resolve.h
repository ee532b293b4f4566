/// From what a user typed to an InstanceSpec, and back to a file that gives the same one.
#pragma once

#include <span>
#include <string>

#include "kvplace/base/config.h"
#include "kvplace/instance/instance.h"

namespace kvplace {

/// Keys: "hardware", "model" and "engine" (preset or file), "hardware.FIELD", "model.FIELD", "engine.FIELD",
/// "options.FIELD". Entries take effect
/// in order: a preset replaces all fields set before it. It starts from the default hardware and the trace's own model
/// (if it names a preset), unless a file gives the section in full. Errors name the place of the entry and the nearest
/// known key.
[[nodiscard]] Result<InstanceSpec> resolve_spec(std::span<const ConfigEntry> entries, const TraceMeta& meta);

/// The whole specification as TOML; resolve_spec on its entries gives it back.
[[nodiscard]] std::string to_toml(const InstanceSpec& spec);

/// Hardware used if none is named: the paper's machine.
inline constexpr const char* kDefaultHardware = "fang2025";

}  // namespace kvplace
