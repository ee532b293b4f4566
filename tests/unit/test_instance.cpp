// From what a user types to the numbers of an instance.
#include <gtest/gtest.h>

#include "kvplace/instance/instance.h"
#include "kvplace/instance/resolve.h"
#include "support/paper_machine.h"

namespace kvplace {
namespace {

TraceMeta token_trace() {
  TraceMeta meta;
  meta.layers = 10;
  meta.layout = {0, 1, 1, 100};
  meta.block_bytes = Bytes(1000);
  return meta;
}

TraceTotals totals_of(std::uint32_t steps, std::uint32_t blocks) {
  TraceTotals totals;
  totals.steps = steps;
  totals.blocks_per_layer = blocks;
  return totals;
}

InstanceSpec paper_spec() {
  InstanceSpec spec;
  spec.hardware = testing::paper_machine();
  return spec;
}

Instance make(const InstanceSpec& spec, const TraceMeta& meta = token_trace()) {
  return Instance::make(spec, meta, totals_of(50, 150)).value();
}

std::string error_of(const InstanceSpec& spec, const TraceMeta& meta = token_trace()) {
  const Result<Instance> instance = Instance::make(spec, meta, totals_of(50, 150));
  return instance ? std::string() : instance.error().message;
}

TEST(Instance, CapacityInBytesIsTheMachinesAndInBlocksTheRequests) {
  InstanceSpec spec = paper_spec();
  spec.options.batch = 4;
  spec.options.near_capacity = Bytes(80'000);
  EXPECT_EQ(make(spec).capacity(), Bytes(20'000));
  spec.options.near_capacity.reset();
  spec.options.near_blocks_per_layer = 7;
  EXPECT_EQ(make(spec).capacity(), Bytes(70'000));
  spec.options.near_blocks_per_layer.reset();
  spec.options.near_fraction = 0.5;
  EXPECT_EQ(make(spec).capacity(), Bytes(750'000));
}

TEST(Instance, CapacityDefaultsToNearMemoryLessWeights) {
  InstanceSpec spec = paper_spec();
  spec.hardware.near.capacity = Bytes(1'000'000);
  spec.model = load_model("smollm2-135m").value();
  spec.model->weight_bytes = Bytes(400'000);
  EXPECT_EQ(make(spec).capacity(), Bytes(600'000));
  spec.options.weights_near = 0.5;
  EXPECT_EQ(make(spec).capacity(), Bytes(800'000));
  spec.options.weights_near = 1;
  spec.model->weight_bytes = Bytes(2'000'000);
  EXPECT_NE(error_of(spec).find("do not fit"), std::string::npos);
}

TEST(Instance, BlockSizeComesFromTheOptionThenTheModelThenTheTrace) {
  TraceMeta meta = token_trace();
  meta.layout.block_tokens = 16;
  InstanceSpec spec = paper_spec();
  EXPECT_EQ(make(spec, meta).kv_block_bytes(LayerIndex(0)), Bytes(1000));
  EXPECT_EQ(make(spec, meta).new_kv_bytes(LayerIndex(0)), Bytes(63));  // 1000 / 16, rounded up
  spec.model = load_model("smollm2-135m").value();
  EXPECT_EQ(make(spec, meta).kv_block_bytes(LayerIndex(0)), Bytes(16 * 768));
  EXPECT_EQ(make(spec, meta).new_kv_bytes(LayerIndex(0)), Bytes(768));
  spec.options.block_bytes = Bytes(4096);
  EXPECT_EQ(make(spec, meta).kv_block_bytes(LayerIndex(0)), Bytes(4096));
  meta.block_bytes.reset();
  EXPECT_NE(error_of(paper_spec(), meta).find("--block-bytes"), std::string::npos);
}

TEST(Instance, WeightsPartlyFarLoadBothSides) {
  InstanceSpec spec = paper_spec();
  spec.options.weight_bytes_per_step = Bytes(1000);
  spec.options.weights_near = 0.75;
  const Loads loads = make(spec).fixed_loads(StepIndex(0), LayerIndex(0));
  EXPECT_EQ(loads.on(Channel::kNearMem), 750);
  EXPECT_EQ(loads.on(Channel::kFarLinkRead), 250);
  EXPECT_EQ(loads.on(Channel::kFarMem), 250);
}

TEST(Instance, ExpertsNeedTheirSizeAndABatchOfOne) {
  TraceMeta meta = token_trace();
  meta.layout.experts = 8;
  InstanceSpec spec = paper_spec();
  EXPECT_NE(error_of(spec, meta).find("bytes_per_expert"), std::string::npos);
  spec.model = load_model("mixtral-8x7b").value();
  spec.options.near_blocks_per_layer = 3;
  const Instance instance = make(spec, meta);
  EXPECT_FALSE(instance.uniform());
  EXPECT_EQ(instance.block_bytes(LayerIndex(0), BlockId(7)), spec.model->experts.bytes_per_expert);
  EXPECT_EQ(instance.block_bytes(LayerIndex(0), BlockId(8)), spec.model->kv_bytes_per_token_per_layer);
  // Routed experts are blocks of the trace, so they are not weights as well.
  EXPECT_EQ(instance.weight_bytes_per_step(),
            spec.model->weight_bytes_per_layer_per_step - spec.model->experts.bytes_per_expert * std::int64_t{2});
  spec.options.batch = 2;
  EXPECT_NE(error_of(spec, meta).find("--batch must be 1"), std::string::npos);
}

TEST(Instance, AModelBegunByFieldsTakesTheRestFromTheTrace) {
  TraceMeta meta = token_trace();
  meta.layout = {8, 1, 16, 100};
  const ConfigEntry experts{"model.experts.bytes_per_expert", "1MB", kSetFlag};
  InstanceSpec spec = resolve_spec(std::vector{experts}, meta).value();
  spec.hardware = testing::paper_machine();
  const Instance instance = make(spec, meta);
  EXPECT_EQ(instance.spec().model->layers, 10u);
  EXPECT_EQ(instance.kv_block_bytes(LayerIndex(0)), Bytes(1000));
  EXPECT_EQ(instance.block_bytes(LayerIndex(0), BlockId(7)), Bytes(1'000'000));
  EXPECT_TRUE(instance.notes().empty());
  meta.block_bytes.reset();
  EXPECT_NE(error_of(spec, meta).find("--block-bytes SIZE"), std::string::npos);
  spec.options.block_bytes = Bytes(4096);
  EXPECT_EQ(make(spec, meta).kv_block_bytes(LayerIndex(0)), Bytes(4096));
  spec.options.block_bytes.reset();
  meta.layout = {150, 1, 1, 0};  // experts alone
  EXPECT_EQ(make(spec, meta).kv_block_bytes(LayerIndex(0)), Bytes(1'000'000));
}

TEST(Instance, StartsWithTheNewestPromptBlocks) {
  InstanceSpec spec = paper_spec();
  spec.options.near_blocks_per_layer = 3;
  std::vector<BlockIndex> near = make(spec).initial_near();
  ASSERT_EQ(near.size(), 30u);
  EXPECT_EQ(near.front(), BlockIndex(97));           // layer 0, block 97
  EXPECT_EQ(near.back(), BlockIndex(9 * 150 + 99));  // layer 9, block 99
  spec.options.near_blocks_per_layer = 140;          // more than the prompt has
  EXPECT_EQ(make(spec).initial_near().size(), 1000u);
  spec.options.start = Start::kEmpty;
  EXPECT_TRUE(make(spec).initial_near().empty());
}

TEST(Instance, AbsurdSizesAreRefused) {
  InstanceSpec spec = paper_spec();
  spec.options.block_bytes = Bytes(std::int64_t{1} << 60);
  EXPECT_NE(error_of(spec).find("exceed"), std::string::npos);
  spec = paper_spec();
  spec.options.near_capacity = Bytes(1);
  spec.options.near_fraction = 0.1;
  EXPECT_NE(error_of(spec).find("only one"), std::string::npos);
}

TEST(Resolve, LaterEntriesWinAndErrorsNameTheNearestKey) {
  const TraceMeta meta = token_trace();
  const auto resolve = [&](std::vector<ConfigEntry> entries) { return resolve_spec(entries, meta); };
  const InstanceSpec spec = resolve({{"hardware.near.capacity", "1GB", "c.toml:1"},
                                     {"hardware", "gh200-96", "--hardware"},
                                     {"hardware.far.link_read", "55GB/s", "--set"},
                                     {"options.batch", "2", "c.toml:1"},
                                     {"options.batch", "3", "--batch"}})
                                .value();
  EXPECT_EQ(spec.hardware.name, "gh200-96");
  EXPECT_EQ(spec.hardware.near.capacity, load_hardware("gh200-96").value().near.capacity);
  EXPECT_EQ(spec.hardware.far.link_read.spec, BytesPerSecond(55e9));
  EXPECT_EQ(spec.options.batch, 3u);
  EXPECT_NE(resolve({{"options.bach", "2", "--set"}}).error().message.find("\"options.batch\""), std::string::npos);
  EXPECT_NE(resolve({{"hardwear", "x", "--set"}}).error().message.find("\"hardware\""), std::string::npos);
  EXPECT_NE(resolve({{"options.mode", "both", "--mode"}}).error().message.find("inclusive or exclusive"),
            std::string::npos);
  EXPECT_NE(resolve({{"options.batch", "0", "--batch"}}).error().message.find("1 to 2^20"), std::string::npos);
}

TEST(Resolve, TheTracesOwnModelIsUsedUnlessOneIsNamed) {
  TraceMeta meta = token_trace();
  meta.model = "smollm2-135m";
  EXPECT_EQ(resolve_spec({}, meta).value().model->name, "smollm2-135m");
  const std::vector<ConfigEntry> named{{"model", "qwen3-8b", "--model"}};
  EXPECT_EQ(resolve_spec(named, meta).value().model->name, "qwen3-8b");
  meta.model = "my-own-model";
  EXPECT_FALSE(resolve_spec({}, meta).value().model);
}

TEST(Resolve, ThePrintedConfigurationGivesTheSameSpec) {
  TraceMeta meta = token_trace();
  const std::vector<ConfigEntry> entries{{"hardware", "gb300", ""},
                                         {"model", "deepseek-v3.2", ""},
                                         {"hardware.figures", "measured", ""},
                                         {"hardware.interference", "0.08", ""},
                                         {"hardware.step_overhead", "3us", ""},
                                         {"options.near_fraction", "0.3", ""},
                                         {"options.weights_near", "0", ""},
                                         {"options.new_kv", "false", ""},
                                         {"options.seed", "7", ""},
                                         {"options.mirrored_reads", "split", ""}};
  const InstanceSpec spec = resolve_spec(entries, meta).value();
  const std::string text = to_toml(spec);
  const InstanceSpec again = resolve_spec(parse_toml(text, "printed").value(), meta).value();
  EXPECT_EQ(to_toml(again), text);
  EXPECT_EQ(again.hardware.step_overhead, spec.hardware.step_overhead);
  EXPECT_EQ(again.options.weights_near, 0);
}

}  // namespace
}  // namespace kvplace
