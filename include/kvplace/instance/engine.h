/// What an engine does with a machine: how near its kernels come to the memory's peak, what it takes beside bytes, and
/// what of the KV it keeps near (docs/engines.md). A preset is a file of presets/engines.
///
/// Without one an engine is ideal: all of the peak, nothing beside the bytes.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/config.h"
#include "kvplace/base/units.h"

namespace kvplace {

/// What of a model an engine may keep in far memory.
enum class Tiering {
  kNone,     ///< nothing: KV, or weights, that do not fit near do not fit
  kKv,       ///< KV, block by block
  kExperts,  ///< routed experts
};

struct Engine {
  std::string name;
  std::string description;
  std::string overlap;            ///< far reads beside near ones: "full" or "none"; empty: not said
  double weights_efficiency = 1;  ///< of near memory's bandwidth, that reads of weights reach; above 0, at most 1
  double kv_efficiency = 1;       ///< the same of all else that near memory moves
  Seconds layer_overhead;         ///< of each layer of the model in each decode step: launches, all-reduce
  Seconds step_overhead;          ///< of each decode step
  Seconds tiered_overhead;        ///< of each traced layer in each decode step, if not all KV is near
  Tiering tiering = Tiering::kNone;
  std::string policy;               ///< of docs/policies.md, which stands for what it keeps near; empty: none
  double buffer_per_top_k = 0;      ///< tokens of the buffer per layer and request, over those that are read
  std::uint32_t buffer_tokens = 0;  ///< or so many as it ships
  bool write_through = false;       ///< new KV is written to far at once
  bool whole_requests = false;      ///< KV stays near while it fits; then some requests have buffers only
  bool far_computes = false;        ///< what is far is computed there: weights do not cross the link
  double far_efficiency = 1;        ///< of far memory's bandwidth, that such reads reach
  std::string memory_setting;       ///< the share of near memory that it takes
  std::string buffer_setting;
  std::string pool_setting;
  std::map<std::string, std::string> provenance;  ///< key -> "spec|measured|estimated: source"
  /// Fields that differ on a machine, "machine.NAME.KEY" in a file, as they stand there.
  std::vector<ConfigEntry> on_machines;

  /// With the fields of that machine; on_machines is empty then.
  [[nodiscard]] Result<Engine> on(std::string_view machine) const;
  bool operator==(const Engine& other) const;
};

/// The one table of settable fields.
[[nodiscard]] std::span<const Field<Engine>> engine_fields();

/// Sets one field (also "machine.NAME.KEY" and "provenance.KEY"); does not validate the whole.
[[nodiscard]] Status apply_engine_entry(const ConfigEntry& entry, Engine& engine);

/// A preset by name, or a TOML file if `name_or_file` ends in ".toml" or contains a '/'.
[[nodiscard]] Result<Engine> load_engine(std::string_view name_or_file);

/// Parses and validates one document; `name` is for messages.
[[nodiscard]] Result<Engine> parse_engine(std::string_view document, const std::string& name);

/// Errors if a field is out of range; `where` begins the message.
[[nodiscard]] Status validate(const Engine& engine, const std::string& where);

/// Names of the presets, sorted.
[[nodiscard]] std::vector<std::string> engine_names();

}  // namespace kvplace
