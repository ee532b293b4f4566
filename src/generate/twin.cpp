#include "kvplace/generate/twin.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "base/parallel.h"
#include "generate/fit_config.h"
#include "generate/layer_reads.h"
#include "generate/locality.h"
#include "generate/process_fit.h"
#include "kvplace/generate/generate.h"
#include "trace/kvt_format.h"

namespace kvplace::generate {
namespace {

/// Reads by layer, of one kind of block.
using AllReads = std::vector<LayerReads>;

struct Original {
  AllReads pages;
  AllReads experts;
  std::uint32_t ranking_depth = 0;
};

BlockRange range_of_pages(const BlockLayout& layout) {
  return {layout.experts, layout.prompt_pages(), layout.prompt_tokens, layout.block_tokens};
}

Result<Original> load(const TraceReader& trace, std::uint64_t most_reads, const RunContext& context) {
  const TraceMeta& meta = trace.meta();
  KVPLACE_TRY(check_twin(trace, {}));
  Original original;
  original.pages.resize(meta.layers);
  original.experts.resize(meta.layers);
  for (std::uint32_t layer = 0; layer < meta.layers; ++layer) {
    original.pages[layer].range = range_of_pages(meta.layout);
    original.experts[layer].range = {0, meta.layout.experts, 0, 0};
  }
  std::uint64_t reads = 0;
  for (std::size_t i = 0; i < trace.num_chunks(); ++i) {
    if (context.stop_requested()) {
      return interrupted("stopped before the twin was fitted");
    }
    KVPLACE_ASSIGN(segment, trace.chunk(i));
    for (std::uint32_t t = segment.first_step(); t < segment.end_step() && reads < most_reads; ++t) {
      for (std::uint32_t layer = 0; layer < meta.layers; ++layer) {
        const StepView view = segment.view(t, layer);
        LayerReads& pages = original.pages[layer];
        pages.add(view.reads, kvt::kMostBlocksPerLayer);
        original.experts[layer].add(view.reads, meta.layout.experts);
        if (!pages.step(t).empty() && pages.step(t).back().value() >= pages.num_blocks(t)) {
          return bad_input(trace.path() + ": decode step " + std::to_string(t) + " reads page " +
                           std::to_string(pages.step(t).back().value()) +
                           ", beyond one token per decode step; a twin cannot be made of such a trace");
        }
        reads += view.reads.size();
        original.ranking_depth = std::max(original.ranking_depth, static_cast<std::uint32_t>(view.ranking.size()));
      }
    }
    if (reads >= most_reads) {
      break;
    }
  }
  if (original.pages.front().num_steps() < 2) {
    return bad_input(trace.path() + ": its first decode step has more reads than a twin is fitted to");
  }
  return original;
}

double mean_reads(const AllReads& layers) {
  double sum = 0;
  for (const LayerReads& layer : layers) {
    sum += layer.mean_reads();
  }
  return layers.empty() ? 0 : sum / static_cast<double>(layers.size());
}

/// The reads of a process of this model, as many steps as the original has.
LayerReads simulate(const ProcessModel& model, const LayerReads& like, std::uint64_t seed, std::uint32_t layer) {
  LayerReads made;
  made.range = like.range;
  made.ids.reserve(like.ids.size() + like.ids.size() / 16);
  BlockProcess process(model, like.range, seed, layer);
  std::vector<BlockId> reads;
  for (std::uint32_t t = 0; t < like.num_steps(); ++t) {
    process.step();
    reads.clear();
    process.append_reads(reads);
    made.add(reads, kvt::kMostBlocksPerLayer);
  }
  return made;
}

/// Of the runs that are measured: the default, so that the twin that is written is the one of the report.
constexpr std::uint64_t kSeed = 0;

/// How many candidates to compare in the next round so that layers read alike blocks as in the original.
double better_choices(double choices, double across_layers, const AllReads& made) {
  constexpr double kMostChoices = 32;
  constexpr double kSpeed = 3;
  const double got = measure_across_layers(made);
  if (made.size() < 2 || got <= 0) {
    return 1;
  }
  return std::clamp(choices * std::pow(across_layers / got, kSpeed), 1.0, kMostChoices);
}

/// Models of all layers, first from counts, then so that runs of them give the counts of the original; of all rounds
/// the best for each layer.
Result<std::vector<ProcessModel>> fit_layers(const AllReads& originals, const RunContext& context) {
  constexpr std::uint64_t kRounds = 16;
  const std::size_t num = originals.size();
  std::vector<ProcessModel> models(num);
  std::vector<Tally> wanted(num);
  std::vector<LruCurve> lru(num);
  std::vector<ProcessModel> best(num);
  std::vector<double> least(num, std::numeric_limits<double>::infinity());
  const double k = mean_reads(originals);
  KVPLACE_TRY(run_parallel(num, context.threads, [&](std::size_t layer) -> Status {
    models[layer] = fit_process(originals[layer]);
    wanted[layer] = tally(originals[layer], models[layer].pinned, models[layer].classes);
    lru[layer] = measure_lru(originals[layer], k);
    return {};
  }));
  const double across_layers = measure_across_layers(originals);
  if (context.progress != nullptr) {
    context.progress->start("fitting", kRounds, "rounds");
  }
  AllReads made_by_layer(num);
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    KVPLACE_TRY(run_parallel(num, context.threads, [&](std::size_t layer) -> Status {
      if (context.stop_requested()) {
        return interrupted("stopped before the twin was fitted");
      }
      LayerReads& made = made_by_layer[layer];
      made = simulate(models[layer], originals[layer], kSeed, static_cast<std::uint32_t>(layer));
      const Tally got = tally(made, models[layer].pinned, models[layer].classes);
      const LruCurve made_lru = measure_lru(made, k);
      const double off = misfit(wanted[layer], got, lru[layer], made_lru);
      if (off < least[layer]) {
        least[layer] = off;
        best[layer] = models[layer];
      }
      adjust(models[layer], wanted[layer], got, lru[layer], made_lru);
      return {};
    }));
    const double choices = better_choices(models.front().classes.choices, across_layers, made_by_layer);
    for (ProcessModel& model : models) {
      model.classes.choices = choices;
    }
    if (context.progress != nullptr) {
      context.progress->update(round + 1);
    }
  }
  if (context.progress != nullptr) {
    context.progress->finish();
  }
  return best;
}

LocalityFigures to_figures(const LayerLocality& found) {
  return {found.reads, found.overlap, found.lru, found.belady, found.reuse};
}

LocalityFigures over_layers(const std::vector<LayerLocality>& layers) {
  LocalityFigures all;
  double reads = 0;
  for (const LayerLocality& layer : layers) {
    reads += layer.reads;
  }
  all.reads = reads;
  all.lru.assign(kNumLruMultiples, 0);
  for (const LayerLocality& layer : layers) {
    all.overlap += layer.overlap / static_cast<double>(layers.size());
    const double weight = reads > 0 ? layer.reads / reads : 0;
    for (std::size_t i = 0; i < kNumLruMultiples; ++i) {
      all.lru[i] += weight * layer.lru[i];
    }
    all.belady += weight * layer.belady;
    all.reuse.resize(std::max(all.reuse.size(), layer.reuse.size()));
    for (std::size_t i = 0; i < layer.reuse.size(); ++i) {
      all.reuse[i] += weight * layer.reuse[i];
    }
  }
  return all;
}

struct Measured {
  std::vector<LocalityFigures> by_layer;
  LocalityFigures all;
  std::vector<double> pooled;
  double across_layers = 0;
};

Result<Measured> measure_all(const AllReads& layers, double k, const RunContext& context) {
  std::vector<LayerLocality> found(layers.size());
  Measured measured;
  KVPLACE_TRY(run_parallel(layers.size() + 1, context.threads, [&](std::size_t task) -> Status {
    if (task == 0) {
      measured.pooled = measure_pooled(layers, k);
      measured.across_layers = measure_across_layers(layers);
    } else {
      found[task - 1] = measure(layers[task - 1], k);
    }
    return {};
  }));
  for (const LayerLocality& layer : found) {
    measured.by_layer.push_back(to_figures(layer));
  }
  measured.all = over_layers(found);
  return measured;
}

Result<TwinReport> report_on(const AllReads& originals, const std::vector<ProcessModel>& models,
                             const RunContext& context) {
  TwinReport report;
  report.steps = originals.front().num_steps();
  report.k = mean_reads(originals);
  report.lru_multiples.assign(std::begin(kLruMultiples), std::end(kLruMultiples));
  KVPLACE_ASSIGN(original, measure_all(originals, report.k, context));
  AllReads twins(originals.size());
  KVPLACE_TRY(run_parallel(originals.size(), context.threads, [&](std::size_t layer) -> Status {
    twins[layer] = simulate(models[layer], originals[layer], kSeed, static_cast<std::uint32_t>(layer));
    return {};
  }));
  KVPLACE_ASSIGN(twin, measure_all(twins, report.k, context));
  report.original_by_layer = std::move(original.by_layer);
  report.original = std::move(original.all);
  report.original_pooled = std::move(original.pooled);
  report.original_across_layers = original.across_layers;
  report.twin_across_layers = twin.across_layers;
  report.twin_by_layer = std::move(twin.by_layer);
  report.twin = std::move(twin.all);
  report.twin_pooled = std::move(twin.pooled);
  return report;
}

}  // namespace
}  // namespace kvplace::generate

