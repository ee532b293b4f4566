// Models from config.json: published ones, counted by transformers on the meta device (tests/data/configs/truth.json),
// what quantization makes of weights, and what is refused. tests/python/test_model_configs.py counts every family.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kvplace/model/changes.h"
#include "kvplace/model/config_json.h"
#include "kvplace/model/report.h"

namespace kvplace {
namespace {

using Json = nlohmann::ordered_json;

const std::string kConfigs = std::string(KVPLACE_SOURCE_DIR) + "/tests/data/configs/";

/// A list of [times, value].
std::vector<std::int64_t> by_layer(const Json& runs) {
  std::vector<std::int64_t> values;
  for (const Json& run : runs) {
    values.insert(values.end(), run[0].get<std::size_t>(), run[1].get<std::int64_t>());
  }
  return values;
}

TEST(ConfigJson, PublishedModelsAreCountedAsTransformersCountsThem) {
  std::ifstream file(kConfigs + "truth.json");
  const Json truth = Json::parse(file);
  ASSERT_EQ(truth.size(), 4u);
  for (const auto& [name, wanted] : truth.items()) {
    SCOPED_TRACE(name);
    const Result<Model> model = load_model(kConfigs + name);
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(model->name, name);
    EXPECT_EQ(load_model(kConfigs + name + "/config.json").value().groups, model->groups);
    const Json told = Json::parse(to_json(*model));
    EXPECT_EQ(told["parameters"], wanted["parameters"]);
    ASSERT_EQ(told["layers"].size(), wanted["layers"].get<std::size_t>());
    const auto dense = by_layer(wanted["dense_parameters_by_layer"]);
    const auto expert = by_layer(wanted["parameters_of_an_expert_by_layer"]);
    const auto kv = by_layer(wanted["kv_bytes_per_token_by_layer_bf16"]);
    for (std::size_t i = 0; i < dense.size(); ++i) {
      const Json& layer = told["layers"][i];
      EXPECT_EQ(layer["dense_parameters"], dense[i]) << i;
      EXPECT_EQ(layer["expert_parameters"], expert[i]) << i;
      EXPECT_EQ(layer["experts"], expert[i] > 0 ? wanted["experts"].get<int>() : 0) << i;
      EXPECT_EQ(layer["experts_per_token"], expert[i] > 0 ? wanted["experts_per_token"].get<int>() : 0) << i;
      EXPECT_EQ(layer["kv_bytes_per_token"], kv[i]) << i;
      EXPECT_EQ(layer["dense_weight_bytes"], 2 * dense[i]) << i;
    }
  }
}

TEST(ConfigJson, WindowsTakeRoomPerRequestAndNotPerToken) {
  const Model model = load_model(kConfigs + "gpt-oss-120b").value();
  const ModelTotals totals = model_totals(model);
  EXPECT_EQ(totals.kv_bytes_per_token, Bytes(36864));
  EXPECT_EQ(totals.window_bytes_per_request, Bytes(18 * 128 * 2048));
  EXPECT_EQ(model.kv_bytes_per_token_per_layer, Bytes(2048));
}

/// A small Llama, with other fields in place of some and more behind.
std::string small(const std::string& key = "", const std::string& value = "", const std::string& more = "") {
  Json json{{"model_type", "llama"},    {"num_hidden_layers", 2},   {"hidden_size", 64}, {"intermediate_size", 96},
            {"num_attention_heads", 4}, {"num_key_value_heads", 2}, {"vocab_size", 512}};
  std::string text;
  for (const auto& [name, field] : json.items()) {
    if (name != key || !value.empty()) {
      text += (text.empty() ? "{" : ",") + ("\"" + name + "\":") + (name == key ? value : field.dump());
    }
  }
  return text + (more.empty() ? "" : "," + more) + "}";
}

TEST(ConfigJson, QuantizationTakesLinearLayersOnly) {
  const auto layer_bytes = [](const std::string& quantization) {
    const Result<Model> model = parse_config_json(small("", "", quantization), "c.json", "c");
    return model ? model->groups.front().dense_weight_bytes.value() : -1;
  };
  const std::int64_t attention = 64 * (64 + 2 * 32) + 64 * 64;
  const std::int64_t mlp = 3 * 64 * 96;
  const std::int64_t norms = 2 * 64;
  EXPECT_EQ(layer_bytes("\"dtype\":\"bfloat16\""), 2 * (attention + mlp + norms));
  EXPECT_EQ(layer_bytes("\"torch_dtype\":\"float32\""), 4 * (attention + mlp + norms));
  EXPECT_EQ(layer_bytes("\"quantization_config\":{\"quant_method\":\"fp8\"}"), attention + mlp + 2 * norms);
  // Four bits and a scale of 16 bits for each 128.
  EXPECT_EQ(layer_bytes("\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":128}"),
            (attention + mlp) * 33 / 64 + 2 * norms + (((attention * 33) % 64 + (mlp * 33) % 64) != 0 ? 1 : 0));
  EXPECT_EQ(layer_bytes("\"quantization_config\":{\"quant_method\":\"fp8\",\"modules_to_not_convert\":"
                        "[\"model.layers.*.self_attn\",\"lm_head\"]}"),
            2 * attention + mlp + 2 * norms);
  // A group of -1 is a column: its scale counts for nothing.
  EXPECT_EQ(layer_bytes("\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":-1}"),
            (attention + mlp) / 2 + 2 * norms);
  EXPECT_EQ(layer_bytes("\"quantization_config\":{\"quant_method\":\"hqq\"}"), -1);
}

TEST(ConfigJson, WhatIsMissingAbsurdOrContradictsIsOneSentence) {
  const auto refusal = [](const std::string& text) {
    const Result<Model> model = parse_config_json(text, "dir/config.json", "c");
    return model ? std::string("taken") : model.error().message;
  };
  const auto says = [&](const std::string& text, const std::string& words) {
    const std::string message = refusal(text);
    EXPECT_NE(message.find(words), std::string::npos) << message;
    EXPECT_TRUE(message.starts_with("dir/config.json: ")) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  };
  EXPECT_EQ(refusal(small()), "taken");
  says("", "is no JSON object");
  says("[1]", "is no JSON object");
  says("{\"hidden_size\": 3}", "model_type is missing");
  says(small("model_type", "\"lama\""), "\"lama\" is of no known family (the nearest is \"llama\")");
  says(small("model_type", "\"mamba\""), "[[layer]] tables");
  says(small("hidden_size", ""), "hidden_size is missing, which model_type \"llama\" needs");
  says(small("hidden_size", "-3"), "hidden_size = -3 is not a number of 1 to 2^20");
  says(small("hidden_size", "1e300"), "hidden_size");
  says(small("hidden_size", "\"64\""), "hidden_size = \"64\" is not a number");
  says(small("num_hidden_layers", "999999"), "num_hidden_layers = 999999 is absurd");
  says(small("num_key_value_heads", "3"), "num_attention_heads = 4 is no multiple of num_key_value_heads = 3");
  says(small("hidden_size", "66"), "hidden_size = 66 is not divided by num_attention_heads = 4");
  says(small("num_attention_heads", "1048576", "\"head_dim\":1048576"), "num_attention_heads x head_dim");
  says(small("", "", "\"dtype\":\"float8\""), "dtype \"float8\" is none of bfloat16, float16, float32");
  says(small("", "", "\"dtype\":\"bfloat16\",\"torch_dtype\":\"float7\""),
       "dtype \"bfloat16\" contradicts torch_dtype \"float7\"");
  says(small("", "", "\"quantization_config\":[1]"), "quantization_config is no object");
  for (const char* weights : {"\"bits\":0", "\"bits\":99", "\"group_size\":-5"}) {
    says(small("", "", std::string("\"quantization_config\":{\"quant_method\":\"gptq\",") + weights + "}"),
         "quant_method \"gptq\" is not known as it stands there");
  }
  says(small("", "", "\"attention_bias\":3"), "attention_bias is neither true nor false");
  const std::string qwen = small("model_type", "\"qwen3\"", "\"use_sliding_window\":true,\"sliding_window\":8,");
  says(qwen.substr(0, qwen.size() - 2) + ",\"layer_types\":[\"full_attention\"]}",
       "layer_types has 1 entries, but num_hidden_layers is 2");
  says(qwen.substr(0, qwen.size() - 2) + ",\"layer_types\":[\"full_attention\",\"sliding_atention\"]}",
       "the nearest known kind is \"sliding_attention\"");
  says(small("model_type", "\"mixtral\"", "\"num_local_experts\":2,\"num_experts_per_tok\":3"),
       "a token uses 3 experts, but there are 2");
  says("{\"model_type\":\"gemma4_text\",\"num_hidden_layers\":2,\"hidden_size\":64,\"num_kv_shared_layers\":2}",
       "leaves no layer that has KV of its own");
}

TEST(ConfigJson, MoreDenseLayersThanThereAreContradict) {
  std::ifstream file(kConfigs + "deepseek-v3/config.json");
  Json config = Json::parse(file);
  config["first_k_dense_replace"] = 62;
  const Result<Model> model = parse_config_json(config.dump(), "c.json", "c");
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().message, "c.json: first_k_dense_replace = 62 is more than the 61 of num_hidden_layers");
}

TEST(ConfigJson, OfAModelWithOtherPartsTheTextModelIsRead) {
  const std::string text = "{\"model_type\":\"mistral3\",\"vision_config\":{\"hidden_size\":1},\"text_config\":" +
                           small("model_type", "\"mistral\"") + "}";
  const Result<Model> model = parse_config_json(text, "c.json", "c");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->layers, 2u);
  EXPECT_NE(model->description.find("text model alone"), std::string::npos);
}

