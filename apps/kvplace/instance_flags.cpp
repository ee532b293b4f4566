#include "instance_flags.h"

#include <algorithm>

#include "app.h"
#include "kvplace/base/toml_file.h"
#include "kvplace/instance/layer_budgets.h"
#include "kvplace/instance/resolve.h"

namespace kvplace::cli {
namespace {

struct Flag {
  const char* name;
  const char* key;
  const char* value;
  const char* doc;
};

constexpr Flag kFlags[] = {
    {"--hardware", "hardware", "HARDWARE|FILE", "preset or FILE.toml (default: fang2025, the paper's machine)"},
    {"--model", "model", "MODEL|FILE", "preset or FILE.toml (default: what the trace names)"},
    {"--near-capacity", "options.near_capacity", "SIZE",
     "near bytes left for KV and experts, like 16GiB (default: near memory less weights)"},
    {"--near-blocks-per-layer", "options.near_blocks_per_layer", "N", "near capacity as blocks per layer"},
    {"--near-fraction", "options.near_fraction", "SHARE", "near capacity as a share of all blocks, 0 to 1"},
    {"--mode", "options.mode", "inclusive|exclusive", "inclusive (far has a copy of all) or exclusive"},
    {"--barrier", "options.barrier", "layer|token", "layer or token"},
    {"--overlap", "options.overlap", "full|none", "full (max of both sides) or none (sum)"},
    {"--batch", "options.batch", "N", "the trace stands for one of N like requests"},
    {"--block-bytes", "options.block_bytes", "SIZE", "bytes of a KV page (default: model or trace)"},
    {"--weight-bytes-per-step", "options.weight_bytes_per_step", "SIZE", "weights read per layer and decode step"},
    {"--start", "options.start", "recent|empty|free", "recent, empty or free (oracle policies only)"},
    {"--seed", "options.seed", "N", "of policies that draw random numbers"},
};

bool belongs_to_instance(const ConfigEntry& entry) {
  const std::string section = entry.key.substr(0, entry.key.find('.'));
  return section == "hardware" || section == "model" || section == "options";
}

}  // namespace

void InstanceFlags::add_to(CLI::App& verb) {
  reads_file(verb.add_option("--config", config_file_, "TOML file as show-config prints it"));
  for (const Flag& flag : kFlags) {
    verb.add_option_function<std::string>(
            flag.name, [this, &flag](const std::string& text) { flags_.push_back({flag.key, text, flag.name}); },
            flag.doc)
        ->type_name(flag.value)
        ->group("Instance");
  }
  verb.add_option("--layer-budgets", layer_budgets_,
                  "FILE.json or .toml of kvplace budgets: how buffers per layer divide the near capacity")
      ->type_name("FILE")
      ->group("Instance");
  verb.add_option("--set", assignments_, "any field: hardware.*, model.* or options.*; repeatable")
      ->type_name("KEY=VALUE")
      ->group("Instance")
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
      const std::vector<std::string> known{"trace", "policies", "hardware", "model", "options"};
      return bad_input(entry.where + ": unknown key " + in_quotes(entry.key) + "; the nearest known key is " +
                       in_quotes(nearest_name(entry.key, known)));
    }
  }
  return entries;
}

Result<InstanceSpec> InstanceFlags::spec(const TraceMeta& meta) const {
  KVPLACE_TRY(other_config());
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
  return resolve_spec(entries, meta);
}

Result<Instance> InstanceFlags::instance(const TraceReader& trace) const {
  KVPLACE_ASSIGN(resolved, spec(trace.meta()));
  return Instance::make(resolved, trace.meta(), trace.totals());
}

void PolicyFlags::add_to(CLI::App& verb) {
  verb.add_option(
          "--policy", texts_,
          "a name, NAME:key=value,... or all; for several: --policy lru --policy belady (kvplace list policies)")
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

void TraceFlags::add_to(CLI::App& verb, bool required) {
  CLI::Option* option = reads_file(verb.add_option("trace", path_, "trace (.kvt)"));
  if (required) {
    option->required();
  }
  verb.add_flag("--recover", recover_, "read the whole chunks of a truncated trace");
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
