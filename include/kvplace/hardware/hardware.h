/// The machine: memory tiers and the channels between them (formulation, "Machine").
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/config.h"
#include "kvplace/base/units.h"
#include "kvplace/hardware/link_pieces.h"

namespace kvplace {

/// A bandwidth as the vendor states it and as somebody measured it; 0 = not known.
struct Rate {
  BytesPerSecond spec;
  BytesPerSecond measured;
};

/// Memory of the processor that decodes (HBM).
struct NearTier {
  Bytes capacity;
  Rate bandwidth;  ///< reads and writes together
};

/// Memory behind a link: LPDDR5X over NVLink-C2C, host DRAM over PCIe, CXL, NVMe.
struct FarTier {
  std::string name = "far";
  Bytes capacity;
  Rate bandwidth;                ///< of the memory itself, reads and writes together
  Rate link_read;                ///< far -> near direction
  Rate link_write;               ///< near -> far direction
  Seconds latency;               ///< once where a step reads anything from it
  LinkBySize link_read_by_size;  ///< what link_read delivers for pieces of a size; empty: all of it for any
  Bytes link_granule;            ///< or: each piece takes whole granules of the link, 0 = bytes
  Bytes link_header;             ///< and each granule so many bytes more
  std::uint32_t shared_by = 0;   ///< GPUs that share the memory, not the link, which each has; 0 = 1
};

/// Which of the known figures a computation uses.
enum class Figures { kSpec, kMeasured };

struct Hardware {
  std::string name;
  std::string description;
  Figures figures = Figures::kSpec;
  double interference = 0;    ///< a in T = max + a * second largest, 0 <= a < 1
  Seconds step_overhead;      ///< fixed time added to each (decode step, layer)
  FlopsPerSecond peak_flops;  ///< 0 = arithmetic never binds
  std::uint32_t gpus = 0;     ///< of the node, all alike; near and link are of one; 0 = not said
  BytesPerSecond fabric;      ///< of one GPU to the others, one way; 0 = what they tell each other takes no time
  NearTier near;
  FarTier far;
  std::vector<FarTier> behind_far;                ///< further tiers, listed but not used by a two-tier placement
  std::map<std::string, std::string> provenance;  ///< key -> "spec|measured|estimated: source"

  /// The machine as one GPU has it: its part of the far memory that several share.
  [[nodiscard]] Hardware of_one_gpu() const;
  /// The figure of `rate` that `figures` selects; the specified one where nothing was measured, and the reverse.
  [[nodiscard]] BytesPerSecond effective(const Rate& rate) const;
  /// What far.link_read delivers, in bytes of the pieces, for pieces of a size.
  [[nodiscard]] BytesPerSecond link_read_of(Bytes piece) const;
};

/// The one table of settable fields.
[[nodiscard]] std::span<const Field<Hardware>> hardware_fields();
/// The same and those of the further tiers that `hardware` has, as "tier.N.KEY".
[[nodiscard]] std::vector<Field<Hardware>> hardware_fields(const Hardware& hardware);

/// Sets one field (also "tier.N.KEY" and "provenance.KEY"); does not validate the whole.
[[nodiscard]] Status apply_hardware_entry(const ConfigEntry& entry, Hardware& hardware);

/// A preset by name, or a TOML file if `name_or_file` ends in ".toml" or contains a '/'.
[[nodiscard]] Result<Hardware> load_hardware(std::string_view name_or_file);

/// Parses and validates one document; `name` is for messages.
[[nodiscard]] Result<Hardware> parse_hardware(std::string_view document, const std::string& name);

/// Errors if a needed field is missing or out of range; `where` begins the message.
[[nodiscard]] Status validate(const Hardware& hardware, const std::string& where);

/// Names of the presets, sorted.
[[nodiscard]] std::vector<std::string> hardware_names();

}  // namespace kvplace
