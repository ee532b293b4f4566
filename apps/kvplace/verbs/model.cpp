#include <memory>

#include "app.h"
#include "kvplace/model/changes.h"
#include "kvplace/model/report.h"
#include "model_text.h"

namespace kvplace::cli {
namespace {

struct ModelFlags {
  std::string model;
  std::string kv_dtype;
  std::vector<std::string> assignments;
  bool json = false;
};

VerbResult run(const ModelFlags& flags) {
  KVPLACE_ASSIGN(model, load_model(flags.model));
  std::vector<ConfigEntry> changes;
  if (!flags.kv_dtype.empty()) {
    changes.push_back({"attention.dtype", flags.kv_dtype, "--kv-dtype"});
  }
  for (const std::string& assignment : flags.assignments) {
    KVPLACE_ASSIGN(entry, parse_assignment(assignment));
    if (!entry.key.starts_with("model.")) {
      return bad_input(entry.where + ": " + in_quotes(entry.key) +
                       " is no field of a model: its key begins with model.");
    }
    changes.push_back(without_prefix(entry, "model"));
  }
  KVPLACE_TRY(apply_model_entries(changes, model));
  KVPLACE_TRY(validate(model, "model " + model.name));
  KVPLACE_TRY(print(flags.json ? to_json(model) + "\n" : model_text(model)));
  return kDone;
}

}  // namespace

void add_model(App& app) {
  auto flags = std::make_shared<ModelFlags>();
  CLI::App* verb =
      app.add_verb("model", "What a model weighs, keeps and reads, layer by layer", [flags] { return run(*flags); });
  verb->add_option("model", flags->model,
                   "preset, FILE.toml, a Hugging Face config.json, or a folder that holds one (docs/deployments.md)")
      ->required()
      ->type_name("MODEL|FILE");
  verb->add_option("--kv-dtype", flags->kv_dtype, "dtype of the KV cache")
      ->default_str("the model's")
      ->type_name("bf16|fp8|fp8-flashmla|int8|nvfp4|fp16|fp32");
  verb->add_option("--set", flags->assignments, "any field of the model: `model.*`; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  add_json_flag(*verb, flags->json);
}

}  // namespace kvplace::cli
