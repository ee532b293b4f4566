/// The flags that describe an instance, the same for every verb that has one.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kvplace/base/config.h"
#include "kvplace/instance/instance.h"
#include "kvplace/policy/registry.h"
#include "kvplace/trace/reader.h"

namespace kvplace::cli {

/// The heading of flags that are settings of an instance, in --help.
inline constexpr const char* kInstanceGroup = "Instance";

class InstanceFlags {
 public:
  void add_to(CLI::App& verb);

  /// Hardware, model and options from the --config file, then the flags, then --set, for a trace of `meta`.
  [[nodiscard]] Result<InstanceSpec> spec(const TraceMeta& meta) const;
  [[nodiscard]] Result<Instance> instance(const TraceReader& trace) const;
  /// As a flag of the verb's own would: `key` as in a configuration file.
  void set(const std::string& key, const std::string& text, const std::string& flag) {
    flags_.push_back({key, text, flag});
  }
  [[nodiscard]] unsigned threads() const { return threads_; }
  /// Whether a field is given, like "options.gpus".
  [[nodiscard]] Result<bool> says(const std::string& key) const;
  /// Whether anything is said of an instance, by flags or a --config file.
  [[nodiscard]] bool given() const {
    return !config_file_.empty() || !flags_.empty() || !assignments_.empty() || !layer_budgets_.empty();
  }

  /// Values of the --config file outside the instance's sections ("trace", "policies.0", ...).
  [[nodiscard]] Result<std::vector<ConfigEntry>> other_config() const;

 private:
  [[nodiscard]] Result<std::vector<ConfigEntry>> config() const;
  [[nodiscard]] Result<std::vector<ConfigEntry>> read_config() const;
  /// Of an instance, in order: of the --config file, of flags, of --set.
  [[nodiscard]] Result<std::vector<ConfigEntry>> entries_given() const;

  std::string config_file_;
  mutable std::optional<std::vector<ConfigEntry>> config_;  ///< what is in it, once it was asked for
  std::vector<ConfigEntry> flags_;
  std::vector<std::string> assignments_;
  std::string layer_budgets_;
  unsigned threads_ = 0;
};

/// The --policy flag, repeatable.
class PolicyFlags {
 public:
  /// `by_default`: what is taken if neither flag nor configuration file names one.
  void add_to(CLI::App& verb, const std::string& by_default);
  /// The policies named by flags, else by the configuration file, else none.
  [[nodiscard]] Result<std::vector<std::string>> texts(const InstanceFlags& instance) const;

 private:
  std::vector<std::string> texts_;
};

/// The trace argument and how it is opened.
class TraceFlags {
 public:
  /// What --recover does where a truncated trace will do.
  static constexpr const char* kRecovers = "read the whole chunks of a truncated trace";

  /// `recover`: what --recover does.
  void add_to(CLI::App& verb, const std::string& recover = kRecovers);
  /// The same where a configuration file may name the trace.
  void add_optional_to(CLI::App& verb, const std::string& recover = kRecovers);
  /// Opens the trace named by the argument, else by the configuration file.
  [[nodiscard]] Result<TraceReader> open(const InstanceFlags* instance = nullptr) const;
  /// Also --workload in a trace's place, for verbs with an instance, whose model it takes.
  void add_workload_to(CLI::App& verb);
  /// The path named by the argument, else by the configuration file; may be empty.
  [[nodiscard]] Result<std::string> path(const InstanceFlags* instance) const;

 private:
  [[nodiscard]] Result<TraceReader> open_workload_of(const InstanceFlags* instance) const;

  std::string path_;
  std::string workload_;
  std::string context_;
  std::string steps_;
  bool recover_ = false;
};

}  // namespace kvplace::cli
