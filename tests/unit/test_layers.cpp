// Models layer by layer: sets of layers, sizes by dtype, experts by batch, and what contradicts itself.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kvplace/model/changes.h"
#include "kvplace/model/model.h"
#include "kvplace/model/report.h"

namespace kvplace {
namespace {

std::vector<std::uint32_t> layers_of(const std::string& text) {
  return parse_layer_set(text).value_or(std::vector<std::uint32_t>());
}

TEST(LayerSet, EveryTextNamesItsLayersAndBack) {
  EXPECT_EQ(layers_of("3"), (std::vector<std::uint32_t>{3}));
  EXPECT_EQ(layers_of("0-2, 5"), (std::vector<std::uint32_t>{0, 1, 2, 5}));
  EXPECT_EQ(layers_of("1-7/3,0"), (std::vector<std::uint32_t>{0, 1, 4, 7}));
  EXPECT_EQ(format_layer_set(layers_of("0, 2, 4, 6")), "0-6/2");
  EXPECT_EQ(format_layer_set(layers_of("0, 4")), "0, 4");
  // Every set of ten layers.
  for (std::uint32_t bits = 1; bits < (1u << 10); ++bits) {
    std::vector<std::uint32_t> set;
    for (std::uint32_t layer = 0; layer < 10; ++layer) {
      if ((bits >> layer & 1u) != 0) {
        set.push_back(layer);
      }
    }
    EXPECT_EQ(layers_of(format_layer_set(set)), set) << format_layer_set(set);
  }
}

TEST(LayerSet, WhatNamesNoLayersIsRefused) {
  for (const char* text : {"", "a", "3-1", "1-", "0-4/0", "0,,1", "0-65536", "0, 0", "1-3, 2"}) {
    EXPECT_FALSE(parse_layer_set(text)) << text;
  }
}

TEST(DistinctExperts, AreThoseOfUniformRouting) {
  // 8 of DeepSeek-V3's 256 for one token, 57.4 for 8, 222.4 for 64.
  EXPECT_NEAR(distinct_experts(256, 8, 1), 8, 1e-9);
  EXPECT_NEAR(distinct_experts(256, 8, 8), 57.4, 0.05);
  EXPECT_NEAR(distinct_experts(256, 8, 64), 222.4, 0.05);
  EXPECT_EQ(distinct_experts(8, 8, 3), 8);
  EXPECT_EQ(distinct_experts(0, 0, 3), 0);
  // Beside the product that it stands for.
  for (const double tokens : {2.0, 5.0, 31.0}) {
    EXPECT_NEAR(distinct_experts(60, 4, tokens), 60 * (1 - std::pow(1 - 4.0 / 60, tokens)), 1e-9);
  }
}

std::int64_t bytes_of(bool mla, std::int64_t elements, std::int64_t rope, const char* dtype) {
  return kv_entry_bytes(mla, elements, rope, *find_kv_dtype(dtype));
}

TEST(KvDtype, SizesOfAToken) {
  EXPECT_EQ(bytes_of(false, 2 * 8 * 128, 0, "bf16"), 4096);
  EXPECT_EQ(bytes_of(false, 2 * 8 * 128, 0, "fp8"), 2048);
  EXPECT_EQ(bytes_of(false, 2 * 8 * 128, 0, "int8"), 2048);
  EXPECT_EQ(bytes_of(false, 2 * 8 * 128, 0, "nvfp4"), 2048 / 2 + 2048 / 16);  // a scale of a byte for each 16
  EXPECT_EQ(bytes_of(true, 512, 64, "bf16"), 1152);
  EXPECT_EQ(bytes_of(true, 512, 64, "fp8"), 576);
  EXPECT_EQ(bytes_of(true, 512, 64, "fp8-flashmla"), 656);
  EXPECT_EQ(bytes_of(false, 512, 0, "fp8-flashmla"), 0);
  EXPECT_EQ(find_kv_dtype("fp9"), nullptr);
}

constexpr const char* kTwoKinds =
    "name = \"two\"\n[[layer]]\nat = \"0-4/2\"\nkind = \"window\"\nkv_heads = 2\nhead_dim = 8\nwindow = 16\n"
    "dense_weight_bytes = \"100B\"\n[[layer]]\nat = \"1-5/2\"\nkv_heads = 2\nhead_dim = 16\n"
    "dense_weight_bytes = \"200B\"\nexperts = 4\nexperts_per_token = 2\nexpert_bytes = \"10B\"\n";

TEST(LayerTables, MakeTheFiguresOfTheModel) {
  const Result<Model> model = parse_model(kTwoKinds, "two.toml");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->layers, 6u);
  EXPECT_EQ(model->kv_bytes_per_token_per_layer, Bytes(128));  // of the layers whose KV grows
  EXPECT_EQ(model->attention.sliding_window, 16u);
  EXPECT_EQ(model->attention.sliding_layers, 3u);
  EXPECT_EQ(model->weight_bytes, Bytes(3 * 100 + 3 * (200 + 4 * 10)));
  EXPECT_EQ(model->weight_bytes_per_layer_per_step, Bytes((3 * 100 + 3 * (200 + 2 * 10)) / 6));
  EXPECT_EQ(model->experts.layers, 3u);
  const ModelTotals totals = model_totals(*model);
  EXPECT_EQ(totals.kv_bytes_per_token, Bytes(3 * 128));
  EXPECT_EQ(totals.window_bytes_per_request, Bytes(3 * 64 * 16));
  // 1, and all experts at last.
  EXPECT_DOUBLE_EQ(weight_bytes_read(*model, 1), 3 * 100 + 3 * (200 + 2 * 10));
  EXPECT_NEAR(weight_bytes_read(*model, 1000), 3 * 100 + 3 * (200 + 4 * 10), 1e-6);
}

TEST(LayerTables, TheDtypeDecidesTheSizeOfEveryLayer) {
  Model model = parse_model(kTwoKinds, "two.toml").value();
  const std::vector<ConfigEntry> fp8{{"attention.dtype", "fp8", "--kv-dtype"}};
  ASSERT_TRUE(apply_model_entries(fp8, model));
  EXPECT_EQ(model.kv_bytes_per_token_per_layer, Bytes(64));
  EXPECT_EQ(model.groups[0].kv_bytes_per_token, Bytes(32));
  const std::vector<ConfigEntry> rows{{"attention.dtype", "fp8-flashmla", "--kv-dtype"}};
  const Status refused = apply_model_entries(rows, model);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("--kv-dtype: layer 0-4/2 keeps no KV in fp8-flashmla"), std::string::npos)
      << refused.error().message;
}

