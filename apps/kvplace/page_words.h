/// What pages say in words: what was asked, what follows, and how to make them again.
#pragma once

#include <string>
#include <vector>

#include "kvplace/report/report.h"
#include "kvplace/trace/reader.h"

namespace kvplace::cli {

/// A configuration file (.toml) that runs a comparison again: its trace, unless that is empty, and its policies.
[[nodiscard]] std::string config_text(const std::string& trace, const std::vector<PolicySpec>& policies,
                                      const InstanceSpec& spec);

/// Which policy comes closest to what is possible, and whether placement matters; a sentence each.
[[nodiscard]] std::vector<std::string> comparison_sentences(const Comparison& comparison, const Instance& instance);

/// How a page of a comparison came about.
struct PageOrigin {
  std::string verb;                  ///< "report", or another whose option is --html
  std::string flags;                 ///< of the command that `config_text` does not hold: "--bound", a workload
  std::vector<PolicySpec> policies;  ///< those that were named
};

/// `trace` is not a file if the origin's flags have a workload.
[[nodiscard]] PageWords words_of(const Comparison& comparison, const TraceReader& trace, const Instance& instance,
                                 const PageOrigin& origin);
/// `trace`: its path, if one was given.
[[nodiscard]] PageWords words_of(const Advice& advice, const std::string& trace);

/// The pages of `compare --html` and `advise --html`. Done without a path, where none is wanted.
[[nodiscard]] Status write_page_of(const std::string& path, const Comparison& comparison, const TraceReader& trace,
                                   const Instance& instance, const PageOrigin& origin);
[[nodiscard]] Status write_page_of(const std::string& path, const Advice& advice, const std::string& trace);

}  // namespace kvplace::cli
