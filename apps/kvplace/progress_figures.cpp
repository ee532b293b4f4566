#include "progress_figures.h"

#include <fmt/core.h>

namespace kvplace::cli {

void ProgressFigures::set(std::string_view name, double value) {
  (name == "bound" ? bound_ : (name == "schedule" ? schedule_ : pass_)) = value;
}

std::string ProgressFigures::text() const {
  std::string text;
  if (bound_ > 0) {
    text += fmt::format(" | bound {:.6g} s", bound_);
  }
  if (schedule_ > 0) {
    text += fmt::format(" | schedule {:.6g} s", schedule_);
    text += bound_ > 0 ? fmt::format(", gap {:.2f} %", 100 * (schedule_ / bound_ - 1)) : std::string();
    text += pass_ > 0 ? fmt::format(", pass {:.0f}", pass_) : std::string();
  }
  return text;
}

}  // namespace kvplace::cli