TEST(ConfigJson, AWindowAsLongAsTheTextIsNone) {
  const auto kind = [](const std::string& more) {
    return parse_config_json(small("model_type", "\"phi3\"", more), "c.json", "c").value().groups.front().kind;
  };
  EXPECT_EQ(kind("\"max_position_embeddings\":4096,\"sliding_window\":4095"), "window");
  EXPECT_EQ(kind("\"max_position_embeddings\":4096,\"sliding_window\":4096"), "full");
  EXPECT_EQ(kind("\"max_position_embeddings\":4096,\"sliding_window\":null"), "full");
}

TEST(ConfigJson, AbsurdNumbersNeverOverflow) {
  // Each count of each published model in turn at the most that is taken; under the sanitizers this must not overflow.
  for (const char* name : {"deepseek-v3", "gpt-oss-120b", "llama-3.1-70b", "qwen3-30b-a3b"}) {
    std::ifstream file(kConfigs + name + "/config.json");
    const Json config = Json::parse(file);
    for (const auto& [key, value] : config.items()) {
      if (value.is_number_integer()) {
        Json absurd = config;
        for (const std::int64_t number : {std::int64_t{0}, std::int64_t{1} << 20, std::int64_t{1} << 62}) {
          absurd[key] = number;
          const Result<Model> model = parse_config_json(absurd.dump(), "c.json", "c");
          EXPECT_TRUE(!model || model->weight_bytes > Bytes(0)) << name << " " << key << " " << number;
        }
      }
    }
  }
}

