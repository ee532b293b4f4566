/// The groups of layers of a model and the figures that follow from them.
#pragma once

#include <span>

#include "kvplace/base/config.h"
#include "kvplace/model/model.h"

namespace kvplace {

/// "layer.N.KEY": the groups grow as they are named.
[[nodiscard]] Status apply_layer_entry(const ConfigEntry& entry, Model& model);

/// Makes the KV bytes of each group follow its shape and the dtype, and the model's other figures the groups. Errors: a
/// layer in no group or in two; figures among `entries` that contradict the groups; KV bytes without a shape, if the
/// dtype changes.
[[nodiscard]] Status settle_groups(std::span<const ConfigEntry> entries, Model& model);

}  // namespace kvplace
