// Speed of selection at the size of a capture: one layer of SmolLM2-135M, 4,096 decode steps behind a prompt of 4,096
// tokens. Before anything is timed, some steps are compared with a second implementation; a wrong answer has no speed.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "checked.h"
#include "kvplace/select/selector.h"
#include "select/support/kernels.h"
#include "support/naive_select.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kPromptTokens = 4096;
constexpr std::uint32_t kSteps = 4096;
constexpr SelectorShape kShape{9, 3, 64, 0};

const testing::SelectCase& layer() {
  static const testing::SelectCase made = testing::make_select_case(kShape, kPromptTokens, kSteps, 1, false);
  return made;
}

Selector selector_with_keys(const std::string& method) {
  Selector selector = checked(Selector::make(checked(SelectRegistry::instance().parse(method)), kShape));
  checked(selector.append_keys(layer().key_view(0, layer().tokens())));
  checked(selector.observe(layer().query_view(0, kPromptTokens), 0));
  return selector;
}

Selection select(const Selector& selector, std::uint32_t first, std::uint32_t steps, std::uint32_t ranking_depth,
                 unsigned threads) {
  SelectInput input;
  input.queries = layer().query_view(kPromptTokens + first, steps);
  input.first_position = kPromptTokens + first;
  input.ranking_depth = ranking_depth;
  RunContext context;
  context.threads = threads;
  return checked(selector.select(input, context));
}

bool agrees(const std::string& method, const std::string& text, std::uint32_t block_tokens, std::size_t count) {
  constexpr std::uint32_t kEvery = 500;
  const Selector selector = selector_with_keys(text);
  for (std::uint32_t step = 0; step < kSteps; step += kEvery) {
    const Selection selection = select(selector, step, 1, kPromptTokens + kSteps, 1);
    const testing::Scores scores =
        testing::naive_scores(method, "layer", block_tokens, layer(), kPromptTokens + step).front();
    const std::string wrong =
        testing::disagreement(selection.sets[0], selection.rankings[0], scores, count, 0, 1, 1e-5);
    if (!wrong.empty()) {
      std::fprintf(stderr, "%s, step %u: %s\n", text.c_str(), step, wrong.c_str());
      return false;
    }
  }
  std::printf("%s: every %uth step agrees with the second implementation\n", text.c_str(), kEvery);
  return true;
}

void select_steps(benchmark::State& state, const std::string& method, std::uint32_t ranking_depth, unsigned threads) {
  const Selector selector = selector_with_keys(method);
  for (auto _ : state) {
    benchmark::DoNotOptimize(select(selector, 0, kSteps, ranking_depth, threads).sets.ids.data());
  }
  state.SetItemsProcessed(state.iterations() * kSteps);
}

}  // namespace
}  // namespace kvplace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (!kvplace::agrees("mass", "mass:k=512", 1, 512) || !kvplace::agrees("quest", "quest:pages=64", 16, 64)) {
    std::fprintf(stderr, "selections disagree: nothing is timed\n");
    return 1;
  }
  struct Run {
    const char* method;
    std::uint32_t ranking_depth;
    unsigned threads;
  };
  for (const Run& run :
       {Run{"mass:k=512", 0, 1}, Run{"mass:k=512", 0, 2}, Run{"mass:k=512", 2048, 1}, Run{"quest:pages=64", 0, 1},
        Run{"quest:pages=64", 0, 2}, Run{"quest:pages=64", 256, 1}, Run{"quest-per-head:pages=64", 0, 1},
        Run{"top-p:p=0.9", 0, 1}, Run{"scores:k=512", 0, 1}, Run{"snapkv:k=1024", 0, 1}, Run{"window", 0, 1}}) {
    const std::string name = std::string(run.method) + ",ranking=" + std::to_string(run.ranking_depth) +
                             ",threads=" + std::to_string(run.threads);
    benchmark::RegisterBenchmark(name.c_str(), kvplace::select_steps, run.method, run.ranking_depth, run.threads)
        ->Unit(benchmark::kMillisecond)
        ->MeasureProcessCPUTime();
  }
  benchmark::RunSpecifiedBenchmarks();
  std::printf(
      "One layer, 4,096 decode steps at context 4,096 to 8,191, kernels %s; CPU is of all threads. A capture of\n"
      "SmolLM2-135M selects 30 such layers. items_per_second counts decode steps.\n",
      kvplace::kernels().name);
  return 0;
}
