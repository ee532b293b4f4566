/// A model as text: its layers in groups, and sums.
#pragma once

#include <string>

#include "kvplace/model/model.h"

namespace kvplace::cli {

[[nodiscard]] std::string model_text(const Model& model);

}  // namespace kvplace::cli