TEST(ConfigJson, EveryFamilyIsNamedOnce) {
  const std::vector<std::string> families = model_families();
  EXPECT_TRUE(std::adjacent_find(families.begin(), families.end()) == families.end());
  for (const char* type :
       {"llama",       "llama4",  "qwen2",    "qwen3",       "qwen3_moe",  "qwen3_next",  "qwen3_5",
        "mistral",     "mixtral", "gemma3",   "gemma4",      "gpt_oss",    "deepseek_v3", "deepseek_v32",
        "deepseek_v4", "kimi_k2", "glm4_moe", "glm_moe_dsa", "minimax_m2", "phi3",        "granite"}) {
    EXPECT_TRUE(std::binary_search(families.begin(), families.end(), type)) << type;
  }
}

TEST(ConfigJson, SharedIndexersAreCountedOnce) {
  // 21 indexers for the 78 layers of GLM-5.2; 47,700 bytes per token in fp8, and 55,224 if each layer had one.
  Model model = load_model("glm-5.2").value();
  const std::vector<ConfigEntry> fp8{{"attention.dtype", "fp8", "--kv-dtype"}};
  ASSERT_TRUE(apply_model_entries(fp8, model));
  const ModelTotals totals = model_totals(model);
  EXPECT_EQ(totals.kv_bytes_per_token + totals.selector_bytes_per_token, Bytes(47700));
  EXPECT_EQ(totals.kv_bytes_per_token + Bytes(78 * 132), Bytes(55224));
}

}  // namespace
}  // namespace kvplace
