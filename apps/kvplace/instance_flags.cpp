#include "instance_flags.h"

#include <algorithm>

#include "app.h"
#include "flag_value.h"
#include "kvplace/base/toml_file.h"
#include "kvplace/generate/workload.h"
#include "kvplace/instance/layer_budgets.h"
#include "kvplace/instance/resolve.h"
#include "kvplace/instance/settings.h"

namespace kvplace::cli {
namespace {

const Setting& setting_of(const std::string& flag) {
  return *std::find_if(settings().begin(), settings().end(),
                       [&](const Setting& setting) { return setting.flag == flag; });
}

/// Gives an option the words of a setting.
CLI::Option* described(CLI::Option* option, const Setting& setting) {
  return option->description(setting.doc)->default_str(setting.by_default)->type_name(setting.value);
}

constexpr const char* kTraceDoc = "trace (`.kvt`); `-` is standard input";

bool belongs_to_instance(const ConfigEntry& entry) {
  const std::string section = entry.key.substr(0, entry.key.find('.'));
  return section == "hardware" || section == "model" || section == "engine" || section == "options";
}

}  // namespace

void InstanceFlags::add_to(CLI::App& verb) {
  described(reads_file(verb.add_option("--config", config_file_)), setting_of("--config"));
  for (const Setting& setting : settings()) {
    if (setting.flag.empty() || setting.key.empty()) {
      continue;
    }
    if (setting.value.empty()) {
      const auto give = [this, &setting] { flags_.push_back({setting.key, "true", setting.flag}); };
      verb.add_flag_callback(setting.flag, give, setting.doc)->group(kInstanceGroup);
    } else {
      const auto give = [this, &setting](const std::string& text) {
        flags_.push_back({setting.key, text, setting.flag});
      };
      described(verb.add_option_function<std::string>(setting.flag, give), setting)->group(kInstanceGroup);
    }
  }
  described(verb.add_option("--layer-budgets", layer_budgets_), setting_of("--layer-budgets"))->group(kInstanceGroup);
  described(verb.add_option("--set", assignments_), setting_of("--set"))
      ->group(kInstanceGroup)
      ->allow_extra_args(false);
  add_threads_flag(verb, threads_);
}

Result<std::vector<ConfigEntry>> InstanceFlags::config() const {
  if (!config_) {  // once: standard input cannot be read again
    KVPLACE_ASSIGN(entries, read_config());
    config_ = std::move(entries);
  }
  return *config_;
}

Result<std::vector<ConfigEntry>> InstanceFlags::read_config() const {
  if (config_file_.empty()) {
    return std::vector<ConfigEntry>();
  }
  return read_toml(config_file_);
}

Result<std::vector<ConfigEntry>> InstanceFlags::other_config() const {
  KVPLACE_ASSIGN(entries, config());
  std::erase_if(entries, belongs_to_instance);
  for (const ConfigEntry& entry : entries) {
    if (entry.key != "trace" && !entry.key.starts_with("policies.")) {
      const std::vector<std::string> known{"trace", "policies", "hardware", "model", "engine", "options"};
      return bad_input(entry.where + ": unknown key " + in_quotes(entry.key) + "; the nearest known key is " +
                       in_quotes(nearest_name(entry.key, known)));
    }
  }
  return entries;
}

Result<InstanceSpec> InstanceFlags::spec(const TraceMeta& meta) const {
  KVPLACE_TRY(other_config());
  KVPLACE_ASSIGN(entries, entries_given());
  return resolve_spec(entries, meta);
}

Result<std::vector<ConfigEntry>> InstanceFlags::entries_given() const {
  KVPLACE_ASSIGN(entries, config());
  std::erase_if(entries, [](const ConfigEntry& entry) { return !belongs_to_instance(entry); });
  entries.insert(entries.end(), flags_.begin(), flags_.end());
  if (!layer_budgets_.empty()) {
    KVPLACE_ASSIGN(budgets, read_layer_budgets(layer_budgets_));
    entries.push_back({"options.layer_shares", format_layer_shares(budgets), layer_budgets_});
  }
  for (const std::string& assignment : assignments_) {
    KVPLACE_ASSIGN(entry, parse_assignment(assignment));
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<bool> InstanceFlags::says(const std::string& key) const {
  KVPLACE_ASSIGN(entries, entries_given());
  return std::any_of(entries.begin(), entries.end(), [&](const ConfigEntry& entry) { return entry.key == key; });
}

Result<Instance> InstanceFlags::instance(const TraceReader& trace) const {
  KVPLACE_ASSIGN(resolved, spec(trace.meta()));
  return Instance::make(resolved, trace.meta(), trace.totals());
}

void PolicyFlags::add_to(CLI::App& verb, const std::string& by_default) {
  verb.add_option(
          "--policy", texts_,
          "NAME or NAME:key=value,..., or `all`: every policy that runs in one pass on the trace; one each time, "
          "for several `--policy lru --policy belady` (docs/policies.md)")
      ->default_str(by_default)
      ->type_name("POLICY|all")
      ->allow_extra_args(false);
}

Result<std::vector<std::string>> PolicyFlags::texts(const InstanceFlags& instance) const {
  std::vector<std::string> texts = texts_;
  if (texts.empty()) {
    KVPLACE_ASSIGN(entries, instance.other_config());
    for (const ConfigEntry& entry : entries) {
      if (entry.key.starts_with("policies.")) {
        texts.push_back(entry.text);
      }
    }
  }
  return texts;
}

void TraceFlags::add_to(CLI::App& verb, const std::string& recover) {
  reads_file(verb.add_option("trace", path_, kTraceDoc))->required();
  verb.add_flag("--recover", recover_, recover);
}

void TraceFlags::add_optional_to(CLI::App& verb, const std::string& recover) {
  reads_file(verb.add_option("trace", path_, kTraceDoc))->default_str("`trace` of the `--config` file");
  verb.add_flag("--recover", recover_, recover);
}

void TraceFlags::add_workload_to(CLI::App& verb) {
  verb.add_option("--workload", workload_,
                  "in a trace's place: `dense`, `dsa`, `quest`, `experts`, or a preset of docs/generators.md; of the "
                  "layers of `--model`")
      ->type_name("dense|dsa|quest|experts|WORKLOAD");
  verb.add_option("--context", context_, "tokens before the first decode step of `--workload`, like `64K`")
      ->default_str("32K, or the preset's")
      ->type_name("TOKENS");
  verb.add_option("--steps", steps_, "decode steps of `--workload`")
      ->default_str("8 of `dense`, else as many as read 8 million blocks, 64 to 512")
      ->type_name("N");
}

Result<TraceReader> TraceFlags::open_workload_of(const InstanceFlags* instance) const {
  Workload workload;
  workload.name = workload_;
  if (!path_.empty()) {
    return bad_input("a trace and --workload are two traces: give one of them");
  }
  if (!context_.empty()) {
    KVPLACE_ASSIGN(context, of_flag("--context", parse_tokens(context_)));
    workload.context = context;
  }
  if (!steps_.empty()) {
    KVPLACE_ASSIGN(steps, of_flag("--steps", parse_tokens(steps_)));
    workload.steps = steps;
  }
  KVPLACE_ASSIGN(spec, instance->spec({}));
  if (!spec.model) {
    return bad_input("--workload " + workload_ + " reads what a model reads: give --model");
  }
  KVPLACE_TRY(validate(*spec.model, "model"));
  return open_workload(workload, *spec.model, run_context(instance->threads()));
}

Result<std::string> TraceFlags::path(const InstanceFlags* instance) const {
  std::string path = path_;
  if (path.empty() && instance != nullptr) {
    KVPLACE_ASSIGN(entries, instance->other_config());
    for (const ConfigEntry& entry : entries) {
      if (entry.key == "trace") {
        path = entry.text;
      }
    }
  }
  return path;
}

Result<TraceReader> TraceFlags::open(const InstanceFlags* instance) const {
  if (!workload_.empty()) {
    return open_workload_of(instance);
  }
  if (!context_.empty() || !steps_.empty()) {
    return bad_input(std::string(context_.empty() ? "--steps" : "--context") + " is of --workload: give that as well");
  }
  KVPLACE_ASSIGN(path, this->path(instance));
  if (path.empty()) {
    return bad_input("no trace is named: give a file (.kvt), or a --config file that names one");
  }
  KVPLACE_ASSIGN(trace, TraceReader::open(path, {recover_}));
  if (trace.recovered()) {
    remark(path + ": its end is missing; the first " + std::to_string(trace.totals().steps) + " decode steps are used");
  }
  return trace;
}

}  // namespace kvplace::cli
