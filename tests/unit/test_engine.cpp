// What engines and links cost beside bytes, against numbers worked out by hand and one published measurement.
#include <gtest/gtest.h>

#include <string>

#include "kvplace/instance/engine.h"
#include "kvplace/instance/resolve.h"
#include "support/paper_machine.h"

namespace kvplace {
namespace {

constexpr double kMicrosecond = 1e-6;

TraceMeta one_layer() {
  TraceMeta meta;
  meta.layers = 1;
  meta.layout.prompt_tokens = 8;
  return meta;
}

/// Blocks of 1 MB of which 9 are there at the end, weights of 10 MB.
InstanceSpec spec_with(const std::string& engine, std::uint32_t near_blocks = 4) {
  InstanceSpec spec;
  spec.hardware = testing::paper_machine();
  spec.engine = parse_engine(engine, "test").value();
  spec.options.block_bytes = Bytes(1'000'000);
  spec.options.weight_bytes_per_step = Bytes(10'000'000);
  spec.options.near_blocks_per_layer = near_blocks;
  return spec;
}

Instance instance_of(const InstanceSpec& spec) {
  return Instance::make(spec, one_layer(), {.steps = 1, .blocks_per_layer = 9, .reads = 5, .digest = ""}).value();
}

/// A step that reads so many MB from near and from far beside the weights, in microseconds.
double step_of(const Instance& instance, std::int64_t near, std::int64_t far) {
  Loads loads = instance.fixed_loads(StepIndex(0), LayerIndex(0));
  loads.add(Transfer::kReadNear, Bytes(near * 1'000'000), near);
  loads.add(Transfer::kReadFar, Bytes(far * 1'000'000), far);
  return instance.step_time()(loads).value() / kMicrosecond;
}

TEST(Engine, AnIdealOneCostsItsBytes) {
  const Instance instance = instance_of(spec_with(""));
  EXPECT_DOUBLE_EQ(step_of(instance, 4, 0), 14 / 4.9);
  EXPECT_FALSE(instance.step_time().has_costs());
  EXPECT_TRUE(instance.tiered());
}

TEST(Engine, WeightsAndKvReachSharesOfTheirOwn) {
  const Instance instance = instance_of(spec_with("weights_efficiency = 0.8\nkv_efficiency = 0.5"));
  EXPECT_NEAR(step_of(instance, 4, 0), (10 / 0.8 + 4 / 0.5) / 4.9, 1e-9);
  EXPECT_NEAR(instance.bound_time()(instance.fixed_loads(StepIndex(0), LayerIndex(0))).value(), 10e6 / 4900e9, 1e-18);
}

TEST(Engine, OverheadsAreOfLayersStepsAndTiers) {
  const std::string engine = "layer_overhead = \"3us\"\nstep_overhead = \"5us\"\ntiered_overhead = \"7us\"";
  const Instance tiered = instance_of(spec_with(engine, 8));
  EXPECT_NEAR(step_of(tiered, 0, 0), 10 / 4.9 + 15, 1e-9);
  EXPECT_NEAR(tiered.all_near_time()(tiered.fixed_loads(StepIndex(0), LayerIndex(0))).value() / kMicrosecond, 10 / 4.9 + 8, 1e-9);
  const Instance all_near = instance_of(spec_with(engine, 9));
  EXPECT_FALSE(all_near.tiered());
  EXPECT_NEAR(step_of(all_near, 0, 0), 10 / 4.9 + 8, 1e-9);
}

TEST(Engine, LatencyIsChargedOnceWhereAnythingIsReadFromFar) {
  InstanceSpec spec = spec_with("");
  spec.hardware.far.latency = Seconds(20 * kMicrosecond);
  const Instance instance = instance_of(spec);
  EXPECT_NEAR(step_of(instance, 4, 0), 14 / 4.9, 1e-9);
  EXPECT_NEAR(step_of(instance, 3, 1), 20 + 1 / 0.45, 1e-9);
  EXPECT_NEAR(step_of(instance, 1, 3), 20 + 3 / 0.45, 1e-9);
}

TEST(Engine, ASplitWeighsTheLatencyOfItsFirstByte) {
  InstanceSpec spec = spec_with("");
  const Movable all{{Bytes(4'000'000), 4}, {}};
  for (const double latency : {0.0, 0.5, 1.0, 2.0, 4.0}) {
    spec.hardware.far.latency = Seconds(latency * kMicrosecond);
    const Instance instance = instance_of(spec);
    Loads near = instance.fixed_loads(StepIndex(0), LayerIndex(0));
    near.add(Transfer::kReadNear, Bytes(4'000'000), 4);
    double best = step_of(instance, 4, 0);
    for (int bytes = 1; bytes <= 4000; ++bytes) {
      Loads loads = near;
      loads.add(Transfer::kReadNear, Bytes(-1000 * bytes), 0);
      loads.add(Transfer::kReadFar, Bytes(1000 * bytes), 0);
      best = std::min(best, instance.step_time()(loads).value() / kMicrosecond);
    }
    EXPECT_NEAR(best_split(instance.step_time(), near, all).time.value() / kMicrosecond, best, 1e-3);
    EXPECT_NEAR(split_time(instance.step_time(), near, all.reads, 1) / kMicrosecond, best, 1e-3);
    EXPECT_NEAR(instance.step_time()(split_loads(instance.step_time(), near, all.reads, 1)).value() / kMicrosecond,
                best, 1e-3);
  }
}

TEST(Engine, BoundsCountItsCostsIfTheyAreAskedTo) {
  InstanceSpec spec = spec_with("weights_efficiency = 0.8\nkv_efficiency = 0.5\nlayer_overhead = \"3us\"");
  spec.hardware.far.latency = Seconds(kMicrosecond);
  spec.options.bound_costs = BoundCosts::kEngine;
  const Instance instance = instance_of(spec);
  const Instance machine = instance.for_bounds();
  EXPECT_FALSE(machine.step_time().has_costs());
  Loads loads = machine.weight_loads();
  loads.add(Transfer::kReadNear, Bytes(4'000'000), 4);
  const double time = machine.step_time()(loads).value() / kMicrosecond;
  EXPECT_LE(time, step_of(instance, 4, 0));
  EXPECT_NEAR(time, step_of(instance, 4, 0), 1e-5);
  spec.options.bound_costs = BoundCosts::kPeak;
  EXPECT_EQ(instance_of(spec).for_bounds().weight_loads(), instance.fixed_loads(StepIndex(0), LayerIndex(0)));
}

TEST(Engine, WhatTheHostComputesCrossesNoLink) {
  InstanceSpec spec = spec_with("far_computes = true\nfar_efficiency = 0.5");
  spec.options.weights_near = 0.6;
  const Instance instance = instance_of(spec);
  EXPECT_EQ(instance.fixed_loads(StepIndex(0), LayerIndex(0)).on(Channel::kFarLinkRead), 0);
  EXPECT_NEAR(step_of(instance, 0, 0), 4 / 0.5 / 0.5, 1e-9);
}

TEST(LinkPieces, UnalignedRowsTakeTwelveTimesAsLong) {
  // 54 x 170 rows over PCIe 5: 117 us of 640 bytes, 1578 us of 656 (SGLang PR 37617).
  Hardware hardware = testing::paper_machine();
  hardware.far.link_read_by_size = parse_link_by_size("640B=50.2GB/s, 656B=3.816GB/s").value();
  constexpr double kRows = 54 * 170;
  for (const auto& [bytes, microseconds] : {std::pair{640, 117.0}, std::pair{656, 1578.0}}) {
    InstanceSpec spec = spec_with("");
    spec.hardware = hardware;
    spec.options.block_bytes = Bytes(bytes);
    spec.options.weight_bytes_per_step = Bytes(0);
    const Instance instance = instance_of(spec);
    Loads loads;
    loads.add(Transfer::kReadFar, Bytes(static_cast<std::int64_t>(kRows) * bytes), static_cast<std::int64_t>(kRows));
    EXPECT_NEAR(instance.step_time()(loads).value() / kMicrosecond, microseconds, 0.01 * microseconds);
  }
}

TEST(LinkPieces, SizesBetweenTwoAreLinearInTheirLogarithm) {
  Hardware hardware = testing::paper_machine();
  hardware.far.link_read_by_size = parse_link_by_size("4KiB=40GB/s,1KiB=20GB/s").value();
  EXPECT_DOUBLE_EQ(hardware.link_read_of(Bytes(1024)).value(), 20e9);
  EXPECT_DOUBLE_EQ(hardware.link_read_of(Bytes(2048)).value(), 30e9);
  EXPECT_DOUBLE_EQ(hardware.link_read_of(Bytes(1 << 20)).value(), 40e9);
  EXPECT_DOUBLE_EQ(hardware.link_read_of(Bytes(512)).value(), 10e9);  // as many pieces per second
  hardware.far.link_read.spec = BytesPerSecond(25e9);                 // which no piece exceeds
  EXPECT_DOUBLE_EQ(hardware.link_read_of(Bytes(1 << 20)).value(), 25e9);
}

TEST(LinkPieces, GranulesAreWholeAndHaveHeaders) {
  Hardware hardware = testing::paper_machine();
  hardware.far.link_granule = Bytes(64);
  hardware.far.link_header = Bytes(16);
  EXPECT_DOUBLE_EQ(hardware.link_read_of(Bytes(656)).value(), 450e9 * 656 / (11 * 80));
  EXPECT_DOUBLE_EQ(hardware.link_read_of(Bytes(640)).value(), 450e9 * 640 / (10 * 80));
}

TEST(LinkPieces, ComeFromATableOfAFileAndAreWrittenAgain) {
  const std::string document =
      "[near]\ncapacity = \"1GB\"\nbandwidth = \"1TB/s\"\n[far]\ncapacity = \"1GB\"\nbandwidth = \"1TB/s\"\n"
      "link_read = \"64GB/s\"\nlink_write = \"64GB/s\"\nlatency = \"10us\"\n"
      "link_read_by_size = { \"656B\" = \"4GB/s\", \"4KiB\" = \"45GB/s\" }\n";
  const Hardware hardware = parse_hardware(document, "test.toml").value();
  EXPECT_EQ(format_link_by_size(hardware.far.link_read_by_size), "656B=4GB/s, 4KiB=45GB/s");
  EXPECT_EQ(parse_link_by_size("656B=4GB/s, 4KiB=45GB/s").value(), hardware.far.link_read_by_size);
  EXPECT_DOUBLE_EQ(hardware.far.latency.value(), 10e-6);
  EXPECT_FALSE(parse_hardware(document + "link_granule = \"64B\"\n", "test.toml"));
  EXPECT_FALSE(parse_link_by_size("656B"));
  EXPECT_FALSE(parse_link_by_size("656B=0GB/s"));
}

TEST(EnginePresets, LoadAndSayWhereEachFigureComesFrom) {
  const std::vector<std::string> names = engine_names();
  for (const char* name :
       {"sglang", "vllm", "trtllm", "llama.cpp", "ktransformers", "sglang-hisparse", "vllm-hisparse"}) {
    EXPECT_TRUE(std::binary_search(names.begin(), names.end(), name)) << name;
  }
  for (const std::string& name : names) {
    const Result<Engine> engine = load_engine(name);
    ASSERT_TRUE(engine) << engine.error().message;
    EXPECT_EQ(engine->name, name);
    EXPECT_EQ(engine->policy.empty(), engine->tiering != Tiering::kKv) << name;
    for (const Field<Engine>& field : engine_fields()) {
      if (field.key != "name" && field.key != "description" && field.get(*engine) != field.get(Engine())) {
        const std::string source = engine->provenance.contains(field.key) ? engine->provenance.at(field.key) : "";
        EXPECT_TRUE(source.starts_with("spec: ") || source.starts_with("measured: ") ||
                    source.starts_with("estimated: "))
            << name << ": " << field.key << " = " << source;
      }
    }
    for (const ConfigEntry& entry : engine->on_machines) {
      EXPECT_TRUE(engine->provenance.contains(entry.key)) << name << ": " << entry.key;
    }
  }
}

TEST(EnginePresets, DifferWhereAMachineDoes) {
  const Engine engine =
      parse_engine("kv_efficiency = 0.7\n[machine.8xh200]\nkv_efficiency = 0.5\nlayer_overhead = \"1us\"", "e").value();
  EXPECT_EQ(engine.on("8xh200").value().kv_efficiency, 0.5);
  EXPECT_EQ(engine.on("8xh100").value().kv_efficiency, 0.7);
  EXPECT_EQ(engine.on("8xh100").value().layer_overhead, Seconds(0));
  EXPECT_FALSE(parse_engine("[machine.8xh200]\nkv_efficiency = 1.5", "e"));
  EXPECT_FALSE(parse_engine("[machine.8xh200]\nkv_eficiency = 0.5", "e"));
}

TEST(Engine, IsResolvedPrintedAndReadBack) {
  const std::vector<ConfigEntry> entries{{"hardware", "8xh200", "--hardware"},
                                         {"engine", "sglang-hisparse", "--engine"},
                                         {"engine.kv_efficiency", "0.6", "--set"}};
  const InstanceSpec spec = resolve_spec(entries, {}).value();
  EXPECT_EQ(spec.engine.name, "sglang-hisparse");
  EXPECT_EQ(spec.engine.kv_efficiency, 0.6);
  EXPECT_EQ(spec.options.overlap, Overlap::kNone);  // as it stages
  const InstanceSpec again = resolve_spec(parse_toml(to_toml(spec), "printed").value(), {}).value();
  EXPECT_EQ(again.engine, spec.engine);
  EXPECT_EQ(again.options.overlap, Overlap::kNone);

  std::vector<ConfigEntry> with_overlap = entries;
  with_overlap.insert(with_overlap.begin(), {"options.overlap", "full", "--overlap"});
  EXPECT_EQ(resolve_spec(with_overlap, {}).value().options.overlap, Overlap::kFull);
  EXPECT_EQ(resolve_spec({}, {}).value().engine, Engine());
  EXPECT_FALSE(resolve_spec(std::vector<ConfigEntry>{{"engine.kv_efficiency", "1.2", "--set"}}, {}));
  EXPECT_FALSE(resolve_spec(std::vector<ConfigEntry>{{"engine", "sglnag", "--engine"}}, {}));
}

}  // namespace
}  // namespace kvplace
