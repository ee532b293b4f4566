/// Traces that were made of foreign data, in words.
#pragma once

#include <string>

#include "kvplace/trace/formats.h"

namespace kvplace::cli {

/// "t.kvt: 39 decode steps, 3 layers, ..." and a line end.
[[nodiscard]] std::string import_text(const std::string& path, const ImportSummary& summary);

/// A model preset's name that is none deserves a remark.
void remark_on_model(const std::string& model);

}  // namespace kvplace::cli