TEST(LayerTables, ManyAreReadInTheirOrder) {
  std::string text = "name = \"many\"\n";
  for (int i = 0; i < 23; ++i) {
    text += "[[layer]]\nat = \"" + std::to_string(i) + "\"\nkv_heads = 1\nhead_dim = " + std::to_string(i + 1) + "\n";
  }
  const Model model = parse_model(text, "many.toml").value();
  ASSERT_EQ(model.groups.size(), 23u);
  for (std::uint32_t i = 0; i < 23; ++i) {
    EXPECT_EQ(model.groups[i].head_dim, i + 1);
  }
}

TEST(LayerTables, WhatContradictsIsRefusedWithItsMend) {
  const auto refusal = [](const std::string& more) {
    const Result<Model> model = parse_model(more, "m.toml");
    return model ? std::string("taken") : model.error().message;
  };
  const std::string two = kTwoKinds;
  const auto says = [&](const std::string& text, const std::string& words) {
    EXPECT_NE(refusal(text).find(words), std::string::npos) << refusal(text);
  };
  says("layers = 7\n" + two, "layers = \"7\" contradicts the layers, which make 6");
  says("weight_bytes_per_layer_per_step = \"1GB\"\n" + two, "contradicts the layers, which make 160B");
  says("weight_bytes = \"1B\"\n" + two, "weight_bytes = 1B is less than the layers have");
  says(two + "[[layer]]\nat = \"1\"\nkv_heads = 1\nhead_dim = 1\n", "layer 1 is in two [[layer]] tables");
  says(two + "[[layer]]\nat = \"7\"\nkv_heads = 1\nhead_dim = 1\n", "layer 6 is in no [[layer]] table");
  says(two + "kind = \"windw\"\n", "kind \"windw\" is none of full, mla, window, state");
  says(two + "kind = \"window\"\n", "a window needs its tokens");
  says(two + "[[layer]]\nat = \"6\"\n", "give kv_heads and head_dim");
  says(two + "kv_bytes_per_token = \"129B\"\n", "is not what the shape and bf16 make, 128B");
  says(two + "experts_per_tokn = 3\n", "experts_per_token");
  says("name = \"s\"\n[[layer]]\nat = \"0\"\nkind = \"state\"\n", "no layer keeps KV");
}

TEST(MeanLayers, AreGroupsWithTheSameFigures) {
  for (const std::string& name : model_names()) {
    const Model model = load_model(name).value();
    double read = 0;
    std::uint32_t layers = 0;
    for (const LayerGroup& group : layer_groups(model)) {
      layers += num_layers(group);
      read += num_layers(group) *
              static_cast<double>(
                  (group.dense_weight_bytes + group.expert_bytes * std::int64_t{group.experts_per_token}).value());
    }
    EXPECT_EQ(layers, model.layers) << name;
    EXPECT_NEAR(read / model.layers, static_cast<double>(model.weight_bytes_per_layer_per_step.value()), 1) << name;
  }
}

}  // namespace
}  // namespace kvplace
