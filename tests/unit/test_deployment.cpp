// One GPU's share of a deployment, beside sums written out by hand, and its limits.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "kvplace/instance/instance.h"
#include "kvplace/instance/layer_map.h"
#include "kvplace/instance/resolve.h"
#include "kvplace/model/report.h"

namespace kvplace {
namespace {

const std::string kConfigs = std::string(KVPLACE_SOURCE_DIR) + "/tests/data/configs/";

TraceMeta meta_of(std::uint32_t layers, std::uint32_t prompt_tokens = 32768) {
  TraceMeta meta;
  meta.layers = layers;
  meta.layout.block_tokens = 64;
  meta.layout.prompt_tokens = prompt_tokens;
  return meta;
}

TraceTotals totals_of(std::uint32_t steps = 1024) { return {steps, 600, 1, "digest", nullptr}; }

InstanceSpec spec_of(const std::string& hardware, const std::string& model, std::uint32_t batch) {
  InstanceSpec spec;
  spec.hardware = load_hardware(hardware).value();
  spec.model = load_model(model).value();
  spec.options.batch = batch;
  return spec;
}

TEST(Deployment, WeightsGrowWithTheBatchByDistinctExperts) {
  // DeepSeek-R1 in fp8 on 8 H200, 38.4 TB/s: 4.2 ms of weights for 8 requests, 15.2 ms for 64.
  InstanceSpec spec = spec_of("8xh200", "deepseek-v3.2", 8);
  spec.model = load_model("kimi-k2").value();  // any model's layers; those of V3 follow
  LayerGroup dense;
  dense.at = "0-2";
  dense.kind = "mla";
  dense.latent_dim = 512;
  dense.rope_dim = 64;
  dense.kv_bytes_per_token = Bytes(1152);
  dense.dense_weight_bytes = Bytes(583483392);
  LayerGroup sparse = dense;
  sparse.at = "3-60";
  sparse.dense_weight_bytes = Bytes(232996864);
  sparse.experts = 256;
  sparse.experts_per_token = 8;
  sparse.expert_bytes = Bytes(44040192);
  spec.model->groups = {dense, sparse};
  spec.model->weight_bytes = Bytes(671026404352);
  spec.options.gpus = 8;
  for (const auto& [batch, milliseconds] : {std::pair{8u, 4.2}, std::pair{64u, 15.2}}) {
    spec.options.batch = batch;
    const Result<GpuShare> share = share_of_one_gpu(spec, meta_of(61), totals_of());
    ASSERT_TRUE(share) << share.error().message;
    const double bytes = static_cast<double>(share->weight_bytes_per_step.value()) * 61;
    EXPECT_NEAR(bytes / 4.8e12 * 1e3, milliseconds, 0.05);
    EXPECT_EQ(share->requests, batch);
  }
}

TEST(Deployment, MeanLayersAreAsTheyWereForOneToken) {
  for (const std::string& name : model_names()) {
    InstanceSpec spec = spec_of("h200-sxm-pcie5", name, 1);
    if (!spec.model->groups.empty()) {
      continue;
    }
    const GpuShare share = share_of_one_gpu(spec, meta_of(spec.model->layers), totals_of()).value();
    EXPECT_FALSE(share.deployment);
    EXPECT_EQ(share.weight_bytes_per_step, spec.model->weight_bytes_per_layer_per_step) << name;
    EXPECT_EQ(share.near.weights, spec.model->weight_bytes);
    EXPECT_EQ(share.near.kv, spec.hardware.near.capacity - spec.model->weight_bytes);
    EXPECT_EQ(share.other_bytes_per_step, Bytes(0));
    spec.options.batch = 64;
    const GpuShare many = share_of_one_gpu(spec, meta_of(spec.model->layers), totals_of()).value();
    EXPECT_EQ(many.weight_bytes_per_step > share.weight_bytes_per_step, spec.model->experts.count > 0) << name;
    EXPECT_NEAR(static_cast<double>(many.weight_bytes_per_step.value()),
                weight_bytes_read(*spec.model, 64) / spec.model->layers, 2)
        << name;
  }
}

TEST(Deployment, KvHeadsAreDividedAndReplicated) {
  InstanceSpec spec = spec_of("8xh200", kConfigs + "llama-3.1-70b", 16);
  spec.options.gpus = 8;
  for (const auto& [tp, kv_bytes, requests] :
       {std::tuple{8u, 512, 16u}, std::tuple{4u, 1024, 8u}, std::tuple{2u, 2048, 4u}, std::tuple{1u, 4096, 2u}}) {
    spec.options.attention_tp = tp;
    const GpuShare share = share_of_one_gpu(spec, meta_of(80), totals_of()).value();
    EXPECT_EQ(share.kv_bytes_per_token, Bytes(kv_bytes)) << tp;
    EXPECT_EQ(share.requests, requests) << tp;
    EXPECT_EQ(share.attention_dp, 8 / tp);
    // Dense weights are divided by the heads' GPUs alone.
    EXPECT_NEAR(static_cast<double>(share.near.weights.value()), 2.0 * 70553706496 / tp, 2) << tp;
  }
  // Qwen3-30B-A3B has 4 KV heads: 8 GPUs keep each of them twice.
  spec = spec_of("8xh200", kConfigs + "qwen3-30b-a3b", 16);
  spec.options.gpus = 8;
  EXPECT_EQ(share_of_one_gpu(spec, meta_of(48), totals_of())->kv_bytes_per_token, Bytes(2048 / 4));
  // MLA is on each GPU whole.
  spec = spec_of("8xh200", kConfigs + "deepseek-v3", 16);
  spec.options.gpus = 8;
  EXPECT_EQ(share_of_one_gpu(spec, meta_of(61), totals_of())->kv_bytes_per_token, Bytes(1152));
}

TEST(Deployment, NearMemoryIsASum) {
  InstanceSpec spec = spec_of("8xh200", "glm-5.2", 32);
  spec.options.gpus = 8;
  spec.options.attention_dp = 8;
  const GpuShare share = share_of_one_gpu(spec, meta_of(78), totals_of()).value();
  const NearBudget& near = share.near;
  EXPECT_EQ(near.memory,
            near.weights + near.reserve + near.selector + near.state + near.window + near.other_kv + near.kv);
  EXPECT_EQ(near.reserve, Bytes(14'100'000'000));
  EXPECT_EQ(near.selector, Bytes(21LL * 132 * (32768 + 1024) * 4));  // of 4 requests
  const Model& model = *spec.model;
  double experts = 0;
  for (const LayerGroup& group : model.groups) {
    experts += num_layers(group) * static_cast<double>(group.expert_bytes.value()) * group.experts;
  }
  const double dense = static_cast<double>(model.weight_bytes.value()) - experts;
  EXPECT_NEAR(static_cast<double>(near.weights.value()), dense + experts / 8, 2);
  // Index keys are read in full: at the mean context.
  EXPECT_NEAR(static_cast<double>(share.other_bytes_per_step.value()), 21.0 * 132 * (32768 + 512.5) * 4 / 78, 1);
}

TEST(Deployment, WindowsAndStatesTakeRoomAndTime) {
  InstanceSpec spec = spec_of("h200-sxm-pcie5", kConfigs + "gpt-oss-120b", 10);
  spec.model->weight_bytes = Bytes(0);
  const GpuShare full = share_of_one_gpu(spec, meta_of(18), totals_of()).value();  // the trace has the full layers
  EXPECT_EQ(full.near.window, Bytes(10LL * 18 * 128 * 2048));
  EXPECT_EQ(full.other_bytes_per_step, Bytes(10LL * 128 * 2048));  // one window behind each traced layer
  EXPECT_NEAR(static_cast<double>(full.weight_bytes_per_step.value()), weight_bytes_read(*spec.model, 10) / 18, 1);
  const GpuShare all = share_of_one_gpu(spec, meta_of(36), totals_of()).value();  // it has the windows as well
  EXPECT_EQ(all.near.window, Bytes(0));
  EXPECT_EQ(all.other_bytes_per_step, Bytes(0));
  // A window is never longer than the text.
  const GpuShare brief = share_of_one_gpu(spec, meta_of(18, 10), totals_of(20)).value();
  EXPECT_EQ(brief.near.window, Bytes(10LL * 18 * 30 * 2048));

  spec = spec_of("h200-sxm-pcie5", "qwen3-next-80b-a3b", 3);
  const GpuShare hybrid = share_of_one_gpu(spec, meta_of(12), totals_of()).value();
  const std::int64_t state = 32LL * 128 * 128 * 4 + (2 * 16 * 128 + 32 * 128) * 3LL * 2;
  EXPECT_EQ(hybrid.near.state, Bytes(36 * 3 * state));
  EXPECT_EQ(hybrid.other_bytes_per_step, Bytes(3 * 3 * state));
}

TEST(Deployment, LayersOutsideTheTraceKeepTheirKvNear) {
  // A trace of the 30 layers with an indexer of DeepSeek-V4-Pro; 31 heavily compressed layers are read whole.
  InstanceSpec spec = spec_of("8xb300", "deepseek-v4-pro", 8);
  spec.options.gpus = 8;
  spec.options.attention_dp = 8;
  spec.options.expert_parallel = true;
  const GpuShare share = share_of_one_gpu(spec, meta_of(30), totals_of()).value();
  EXPECT_EQ(share.kv_bytes_per_token, Bytes(256));
  EXPECT_EQ(share.layers.size(), 30U);
  // A layer that is read whole runs in the step of the one before it: 8 bytes of each token, and the index keys.
  const std::int64_t index_keys =
      layers_of(*spec.model)[map_layers(*spec.model, meta_of(30)).reads[3][0]].selector_bytes_per_token.value();
  EXPECT_EQ(share.layers[3].other_bytes_per_token, Bytes(index_keys + 8));
  EXPECT_EQ(share.near.other_kv, Bytes(31LL * 8 * (32768 + 1024)));
  EXPECT_EQ(share.near.window, Bytes(61LL * 128 * 1024));
  // A trace of all of them has blocks of two sizes.
  const Instance all = Instance::make(spec, meta_of(61), totals_of()).value();
  EXPECT_EQ(all.block_sizes(), (std::vector<Bytes>{Bytes(8 * 64), Bytes(256 * 64)}));
}

TEST(Deployment, FarMemoryIsSharedAndTheLinkIsNot) {
  const Hardware node = load_hardware("8xh200").value();
  const Hardware one = node.of_one_gpu();
  EXPECT_EQ(one.far.capacity, Bytes(node.far.capacity.value() / 8));
  EXPECT_DOUBLE_EQ(one.far.bandwidth.spec.value(), node.far.bandwidth.spec.value() / 8);
  EXPECT_EQ(one.far.link_read.spec, node.far.link_read.spec);
  EXPECT_EQ(one.near.capacity, node.near.capacity);
}

TEST(Deployment, TokensAreOfAllGroupsAndLoadsOfOneGpu) {
  InstanceSpec spec = spec_of("8xh200", kConfigs + "llama-3.1-70b", 13);
  spec.options.gpus = 8;
  spec.options.attention_dp = 4;
  const Instance instance = Instance::make(spec, meta_of(80), totals_of()).value();
  EXPECT_EQ(instance.all_requests(), 13u);
  EXPECT_EQ(instance.options().batch, 4u);  // of the slowest group
  EXPECT_EQ(instance.kv_block_bytes(LayerIndex(0)), Bytes(2048 * 64));
  EXPECT_EQ(instance.with_start(Start::kFree).options().start, Start::kFree);
  EXPECT_EQ(instance.with_start(Start::kFree).options().batch, 4u);
}

TEST(Deployment, WhatDoesNotDivideIsOneSentence) {
  const auto refusal = [](const InstanceSpec& spec, std::uint32_t layers) {
    const Result<GpuShare> share = share_of_one_gpu(spec, meta_of(layers), totals_of());
    return share ? std::string("taken") : share.error().message;
  };
  InstanceSpec llama = spec_of("8xh200", kConfigs + "llama-3.1-70b", 8);
  llama.options.gpus = 3;
  EXPECT_EQ(refusal(llama, 80),
            "3 GPUs do not divide the 64 query heads of llama-3.1-70b: give another --gpus or --attention-tp");
  llama.options.gpus = 9;
  EXPECT_EQ(refusal(llama, 80), "--gpus 9 are more than the 8 of 8xh200: a deployment is within one node");
  llama.options.gpus = 8;
  llama.options.attention_tp = 4;
  llama.options.attention_dp = 4;
  EXPECT_EQ(refusal(llama, 80), "--gpus 8 are not --attention-tp 4 x --attention-dp 4");
  llama.options.attention_dp.reset();
  llama.options.expert_parallel = true;
  EXPECT_EQ(refusal(llama, 80), "--expert-parallel needs a model with routed experts");
  InstanceSpec qwen = spec_of("8xh200", kConfigs + "qwen3-30b-a3b", 8);
  qwen.options.gpus = 6;
  qwen.options.attention_dp = 3;
  EXPECT_EQ(refusal(qwen, 48), "taken");
  qwen.options.expert_parallel = true;
  EXPECT_EQ(refusal(qwen, 48),
            "6 GPUs do not divide the 128 experts of qwen3-30b-a3b: give another --gpus, or no --expert-parallel");
  InstanceSpec none;
  none.hardware = load_hardware("8xh200").value();
  none.options.gpus = 2;
  EXPECT_NE(refusal(none, 4).find("needs --model"), std::string::npos);
}

TEST(Deployment, WhatDoesNotFitIsListed) {
  InstanceSpec spec = spec_of("8xh100", "glm-5.2", 8);
  spec.options.gpus = 8;
  const Result<Instance> instance = Instance::make(spec, meta_of(78), totals_of());
  ASSERT_FALSE(instance);
  EXPECT_NE(instance.error().message.find("86.8 GiB of weights"), std::string::npos) << instance.error().message;
  EXPECT_NE(instance.error().message.find("7.45 GiB of a reserve"), std::string::npos) << instance.error().message;
}

TEST(Deployment, MeasuredExpertsTakeThePlaceOfUniformRouting) {
  InstanceSpec spec = spec_of("h200-sxm-pcie5", kConfigs + "qwen3-30b-a3b", 8);
  spec.options.experts_read = 0.25;
  const GpuShare share = share_of_one_gpu(spec, meta_of(48), totals_of()).value();
  EXPECT_EQ(share.distinct_experts, 32);
  EXPECT_EQ(share.weight_bytes_per_step, Bytes(2 * (19140864 + 32LL * 4718592)));
}

}  // namespace
}  // namespace kvplace
