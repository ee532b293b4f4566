// Settings of generators: presets, files, what is refused and how it is said.
#include <gtest/gtest.h>

#include "kvplace/generate/config.h"
#include "kvplace/model/model.h"

namespace kvplace {
namespace {

TEST(GeneratorConfig, EveryPresetIsValidAndNamesItself) {
  const std::vector<std::string> names = generator_names();
  for (const char* name : {"fang2025-narrativeqa", "fang2025-narrativeqa-low", "fang2025-narrativeqa-high", "dsa-32k",
                           "fang2025-swap", "dsa-128k", "quest-64k", "mixtral-experts", "qwen3-30b-a3b-experts"}) {
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  }
  for (const std::string& name : names) {
    const Result<GeneratorConfig> config = load_generator(name);
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->name, name);
    EXPECT_FALSE(config->description.empty()) << name;
    const Status valid = validate(*config, name);
    EXPECT_TRUE(valid) << valid.error().message;
    const Result<Model> model = load_model(config->model);
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(model->layers, config->layers) << name;
  }
}

TEST(GeneratorConfig, PrintedSettingsReadBackTheSame) {
  for (const std::string& name : generator_names()) {
    GeneratorConfig config = load_generator(name).value();
    config.churn.overlap = 0;  // not the default
    config.parts.sink_tokens = 0;
    config.seed = 7;
    const std::string printed = to_toml(config);
    const GeneratorConfig again = parse_generator(printed, "printed").value();
    for (const Field<GeneratorConfig>& field : generator_fields()) {
      EXPECT_EQ(field.get(again), field.get(config)) << field.key;
    }
    EXPECT_EQ(to_toml(again), printed);
  }
}

TEST(GeneratorConfig, SaysWhatIsWrong) {
  const auto message = [](const std::string& document) {
    const Result<GeneratorConfig> config = parse_generator(document, "mine.toml");
    if (!config) {
      return config.error().message;
    }
    const Status valid = validate(*config, "mine.toml");
    return valid ? std::string() : valid.error().message;
  };
  const std::string good = "layers = 2\nsteps = 9\nprompt_tokens = 640\n[budget]\nblocks = 8\n";
  EXPECT_EQ(message(good), "");
  const std::pair<std::string, std::string> cases[] = {
      {"lyers = 2", "mine.toml:1: unknown key \"lyers\"; the nearest known key is \"layers\""},
      {"[churn]\noverlab = 0.5",
       "mine.toml:2: unknown key \"churn.overlab\"; the nearest known key is \"churn.overlap\""},
      {"[churn]\noverlap = 1.5", "mine.toml:2: churn.overlap: \"1.5\" is not 0 to 1"},
      {"layers = -1", "mine.toml:1: layers"},
      {"layers = \"many\"", "mine.toml:1: layers"},
      {"steps = 5", "mine.toml: layers is missing"},
      {"layers = 5", "mine.toml: steps is missing"},
      {"layers = 2\nsteps = 2", "mine.toml: nothing is read"},
      {good + "share = 0.5", "mine.toml: budget.blocks and budget.share are both given"},
      {good + "[parts]\nwindow_tokens = 400",
       "mine.toml: sinks, window and slash lines are up to 26 pages, but 8 are read"},
      {good + "[experts]\ncount = 4", "mine.toml: experts.active must be 1 to experts.count"},
      {good + "[experts]\ncount = 4\nactive = 5", "mine.toml: experts.active must be 1 to experts.count"},
      {good + "[swap]\nmost = 0.1", "mine.toml: swap.most needs swap.window"},
      {good + "[swap]\nwindow = 0.5\nleast = 0.1", "mine.toml: swap.least is above swap.most"},
      {good + "[swap]\nwindow = 0.5\n[churn]\noverlap = 0.5", "mine.toml: churn.overlap is not used with swap.window"},
      {"layers = 2\nsteps = 9\n[experts]\ncount = 4\nactive = 2\n[swap]\nwindow = 1", "mine.toml: swap.window needs"},
      {"layers = 65536\nsteps = 9\nblock_tokens = 1\nprompt_tokens = 200000\n[budget]\nblocks = 8",
       "mine.toml: has 200009 pages in each of 65536 layers"},
  };
  for (const auto& [document, expected] : cases) {
    EXPECT_EQ(message(document).substr(0, expected.size()), expected);
  }
}

TEST(GeneratorConfig, AnUnknownPresetNamesTheNearest) {
  const Result<GeneratorConfig> config = load_generator("dsa-23k");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().kind, ErrorKind::kBadInput);
  EXPECT_NE(config.error().message.find("\"dsa-32k\" (kvplace list generators"), std::string::npos)
      << config.error().message;
}

}  // namespace
}  // namespace kvplace