namespace kvplace {

struct Twin::State {
  GeneratorConfig config;  ///< of the original's shape
  TwinReport report;
};

Twin::Twin(std::unique_ptr<State> state) : state_(std::move(state)) {}
Twin::Twin(Twin&&) noexcept = default;
Twin& Twin::operator=(Twin&&) noexcept = default;
Twin::~Twin() = default;

namespace {

Status check_steps_of_one(const TraceReader& trace) {
  if (!trace.meta().has_tokens) {
    return {};
  }
  return bad_input(trace.path() +
                   ": has decode steps of several tokens; a twin is fitted to steps of one, and --tokens-per-step then "
                   "makes steps of several");
}

}  // namespace

Status check_twin(const TraceReader& trace, const TwinShape& shape) {
  const BlockLayout& layout = trace.meta().layout;
  if (layout.served != nullptr) {
    return bad_input(trace.path() +
                     ": is a served batch; a twin can be made of a trace of one request: take the traces " +
                     "that it was merged of");
  }
  if (layout.requests != 1) {
    return bad_input(trace.path() + ": has pages of " + std::to_string(layout.requests) +
                     " requests; a twin can be made of a trace of one request");
  }
  KVPLACE_TRY(check_steps_of_one(trace));
  if (trace.totals().steps < 2) {
    return bad_input(trace.path() + ": has fewer than two decode steps; a twin needs some to be fitted to");
  }
  GeneratorConfig config;
  config.layers = shape.layers.value_or(trace.meta().layers);
  config.steps = shape.steps.value_or(trace.totals().steps);
  config.tokens_per_step = shape.tokens_per_step;
  config.prompt_tokens = shape.prompt_tokens.value_or(layout.prompt_tokens);
  config.block_tokens = layout.block_tokens;
  config.experts.count = layout.experts;
  if (config.steps == 0 || config.layers == 0) {
    return bad_input(trace.path() + ": a twin needs at least one decode step and one layer");
  }
  return validate_size(config, trace.totals().blocks_per_layer > layout.experts, trace.path() + ": its twin");
}

const TwinReport& Twin::report() const { return state_->report; }

Result<Twin> Twin::fit(const TraceReader& trace, const RunContext& context, std::uint64_t most_reads) {
  KVPLACE_TRY(check_steps_of_one(trace));
  KVPLACE_ASSIGN(original, generate::load(trace, most_reads, context));
  auto state = std::make_unique<State>();
  const TraceMeta& meta = trace.meta();
  GeneratorConfig& config = state->config;
  config.model = meta.model;
  config.layers = meta.layers;
  config.prompt_tokens = meta.layout.prompt_tokens;
  config.block_tokens = meta.layout.block_tokens;
  config.steps = trace.totals().steps;
  config.ranking_depth = original.ranking_depth;
  config.experts.count = meta.layout.experts;
  Fit& fit = config.fit;
  fit.original = std::filesystem::path(trace.path()).filename().string();
  fit.selection = meta.selection;
  fit.block_bytes = meta.block_bytes;
  fit.prompt_tokens = meta.layout.prompt_tokens;
  const auto fit_kind = [&](const generate::AllReads& reads, std::vector<FittedProcess>& fitted) -> Status {
    KVPLACE_ASSIGN(models, generate::fit_layers(reads, context));
    if (state->report.steps == 0) {
      KVPLACE_ASSIGN(report, generate::report_on(reads, models, context));
      state->report = std::move(report);
    }
    for (const generate::ProcessModel& model : models) {
      fitted.push_back(generate::to_fitted(model));
    }
    return {};
  };
  if (generate::mean_reads(original.pages) > 0) {
    KVPLACE_TRY(fit_kind(original.pages, fit.pages));
  }
  if (meta.layout.experts > 0) {
    KVPLACE_TRY(fit_kind(original.experts, fit.experts));
  }
  if (fit.empty()) {
    return bad_input(trace.path() + ": reads nothing; a twin needs reads to be fitted to");
  }
  return Twin(std::move(state));
}

GeneratorConfig Twin::config(const TwinShape& shape) const {
  GeneratorConfig config = state_->config;
  config.seed = shape.seed;
  config.steps = shape.steps.value_or(config.steps);
  config.layers = shape.layers.value_or(config.layers);
  config.prompt_tokens = shape.prompt_tokens.value_or(config.prompt_tokens);
  config.ranking_depth = shape.ranking_depth.value_or(config.ranking_depth);
  config.tokens_per_step = shape.tokens_per_step;
  return config;
}

Result<TraceTotals> Twin::write(const TwinShape& shape, const std::string& out, const TraceWriterOptions& options,
                                const RunContext& context) const {
  return generate_trace(config(shape), out, options, context);
}

}  // namespace kvplace
