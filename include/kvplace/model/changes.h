/// Changes of a model that belong together.
#pragma once

#include <span>

#include "kvplace/base/config.h"
#include "kvplace/base/result.h"
#include "kvplace/model/model.h"

namespace kvplace {

/// Sets the fields that one file, or one set of changes, names, in any order; does not validate the whole. KV bytes
/// that are those of the shape follow a change of the shape. Others must be given with it: it is an error otherwise, as
/// nothing says what becomes of them.
[[nodiscard]] Status apply_model_entries(std::span<const ConfigEntry> entries, Model& model);

}  // namespace kvplace
