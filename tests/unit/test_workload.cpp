// Workloads in a trace's place: their shape, and dense attention beside its closed form.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "kvplace/generate/workload.h"
#include "kvplace/instance/resolve.h"
#include "kvplace/simulate/compare.h"

namespace kvplace {
namespace {

GeneratorConfig config_of(const Workload& workload, const std::string& model) {
  return workload_config(workload, load_model(model).value()).value();
}

TEST(Workload, HasTheLayersAndTheContextOfTheModel) {
  const GeneratorConfig dsa = config_of({"dsa", 65536, {}}, "deepseek-v3.2");
  EXPECT_EQ(dsa.layers, 61u);
  EXPECT_EQ(dsa.prompt_tokens, 65536u);
  EXPECT_EQ(dsa.budget.blocks, 2048u);
  EXPECT_EQ(dsa.block_tokens, 1u);
  EXPECT_EQ(config_of({"quest", 65536, 100}, "llama-3.1-70b").steps, 100u);
  EXPECT_EQ(config_of({"quest", 65536, {}}, "llama-3.1-70b").layers, 80u);
  EXPECT_EQ(config_of({"dense", 8192, {}}, "gpt-oss-120b").layers, 18u);  // the others keep a window
  const GeneratorConfig experts = config_of({"experts", {}, {}}, "gpt-oss-120b");
  EXPECT_EQ(experts.layers, 36u);
  EXPECT_EQ(experts.experts.count, 128u);
  EXPECT_EQ(experts.experts.active, 4u);
  EXPECT_EQ(config_of({"dsa-128k", {}, {}}, "glm-5").prompt_tokens, 131072u);
}

TEST(Workload, OfAShortContextReadsAllThereIs) {
  const GeneratorConfig dsa = config_of({"dsa", 1000, {}}, "deepseek-v3.2");
  EXPECT_EQ(dsa.budget.share, 1);
  EXPECT_EQ(dsa.budget.blocks, 0u);
}

TEST(Workload, UnknownNamesAndContextsAreRefused) {
  const Model model = load_model("llama-3.1-8b").value();
  EXPECT_NE(workload_config({"desne", 8192, {}}, model).error().message.find("\"dense\""), std::string::npos);
  EXPECT_FALSE(workload_config({"dense", 0, {}}, model));
  EXPECT_FALSE(workload_config({"experts", 8192, {}}, model));
  EXPECT_EQ(workload_of(model), "dense");
  EXPECT_EQ(workload_of(load_model("deepseek-v3.2").value()), "dsa");
}

TEST(Workload, TokensHaveUnits) {
  EXPECT_EQ(parse_tokens("64K").value(), 65536u);
  EXPECT_EQ(parse_tokens("1M").value(), 1u << 20);
  EXPECT_EQ(parse_tokens("1,000").value(), 1000u);
  EXPECT_EQ(format_tokens(65536), "64K");
  EXPECT_EQ(format_tokens(1000), "1000");
  for (const char* wrong : {"", "K", "64GB", "-1", "512M", "1.5K"}) {
    EXPECT_FALSE(parse_tokens(wrong)) << wrong;
  }
}

TEST(Workload, LeavesNoFile) {
  const auto traces = [] {
    const auto files = std::filesystem::directory_iterator(std::filesystem::temp_directory_path());
    return std::count_if(begin(files), end(files), [](const auto& file) {
      return file.path().filename().string().starts_with("kvplace-workload-" + std::to_string(::getpid()));
    });
  };
  const TraceReader trace = open_workload({"dense", 4096, 2}, load_model("llama-3.1-8b").value(), {}).value();
  EXPECT_EQ(traces(), 0);
  EXPECT_EQ(trace.path(), "workload dense");
  EXPECT_TRUE(trace.chunk(0));  // whose file is gone
}

/// Every step reads the weights and all KV: a static split takes, staged, both sides' times one after the other.
TEST(Workload, DenseTakesWhatItsBytesTake) {
  const Model model = load_model("llama-3.1-70b").value();
  constexpr std::uint32_t kContext = 32768;
  const TraceReader trace = open_workload({"dense", kContext, {}}, model, {}).value();
  const std::vector<ConfigEntry> entries{{"hardware", "h200-sxm-pcie5", "t"},
                                         {"hardware.figures", "measured", "t"},
                                         {"hardware.far.link_read_measured", "55GB/s", "t"},
                                         {"options.batch", "4", "t"},
                                         {"options.near_fraction", "0.5", "t"},
                                         {"options.overlap", "none", "t"}};
  const InstanceSpec spec = resolve_spec(entries, trace.meta()).value();
  const Instance instance = Instance::make(spec, trace.meta(), trace.totals()).value();
  const std::vector<PolicySpec> policies{PolicyRegistry::instance().parse("static").value()};
  const Comparison comparison = compare(trace, instance, policies, {}).value();
  const double tokens = 4.0 * instance.steps();
  const double weights = 80 * 1.7113088e9;
  const double kv = 4.0 * 80 * 4096 * kContext;
  const double near = 4475e9;
  EXPECT_NEAR(comparison.bounds.all_near.value() / tokens, (weights + kv) / near / 4,
              0.002 * (weights + kv) / near / 4);
  const double split = ((weights + kv / 2) / near + kv / 2 / 55e9) / 4;
  EXPECT_NEAR(comparison.results.front().total.value() / tokens, split, 0.005 * split);
  EXPECT_NEAR(comparison.results.front().total.value() / tokens, 0.107, 0.002);  // as worked out by hand
  EXPECT_NEAR(comparison.bounds.all_near.value() / tokens, 0.0100, 0.0002);
}

}  // namespace
}  // namespace kvplace
