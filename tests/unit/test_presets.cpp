// The presets: all load, say where each figure comes from, and keep the relations that hold between figures.
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/presets.h"
#include "kvplace/hardware/hardware.h"
#include "kvplace/model/model.h"

namespace kvplace {
namespace {

TEST(HardwarePresets, AllThatTheFieldAsksForAreThere) {
  const std::vector<std::string> names = hardware_names();
  for (const char* name :
       {"fang2025",       "gh200-96",      "gh200-144",     "gb200",        "gb300",       "h100-sxm-pcie5",
        "h200-sxm-pcie5", "b200-pcie5",    "b300-pcie6",    "mi300x-pcie5", "mi300a",      "a100-80-pcie4",
        "rtx4090-pcie4",  "rtx5090-pcie5", "xeon-max-9480", "ddr5-cxl",     "dram-nvme",   "8xh100",
        "8xh200",         "8xb200",        "8xb300",        "gb200-nvl4",   "gb300-nvl4",  "4xl40s",
        "8xascend-910c",  "8xmi355x",      "8xrtxpro6000",  "dgx-spark",    "gb200-nvl72", "gb300-nvl72",
        "rtx3090-pcie4",  "strix-halo",    "xeon6-cxl"}) {
    EXPECT_TRUE(std::binary_search(names.begin(), names.end(), name)) << name;
  }
}

TEST(HardwarePresets, EveryFigureHasItsSource) {
  for (const std::string& name : hardware_names()) {
    const Result<Hardware> hardware = load_hardware(name);
    ASSERT_TRUE(hardware) << hardware.error().message;
    EXPECT_EQ(hardware->name, name);
    for (const Field<Hardware>& field : hardware_fields()) {
      const bool is_figure =
          field.key.starts_with("near.") || (field.key.starts_with("far.") && field.key != "far.name");
      if (is_figure && !field.get(*hardware).empty()) {
        const std::string source = hardware->provenance.contains(field.key) ? hardware->provenance.at(field.key) : "";
        EXPECT_TRUE(source.starts_with("spec: ") || source.starts_with("measured: ") ||
                    source.starts_with("estimated: "))
            << name << ": " << field.key << " = " << source;
      }
    }
  }
}

TEST(HardwarePresets, NothingMeasuredExceedsItsSpecification) {
  for (const std::string& name : hardware_names()) {
    const Hardware hardware = load_hardware(name).value();
    for (const Rate& rate :
         {hardware.near.bandwidth, hardware.far.bandwidth, hardware.far.link_read, hardware.far.link_write}) {
      EXPECT_LE(rate.measured, rate.spec) << name;
      EXPECT_GT(rate.spec.value(), 1e9) << name;
      EXPECT_LT(rate.spec.value(), 1e14) << name;
    }
  }
}

TEST(HardwarePresets, MeasuredFiguresAreUsedOnRequest) {
  Hardware hardware = load_hardware("gh200-96").value();
  const BytesPerSecond specified = hardware.effective(hardware.far.link_read);
  hardware.figures = Figures::kMeasured;
  EXPECT_LT(hardware.effective(hardware.far.link_read), specified);
  // Where nothing was measured, the specified figure stands in.
  EXPECT_EQ(hardware.effective({BytesPerSecond(5), BytesPerSecond(0)}), BytesPerSecond(5));
}

TEST(HardwarePresets, ThePapersMachine) {
  const Hardware h = load_hardware("fang2025").value();
  EXPECT_EQ(h.near.bandwidth.spec, BytesPerSecond(4900e9));
  EXPECT_EQ(h.far.bandwidth.spec, BytesPerSecond(500e9));
  EXPECT_EQ(h.far.link_read.spec, BytesPerSecond(450e9));
  EXPECT_EQ(h.far.link_write.spec, BytesPerSecond(450e9));
}

TEST(ModelPresets, KvBytesAreThoseOfTheShape) {
  for (const std::string& name : model_names()) {
    const Result<Model> model = load_model(name);
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(model->name, name);
    const bool entry_per_token = std::all_of(model->groups.begin(), model->groups.end(),
                                             [](const LayerGroup& group) { return group.tokens_per_entry <= 1; });
    if (entry_per_token) {
      EXPECT_EQ(model->kv_bytes_per_token_per_layer, kv_bytes_of_shape(model->attention)) << name;
    }
    EXPECT_GT(model->weight_bytes_per_layer_per_step.value(), 0) << name;
    EXPECT_GE(model->weight_bytes, model->weight_bytes_per_layer_per_step * std::int64_t{model->layers}) << name;
    EXPECT_EQ(model->experts.count > 0, model->experts.bytes_per_expert.value() > 0) << name;
  }
}

/// That each value of a preset's file is the text that the program prints for it.
template <class T>
void expect_as_printed(std::string_view document, std::span<const Field<T>> fields, const T& value) {
  const Result<std::vector<ConfigEntry>> entries = parse_toml(document, "preset");
  ASSERT_TRUE(entries) << entries.error().message;
  for (const ConfigEntry& entry : *entries) {
    for (const Field<T>& field : fields) {
      // An interference of 0 says that it was thought of; it is not printed.
      if (field.key == entry.key && !field.get(value).empty()) {
        EXPECT_EQ(entry.text, field.get(value)) << value.name << ": " << entry.key;
      }
    }
  }
}

TEST(Presets, AreWrittenAsTheyArePrinted) {
  for (const EmbeddedFile& file : embedded_hardware()) {
    expect_as_printed<Hardware>(file.text, hardware_fields(), load_hardware(file.name).value());
  }
  for (const EmbeddedFile& file : embedded_models()) {
    const Model model = load_model(file.name).value();
    const std::vector<Field<Model>> fields = model_fields(model);
    expect_as_printed<Model>(file.text, fields, model);
  }
}

TEST(ModelPresets, PublishedSizes) {
  const auto kv = [](const char* name) { return load_model(name).value().kv_bytes_per_token_per_layer.value(); };
  EXPECT_EQ(kv("llama-3.1-8b"), 4096);
  EXPECT_EQ(kv("llama-3.1-8b-mha"), 16384);
  EXPECT_EQ(kv("llama-3.1-70b"), 4096);
  EXPECT_EQ(kv("qwen3-30b-a3b"), 2048);
  EXPECT_EQ(kv("deepseek-v3.2"), 1152);
  EXPECT_EQ(kv("glm-5"), 1152);
  EXPECT_EQ(kv("smollm2-135m"), 768);
  EXPECT_EQ(kv("gpt-oss-120b"), 2048);
  EXPECT_EQ(kv("deepseek-v4-pro"), 256);  // an entry of 1024 for four tokens
  // 1.03 T parameters of Kimi K2, 284 B of DeepSeek-V4-Flash, 230 B of MiniMax-M2, 80 B of Qwen3-Next.
  EXPECT_NEAR(static_cast<double>(load_model("kimi-k2").value().parameters), 1.03e12, 0.005e12);
  EXPECT_NEAR(static_cast<double>(load_model("deepseek-v4-flash").value().parameters), 284e9, 0.5e9);
  EXPECT_NEAR(static_cast<double>(load_model("minimax-m2").value().parameters), 230e9, 2e9);
  EXPECT_NEAR(static_cast<double>(load_model("qwen3-next-80b-a3b").value().parameters), 80e9, 0.5e9);
  EXPECT_EQ(load_model("deepseek-v3.2").value().attention.sparse_top_k, 2048u);
  // 8.03e9 and 70.55e9 parameters of 2 bytes.
  EXPECT_NEAR(static_cast<double>(load_model("llama-3.1-8b").value().weight_bytes.value()), 16.06e9, 0.1e9);
  EXPECT_NEAR(static_cast<double>(load_model("llama-3.1-70b").value().weight_bytes.value()), 141.1e9, 0.3e9);
}

TEST(Presets, UnknownNamesAndKeysNameTheNearest) {
  EXPECT_NE(load_hardware("gh200").error().message.find("gh200-"), std::string::npos);
  EXPECT_NE(load_model("llama-3.1-8B").error().message.find("llama-3.1-8b"), std::string::npos);
  const std::string message = parse_hardware("[far]\nlink_raed = \"1GB/s\"\n", "my.toml").error().message;
  EXPECT_NE(message.find("my.toml:2"), std::string::npos) << message;
  EXPECT_NE(message.find("far.link_read"), std::string::npos) << message;
}

TEST(Presets, AMissingUnitIsAnError) {
  const std::string message = parse_hardware("[far]\nlink_read = 450\n", "my.toml").error().message;
  EXPECT_NE(message.find("my.toml:2: far.link_read: \"450\" needs a unit"), std::string::npos) << message;
}

TEST(Presets, ProvenanceMustNameAKnownKey) {
  const std::string machine = "[near]\ncapacity = \"1GB\"\n[provenance]\n";
  EXPECT_NE(parse_hardware(machine + "near.capacty = \"spec: x\"\n", "m.toml").error().message.find("near.capacity"),
            std::string::npos);
}

TEST(Presets, FurtherTiersAreRead) {
  const std::string far = "capacity = \"1GB\"\nbandwidth = \"1GB/s\"\nlink_read = \"1GB/s\"\nlink_write = \"1GB/s\"\n";
  const std::string machine =
      "[near]\ncapacity = \"1GB\"\nbandwidth = \"9GB/s\"\n[far]\n" + far + "[[tier]]\nname = \"nvme\"\n" + far;
  const Hardware hardware = parse_hardware(machine, "m.toml").value();
  ASSERT_EQ(hardware.behind_far.size(), 1u);
  EXPECT_EQ(hardware.behind_far.front().name, "nvme");
  EXPECT_FALSE(parse_hardware(machine + "[[tier]]\nname = \"tape\"\n", "m.toml"));  // no capacity
}

}  // namespace
}  // namespace kvplace
