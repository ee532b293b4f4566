/// What long work has reached so far, for those who show its progress and want to show that too.
#pragma once

#include <string_view>

#include "kvplace/base/progress.h"

namespace kvplace {

/// A Progress may be one of these as well; then it is told. Calls come as those of the Progress do.
class FigureReceiver {
 public:
  virtual ~FigureReceiver() = default;
  /// Seconds of a "bound" or of the best "schedule", or the number of the "pass". It stands until it is given anew.
  virtual void figure(std::string_view name, double value) = 0;
};

/// `progress` may be null.
inline void report_figure(Progress* progress, std::string_view name, double value) {
  if (auto* figures = dynamic_cast<FigureReceiver*>(progress)) {
    figures->figure(name, value);
  }
}

}  // namespace kvplace
