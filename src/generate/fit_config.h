/// Fits as entries of a settings file, and as models that the engine runs.
#pragma once

#include <string>

#include "generate/process_model.h"
#include "kvplace/base/config.h"
#include "kvplace/generate/fitted.h"

namespace kvplace::generate {

/// Keys of fits begin so.
inline constexpr const char* kFitPrefix = "fit.";

/// REQUIRES: the key begins with kFitPrefix.
[[nodiscard]] Status apply_fit_entry(const ConfigEntry& entry, Fit& fit);

/// The tables of a TOML document.
[[nodiscard]] std::string fit_to_toml(const Fit& fit);

/// Errors if a layer's numbers are not those of a fit; `where` begins the message.
[[nodiscard]] Status validate_fit(const Fit& fit, const std::string& where);

[[nodiscard]] FittedProcess to_fitted(const ProcessModel& model);
[[nodiscard]] ProcessModel to_model(const FittedProcess& fitted);

}  // namespace kvplace::generate
