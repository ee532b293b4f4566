// Sentences about instances, engines, twins and budgets against their conditions worked out anew: there if and only if
// they hold, and both happens.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "kvplace/size/budgets.h"
#include "kvplace/size/engine_settings.h"
#include "support/random_instance.h"
#include "support/sides.h"
#include "tables.h"
#include "verdicts.h"

namespace kvplace {
namespace {

using testing::RandomCase;
using testing::RandomInstance;
using testing::says;
using testing::Sides;

TEST(AdviceVerdicts, NotesOfAnInstance) {
  Sides sides;
  for (std::uint64_t seed = 0; seed < 80; ++seed) {
    SCOPED_TRACE(seed);
    RandomCase random(seed, {.steps = 10, .prompt_tokens = 10});
    const testing::RandomTraceShape shape = random.shape();
    RandomInstance c(random, shape);
    const TraceReader trace = c.trace();
    InstanceSpec& spec = c.spec;
    spec.model->layers = shape.layers + random.below(2);
    spec.hardware.near.capacity = Bytes(random.one_of({10'000, 1'000'000, 1'000'000'000}));
    spec.hardware.far.capacity = Bytes(random.one_of({10'000, 1'000'000, 1'000'000'000}));
    const Instance instance = c.instance();
    const double page = static_cast<double>(spec.model->kv_bytes_per_token_per_layer.value()) * shape.block_tokens;
    const double pages = trace.totals().blocks_per_layer - shape.experts;
    const double all_kv = page * pages * shape.layers * spec.options.batch;
    const double near = static_cast<double>(instance.capacity().value()) * spec.options.batch;
    std::string notes;
    for (const std::string& note : instance.notes()) {
      notes += note + "\n";
    }
    sides.expect(notes, "sizes per layer are the model's", spec.model->layers != shape.layers);
    sides.expect(
        notes, "inclusive mode keeps a copy of all KV in far memory",
        spec.options.mode == Mode::kInclusive && all_kv > static_cast<double>(spec.hardware.far.capacity.value()));
    const bool too_much = near > static_cast<double>(spec.hardware.near.capacity.value());
    sides.expect(notes, "the near capacity for KV, ", too_much && shape.experts == 0);
    sides.expect(notes, "the near capacity for KV and experts, ", too_much && shape.experts > 0);
    const std::string described = cli::describe(trace, instance);
    sides.expect(described, " for KV and experts = ", shape.experts > 0);
    sides.expect(described, " for KV = ", shape.experts == 0);
    const double expert = static_cast<double>(spec.model->experts.bytes_per_expert.value()) * shape.experts;
    sides.expect(described, "experts = all of their bytes",
                 shape.experts > 0 &&
                     static_cast<double>(instance.capacity().value()) >= (page * pages + expert) * shape.layers);
  }
  sides.both();
}

TEST(AdviceVerdicts, WeightsThatDoNotFitNameHowManyProcessorsItTakes) {
  Sides sides;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    RandomCase random(seed, {.steps = 5, .prompt_tokens = 5});
    testing::RandomTraceShape shape = random.shape();
    shape.experts = 0;
    InstanceSpec spec = random.spec(shape);
    spec.options.near_capacity.reset();
    spec.options.weights_near = random.one_of({1.0, 0.5});
    spec.hardware.near.capacity = Bytes(1000 + random.below(100'000));
    spec.model->weight_bytes = Bytes(random.below(400'000));
    const Result<Instance> made =
        Instance::make(spec, testing::meta_of(shape), {shape.steps, 20, 1, "digest", nullptr});
    const double weights = static_cast<double>(spec.model->weight_bytes.value()) * spec.options.weights_near;
    const auto near = static_cast<double>(spec.hardware.near.capacity.value());
    const std::string text = made ? "" : made.error().message;
    sides.expect(text, "do not fit the near memory", std::llround(weights) > spec.hardware.near.capacity.value());
    if (!made) {
      const std::string words = "it takes ";
      ASSERT_TRUE(says(text, words)) << text;
      const double processors = std::atof(text.c_str() + text.find(words) + words.size());
      EXPECT_GE(processors * near, std::floor(weights));
      EXPECT_LT((processors - 1) * near, std::ceil(weights));
      EXPECT_FALSE(says(text, "weights_near")) << text;
      // What it tells to do works.
      spec.model->weight_bytes = Bytes(static_cast<std::int64_t>(near));
      EXPECT_TRUE(Instance::make(spec, testing::meta_of(shape), {shape.steps, 20, 1, "digest", nullptr}).has_value());
    }
  }
  sides.both();
}

TEST(AdviceVerdicts, EngineSettingsOnlyForWhatHiSparseServes) {
  Sides sides;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    RandomCase random(seed, {.steps = 12, .prompt_tokens = 12});
    testing::RandomTraceShape shape = random.shape();
    shape.read_bytes = false;
    if (random.chance(0.7)) {
      shape.block_tokens = 1;
      shape.experts = 0;
      shape.requests = 1;
      shape.prompt_tokens = 12;
      shape.reads = 6;
    }
    RandomInstance c(random, shape);
    const TraceReader trace = c.trace();
    InstanceSpec& spec = c.spec;
    Attention& attention = spec.model->attention;
    attention.kind = random.one_of({"mla", "mla", "mla", "gqa"});
    attention.dtype = random.one_of({"bf16", "fp8", "fp8", "int8"});
    // The traces read at most six tokens, and mostly all but two of them.
    attention.sparse_top_k = random.one_of({0u, 5u, 6u, 6u, 400u});
    const Instance instance = c.instance();
    const std::string obstacle = hisparse_obstacle(trace, instance);
    const bool dsa = attention.kind == "mla" && attention.sparse_top_k > 0;
    const bool typed = attention.dtype != "int8";
    const double read = static_cast<double>(trace.totals().reads) / shape.steps / shape.layers / shape.requests;
    const double least = std::min(attention.sparse_top_k, shape.prompt_tokens);
    const bool picks = read <= attention.sparse_top_k * 1.01 && read >= least * 0.99;
    sides.expect(obstacle, "DeepSeek sparse attention", !dsa);
    sides.expect(obstacle, "KV cache in bf16 or fp8", dsa && !typed);
    sides.expect(obstacle, "keeps single tokens", dsa && typed && shape.block_tokens > 1);
    sides.expect(obstacle, "for KV alone", dsa && typed && shape.block_tokens == 1 && shape.experts > 0);
    sides.expect(obstacle, "the indexer of random picks",
                 dsa && typed && shape.block_tokens == 1 && shape.experts == 0 && !picks);
    const bool serves = dsa && typed && shape.block_tokens == 1 && shape.experts == 0 && picks;
    EXPECT_EQ(obstacle.empty(), serves) << obstacle;
    if (serves) {
      const std::uint64_t buffer = random.below(12);
      const EngineSettings settings = engine_settings(instance, buffer, 3);
      EXPECT_EQ(settings.top_k, attention.sparse_top_k);
      EXPECT_EQ(settings.device_buffer_size, std::max<std::uint64_t>(buffer / shape.requests, settings.top_k));
      EXPECT_GE(settings.host_to_device_ratio * settings.device_buffer_size, shape.prompt_tokens + shape.steps / 2);
      std::string assumed;
      for (const std::string& sentence : settings.assumes) {
        assumed += sentence + "\n";
      }
      sides.expect(assumed, "tokens would do", buffer / shape.requests < settings.top_k);
      EXPECT_TRUE(says(settings.sglang, "--disaggregation-mode decode --disable-radix-cache --enable-hisparse"));
    }
  }
  sides.both();
}

LocalityFigures some_figures(RandomCase& random) {
  return {static_cast<double>(1000 + random.below(100'000)),
          0.2 + 0.7 * random.uniform(),
          {random.uniform(), random.uniform()},
          random.uniform(),
          {random.uniform(), random.uniform()}};
}

TEST(AdviceVerdicts, ATwinIsNearItsOriginalOrTheFigureIsNamed) {
  Sides sides;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    RandomCase random(seed);
    TwinReport report;
    report.lru_multiples = {1, 2};
    report.original = report.twin = some_figures(random);
    report.original_by_layer = {some_figures(random), some_figures(random)};
    report.twin_by_layer = report.original_by_layer;
    report.original_pooled = report.twin_pooled = {random.uniform(), random.uniform()};
    const double factor = random.one_of({1.0, 1.05, 1.3});
    LocalityFigures& layer = report.twin_by_layer[random.below(2)];
    double reads = layer.reads;
    double* figure = &layer.overlap;
    switch (random.below(5)) {
      case 0:
        break;
      case 1:
        figure = &layer.lru[random.below(2)];
        break;
      case 2:
        figure = &report.twin_pooled[random.below(2)];
        reads = report.original.reads;
        break;
      case 3:
        figure = &report.twin.belady;
        reads = report.original.reads;
        break;
      default:
        figure = &report.twin.reuse[random.below(2)];
        reads = report.original.reads;
    }
    const double original = *figure;
    *figure *= factor;
    const double off = std::abs(*figure - original);
    const bool beyond = off > 0.1 * original && off > 3 * std::sqrt(original / reads);
    const std::string text = cli::twin_verdict(report);
    sides.expect(text, "within 10 %, or 3 standard deviations", !beyond);
    sides.expect(text, "beyond 10 % and 3 standard deviations of the count:\n  ", beyond);
  }
  sides.both();
}

TEST(AdviceVerdicts, UnequalBudgetsAreGivenUpIfReplaysSaySo) {
  Sides sides;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    RandomCase random(seed, {.steps = 15, .prompt_tokens = 12});
    testing::RandomTraceShape shape = random.shape();
    shape.experts = 0;
    shape.layers = 3;
    RandomInstance c(random, shape);
    const TraceReader trace = c.trace();
    InstanceSpec& spec = c.spec;
    testing::set_near_blocks_per_layer(spec.options, 2 + random.below(4));
    spec.options.start = Start::kRecent;
    const Instance instance = c.instance();
    const BudgetTrace of{&trace, &instance};
    const BudgetOptions options{*PolicyRegistry::instance().parse("lru"), 0};
    const Result<LayerBudgets> budgets = find_budgets(std::span(&of, 1), {}, options, {});
    if (!budgets) {
      continue;  // the trace has too few blocks
    }
    const BudgetCheck& check = budgets->checks.front();
    const BudgetOutcome& unequal = check.from_each.front();  // of one trace: what was found
    sides.expect(cli::budgets_verdict(*budgets), "equal ones are given",
                 unequal.far_reads > check.equal.far_reads || unequal.total > check.equal.total);
  }
  sides.both();
}

}  // namespace
}  // namespace kvplace
