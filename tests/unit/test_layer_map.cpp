// Which layers of a model a trace is of, and what follows for blocks and fixed traffic; published figures.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "kvplace/bound/certificate.h"
#include "kvplace/instance/layer_map.h"
#include "kvplace/instance/resolve.h"
#include "kvplace/model/report.h"

namespace kvplace {
namespace {

const std::string kConfigs = std::string(KVPLACE_SOURCE_DIR) + "/tests/data/configs/";

TraceMeta of_layers(std::uint32_t layers, std::uint32_t first_layer = 0) {
  TraceMeta meta;
  meta.layers = layers;
  meta.first_layer = first_layer;
  meta.layout.block_tokens = 16;
  meta.layout.prompt_tokens = 32000;
  return meta;
}

TraceTotals of_steps(std::uint32_t steps) { return {steps, 2100, 1, "digest", nullptr}; }

InstanceSpec glm_on_one_of_eight(std::uint32_t batch) {
  const std::vector<ConfigEntry> entries{{"hardware", "8xb300", ""},
                                         {"model", "glm-5.2", ""},
                                         {"model.attention.dtype", "fp8", ""},
                                         {"options.gpus", "8", ""},
                                         {"options.attention_dp", "8", ""},
                                         {"options.expert_parallel", "true", ""},
                                         {"options.batch", std::to_string(batch), ""}};
  return resolve_spec(entries, of_layers(21)).value();
}

TEST(LayerMap, OneOfTheTraceStandsForThoseThatShareItsChoice) {
  const Model glm = load_model("glm-5.2").value();
  const LayerMap map = map_layers(glm, of_layers(21));
  EXPECT_FALSE(map.stands_in);
  ASSERT_EQ(map.reads.size(), 21U);
  std::uint32_t next = 0;
  for (const std::vector<std::uint32_t>& layers : map.reads) {
    EXPECT_GT(layers_of(glm)[layers.front()].selector_bytes_per_token, Bytes(0));
    for (const std::uint32_t at : layers) {
      EXPECT_EQ(at, next++);  // each layer once, in order
    }
  }
  EXPECT_EQ(next, 78U);
  EXPECT_EQ(map.text, "the 21 of glm-5.2 with an indexer, each with those that read what it picks (57 more)");
}

TEST(LayerMap, NumbersOfLayersTell) {
  const Model glm = load_model("glm-5.2").value();
  EXPECT_EQ(map_layers(glm, of_layers(78)).text, "all 78 of glm-5.2");
  const Model oss = load_model(kConfigs + "gpt-oss-120b").value();
  EXPECT_EQ(map_layers(oss, of_layers(18)).reads[1], std::vector<std::uint32_t>{3});
  EXPECT_EQ(map_layers(oss, of_layers(36)).reads[1], std::vector<std::uint32_t>{1});
  const Model v4 = load_model("deepseek-v4-pro").value();
  const LayerMap widest = map_layers(v4, of_layers(30));
  EXPECT_FALSE(widest.stands_in);
  for (const std::vector<std::uint32_t>& layers : widest.reads) {
    EXPECT_EQ(layers.size(), 1U);  // those compressed more read all of theirs
  }
  const Model r1 = load_model(kConfigs + "deepseek-v3").value();
  for (const std::uint32_t first : {0U, 3U}) {
    const LayerMap behind = map_layers(r1, of_layers(58, first));
    EXPECT_EQ(behind.text, "layers 3 to 60 of deepseek-v3");
    EXPECT_EQ(behind.reads.front(), std::vector<std::uint32_t>{3});
    EXPECT_EQ(behind.runs_in[0], 0U);
    EXPECT_FALSE(behind.traced[2]);
  }
  EXPECT_TRUE(map_layers(r1, of_layers(30)).stands_in);
}

TEST(LayerMap, BlocksAndFixedTrafficAreThoseOfTheLayersBehind) {
  const InstanceSpec spec = glm_on_one_of_eight(64);
  const TraceMeta meta = of_layers(21);
  const Instance instance = Instance::make(spec, meta, of_steps(1000)).value();
  EXPECT_FALSE(instance.uniform());
  EXPECT_FALSE(instance.share().stands_in);
  EXPECT_TRUE(instance.notes().empty() || instance.notes().front().find("stand") == std::string::npos);
  const LayerMap map = map_layers(*spec.model, meta);
  Bytes row;
  std::int64_t per_token = 0;
  for (std::uint32_t layer = 0; layer < 21; ++layer) {
    EXPECT_EQ(instance.kv_block_bytes(LayerIndex(layer)),
              Bytes(576 * 16) * static_cast<std::int64_t>(map.reads[layer].size()));
    row += instance.kv_block_bytes(LayerIndex(layer));
    per_token += instance.fixed_of(StepIndex(0), LayerIndex(layer)).near_per_token.value();
  }
  EXPECT_EQ(row, instance.kv_row_bytes());
  // 47,700 bytes of a token (published: 47,702): its KV in 78 layers and 21 index keys.
  EXPECT_EQ(row.value() / 16 + 21 * 132, 47700);
  EXPECT_EQ(per_token, 21 * 132 * 8);  // read of the 8 requests of a GPU
  // Growing with the context, in the sum as at its mean.
  double other = 0;
  for (std::uint32_t step = 0; step < 1000; ++step) {
    for (std::uint32_t layer = 0; layer < 21; ++layer) {
      other += static_cast<double>((instance.fixed_bytes(StepIndex(step), LayerIndex(layer)) -
                                    instance.fixed_of(StepIndex(0), LayerIndex(layer)).weights)
                                       .value());
    }
  }
  EXPECT_NEAR(other / 1000 / 21, static_cast<double>(instance.share().other_bytes_per_step.value()), 1);
}

TEST(LayerMap, PublishedNumbersOfRequests) {
  // GLM-5.2 on 4 x GB300, 143.2 GB left for KV and index keys, requests of 32K + 1K tokens: 91 with 21 indexers, and 79
  // if each layer had one (published; rounded).
  const Instance instance = Instance::make(glm_on_one_of_eight(64), of_layers(21), of_steps(1000)).value();
  const double kv = static_cast<double>(instance.kv_row_bytes().value()) / 16;
  EXPECT_NEAR(143.2e9 / ((kv + 21 * 132) * 33000), 91, 0.5);
  EXPECT_NEAR(143.2e9 / ((kv + 78 * 132) * 33000), 79, 0.5);
  // What is near of a request beside its KV is these index keys.
  EXPECT_EQ(instance.share().near.selector, Bytes(21LL * 132 * 33000 * 8));

  // gpt-oss-120b, all 36 layers keep all: vLLM's full reservation of 5.38 GiB is 78,384 tokens.
  const std::vector<ConfigEntry> entries{{"model", kConfigs + "gpt-oss-120b", ""},
                                         {"options.near_capacity", "5.38GiB", ""}};
  const TraceMeta all = of_layers(36);
  const Instance oss = Instance::make(resolve_spec(entries, all).value(), all, of_steps(1000)).value();
  EXPECT_EQ(oss.kv_row_bytes(), Bytes(16 * 73728));
  EXPECT_NEAR(static_cast<double>(oss.capacity().value()) / 73728, 78384, 0.005 * 0x1p30 / 73728);
}

TEST(LayerMap, LayersOfTwoSizesNeedNoSizeGiven) {
  InstanceSpec spec;
  spec.hardware = load_hardware("8xb300").value();
  spec.model = load_model("deepseek-v4-pro").value();
  spec.options.gpus = 8;
  spec.options.attention_dp = 8;
  spec.options.batch = 8;
  spec.options.near_blocks_per_layer = 100;
  const Instance instance = Instance::make(spec, of_layers(spec.model->layers), of_steps(10)).value();
  EXPECT_FALSE(instance.has_like_layers());
  EXPECT_EQ(instance.capacity(), instance.kv_row_bytes() * std::int64_t{100});
  Bytes sum;
  for (std::uint32_t layer = 0; layer < instance.layers(); ++layer) {
    const LayerIndex index(layer);
    EXPECT_EQ(instance.layer_capacity(index).value() / instance.kv_block_bytes(index).value(), 100);
    sum += instance.layer_capacity(index);
  }
  EXPECT_LE(sum, instance.capacity());
}

}  // namespace
}  // namespace kvplace
