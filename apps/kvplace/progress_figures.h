/// What long work has found so far, as text: the same beside a bar and in a line.
#pragma once

#include <string>
#include <string_view>

namespace kvplace::cli {

class ProgressFigures {
 public:
  void set(std::string_view name, double value);
  /// Like " | bound 0.0898 s | schedule 0.0899 s, gap 0.03 %, pass 2"; empty if nothing is known.
  [[nodiscard]] std::string text() const;

 private:
  double bound_ = 0;     // seconds
  double schedule_ = 0;  // seconds
  double pass_ = 0;
};

}  // namespace kvplace::cli
