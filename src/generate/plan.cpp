#include "generate/plan.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <unordered_set>

#include "base/parallel.h"
#include "generate/fit_config.h"
#include "kvplace/base/progress.h"
#include "kvplace/generate/generate.h"

namespace kvplace::generate {
namespace {

constexpr std::uint64_t kForLayerSpread = 16;
constexpr std::uint64_t kForExpertSpread = 17;

/// Weights that are powers of the age, for two classes of blocks.
Weights power_weights(const GeneratorConfig& config) {
  Weights weights;
  weights.fresh = config.reuse.fresh;
  for (const bool heavy : {false, true}) {
    for (std::size_t i = 0; i < kNumAges; ++i) {
      const double age = kLeastAge[i];
      weights.leave.push_back(std::pow(age, -config.reuse.stickiness) / (heavy ? config.heavy.hold : 1));
      // What was read one step ago and is not read now cannot come in now.
      weights.enter.push_back(i == 0 ? 0 : std::pow(age, -config.reuse.recency) * (heavy ? config.heavy.pull : 1));
    }
  }
  // Never read is like not read for the longest time; but a pool of many budgets gives no more than one of a few, so
  // that a longer prompt does not bring more first reads.
  constexpr double kFewBudgets = 16;
  const double pages = std::max(1.0, std::ceil(static_cast<double>(config.prompt_tokens) / config.block_tokens));
  const double budgets = config.budget.blocks > 0 ? pages / config.budget.blocks : 1;
  weights.cold.assign(kNumAges, std::pow(static_cast<double>(kLeastAge.back()), -config.reuse.recency) *
                                    std::min(1.0, kFewBudgets / budgets));
  return weights;
}

/// Of experts, by layer: log-normal factors of 1 - overlap, whose mean is 1.
std::vector<double> expert_overlaps(const GeneratorConfig& config) {
  std::vector<double> overlaps(config.layers, config.experts.overlap);
  if (config.experts.layer_spread == 0) {
    return overlaps;
  }
  std::vector<double> factors;
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) {
    factors.push_back(
        std::exp(config.experts.layer_spread * normal_of(hash_of({config.seed, kForExpertSpread, layer}))));
  }
  const double mean = std::accumulate(factors.begin(), factors.end(), 0.0) / config.layers;
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) {
    overlaps[layer] = std::max(0.0, 1 - (1 - config.experts.overlap) * factors[layer] / mean);
  }
  return overlaps;
}

/// By layer: log-normal factors of 1 - overlap, scaled so that the mean over the layers is as asked for.
std::vector<double> overlaps(const GeneratorConfig& config) {
  std::vector<double> factors;
  double sum = 0;
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) {
    factors.push_back(std::exp(config.churn.layer_spread * normal_of(hash_of({config.seed, kForLayerSpread, layer}))));
    sum += layer < config.churn.early_layers ? 0 : factors.back();
  }
  const std::uint32_t late_layers = config.layers - std::min(config.layers, config.churn.early_layers);
  std::vector<double> overlaps;
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) {
    const double factor = factors[layer] * late_layers / sum;
    overlaps.push_back(layer < config.churn.early_layers ? config.churn.early_overlap
                                                         : std::max(0.0, 1 - (1 - config.churn.overlap) * factor));
  }
  return overlaps;
}

ProcessModel page_model(const GeneratorConfig& config, double overlap) {
  ProcessModel model;
  model.budget = {config.budget.blocks, config.budget.share};
  model.pinned = {config.parts.sink_tokens, config.parts.window_tokens, config.parts.slash_lines,
                  config.parts.slash_steps};
  model.churn.overlap = overlap;
  model.churn.step_spread = config.churn.step_spread;
  model.churn.common = config.churn.common;
  model.churn.phase_steps = config.churn.phase_steps;
  model.churn.phase_share = config.churn.phase_share;
  model.weights = power_weights(config);
  model.classes.count = 2;
  model.classes.heavy_share = config.heavy.share;
  model.classes.heavy_common = config.heavy.common;
  model.classes.drift = config.heavy.drift;
  model.classes.choices = config.reuse.choices;
  model.classes.heavy_cold = config.heavy.pull;
  return model;
}

ProcessModel expert_model(const GeneratorConfig& config, double overlap) {
  ProcessModel model;
  model.budget.count = config.experts.active;
  model.churn.overlap = overlap;
  model.weights.leave.assign(kNumAges, 1);
  for (const std::uint32_t age : kLeastAge) {
    model.weights.enter.push_back(std::pow(age, -config.experts.recency));
  }
  model.weights.cold.assign(kNumAges, model.weights.enter.back());
  model.weights.enter[0] = 0;
  return model;
}

/// First reads come from a larger pool in a longer prompt; with a fixed count their share stays.
void scale_to_prompt(ProcessModel& model, std::uint32_t pages_before, std::uint32_t pages_now) {
  if (model.budget.count > 0 && pages_before > 0 && pages_now > 0) {
    for (double& weight : model.weights.cold) {
      weight *= static_cast<double>(pages_before) / pages_now;
    }
  }
}

/// Layers of the plan are like those of the fit, in its order.
void use_fit(const Fit& fit, TracePlan& plan) {
  plan.meta.block_bytes = fit.block_bytes;
  plan.meta.selection = "synthetic: twin of " + fit.selection;
  plan.meta.source = "kvplace generate --like " + fit.original + ", seed " + std::to_string(plan.seed);
  BlockLayout before = plan.meta.layout;
  before.prompt_tokens = fit.prompt_tokens;
  for (std::size_t layer = 0; layer < plan.meta.layers; ++layer) {
    LayerPlan& models = plan.layers.emplace_back();
    if (!fit.pages.empty()) {
      models.pages = to_model(fit.pages[layer * fit.pages.size() / plan.meta.layers]);
      scale_to_prompt(models.pages, before.prompt_pages(), plan.meta.layout.prompt_pages());
    }
    if (!fit.experts.empty()) {
      models.experts = to_model(fit.experts[layer * fit.experts.size() / plan.meta.layers]);
    }
  }
}

/// A decode step of several tokens: what any of them reads, the rankings interleaved, best first.
class MergedStep {
 public:
  void append(LayerStream& stream, std::uint32_t tokens, std::vector<BlockId>& reads, std::vector<BlockId>& ranking,
              std::vector<BlockId>& appended, std::vector<std::uint32_t>& written) {
    const auto first_read = static_cast<std::ptrdiff_t>(reads.size());
    const std::size_t first_appended = appended.size();
    rankings_.resize(tokens);
    for (std::vector<BlockId>& of_token : rankings_) {
      of_token.clear();
      appended_.clear();
      stream.append_next(reads, of_token, appended_);
      for (const BlockId id : appended_) {
        if (appended.size() == first_appended || appended.back() != id) {
          appended.push_back(id);
          written.push_back(0);
        }
        ++written.back();
      }
    }
    std::sort(reads.begin() + first_read, reads.end());
    reads.erase(std::unique(reads.begin() + first_read, reads.end()), reads.end());
    interleave(ranking);
  }

 private:
  void interleave(std::vector<BlockId>& ranking) {
    std::size_t longest = 0;
    for (const std::vector<BlockId>& of_token : rankings_) {
      longest = std::max(longest, of_token.size());
    }
    seen_.clear();
    for (std::size_t rank = 0; rank < longest; ++rank) {
      for (const std::vector<BlockId>& of_token : rankings_) {
        if (rank < of_token.size() && seen_.insert(of_token[rank].value()).second) {
          ranking.push_back(of_token[rank]);
        }
      }
    }
  }

  std::vector<std::vector<BlockId>> rankings_;  // by token
  std::vector<BlockId> appended_;
  std::unordered_set<std::uint32_t> seen_;
};

/// A few decode steps of one layer, decoded.
struct Batch {
  std::vector<BlockId> reads;
  std::vector<BlockId> ranking;
  std::vector<BlockId> appended;
  std::vector<std::uint32_t> written;  // tokens, parallel to appended; empty: one in each
  std::vector<std::size_t> reads_end;
  std::vector<std::size_t> ranking_end;
  std::vector<std::size_t> appended_end;
  MergedStep merged;

  void fill(LayerStream& stream, std::uint32_t steps, std::uint32_t tokens_per_step) {
    for (std::vector<BlockId>* ids : {&reads, &ranking, &appended}) {
      ids->clear();
    }
    written.clear();
    for (std::vector<std::size_t>* ends : {&reads_end, &ranking_end, &appended_end}) {
      ends->assign(1, 0);
    }
    for (std::uint32_t i = 0; i < steps; ++i) {
      if (tokens_per_step == 1) {
        stream.append_next(reads, ranking, appended);
      } else {
        merged.append(stream, tokens_per_step, reads, ranking, appended, written);
      }
      reads_end.push_back(reads.size());
      ranking_end.push_back(ranking.size());
      appended_end.push_back(appended.size());
    }
  }

  [[nodiscard]] StepView record(std::uint32_t i) const {
    const auto part = [i](const std::vector<BlockId>& ids, const std::vector<std::size_t>& ends) {
      return std::span(ids).subspan(ends[i], ends[i + 1] - ends[i]);
    };
    StepView view;
    view.reads = part(reads, reads_end);
    view.ranking = part(ranking, ranking_end);
    view.appended = part(appended, appended_end);
    if (!written.empty()) {
      view.written_tokens = std::span(written).subspan(appended_end[i], view.appended.size());
    }
    return view;
  }
};

/// Decode steps made at once, so that all layers' batches together hold some ten million ids: the more, the less often
/// a layer's state is fetched from memory.
std::uint32_t steps_per_batch(const TracePlan& plan) {
  constexpr double kIdsAtOnce = 1.2e7;
  double ids = 1;
  const double pages = plan.meta.layout.prompt_pages() +
                       static_cast<double>(plan.steps) * plan.tokens_per_step / plan.meta.layout.block_tokens;
  for (const LayerPlan& layer : plan.layers) {
    const Budget& budget = layer.pages.budget;
    ids += ((budget.count > 0 ? budget.count : budget.share * pages) + plan.ranking_depth + 2) * plan.tokens_per_step;
  }
  return static_cast<std::uint32_t>(std::clamp(kIdsAtOnce / ids, 1.0, 256.0));
}

}  // namespace

LayerStream::LayerStream(const TracePlan& plan, std::uint32_t layer) : plan_(plan), layer_(layer) {
  const BlockLayout& layout = plan.meta.layout;
  const LayerPlan& models = plan.layers[layer];
  processes_.reserve(2);
  if (layout.experts > 0) {
    processes_.emplace_back(models.experts, BlockRange{0, layout.experts, 0, 0}, plan.seed, layer);
  }
  if (plan.swap) {
    swap_.emplace(*plan.swap, models.pages.budget, layout.experts, plan.seed, layer);
  } else if (plan.has_pages) {
    processes_.emplace_back(
        models.pages, BlockRange{layout.experts, layout.prompt_pages(), layout.prompt_tokens, layout.block_tokens},
        plan.seed, layer);
  }
}

void LayerStream::append_next(std::vector<BlockId>& reads, std::vector<BlockId>& ranking,
                              std::vector<BlockId>& appended) {
  const auto append = [&](auto& process) {
    process.append_reads(reads);
    if (plan_.ranking_depth > 0) {
      process.append_ranking(std::max(plan_.ranking_depth, process.num_reads()), ranking);
    }
  };
  for (BlockProcess& process : processes_) {
    process.step();
    append(process);
  }
  const BlockLayout& layout = plan_.meta.layout;
  const std::uint32_t newest = (layout.prompt_tokens + step_) / layout.block_tokens;
  if (swap_) {
    swap_->step(newest + 1);
    append(*swap_);
  }
  if (plan_.has_pages) {
    appended.push_back(layout.page_block(newest, 0));
  }
  ++step_;
}

StepView LayerStream::next() {
  StepView view;
  view.step = StepIndex(step_);
  view.layer = layer_;
  for (std::vector<BlockId>* ids : {&reads_, &ranking_, &appended_}) {
    ids->clear();
  }
  append_next(reads_, ranking_, appended_);
  view.reads = reads_;
  view.ranking = ranking_;
  view.appended = appended_;
  return view;
}

TracePlan make_plan(const GeneratorConfig& config) {
  TracePlan plan;
  plan.steps = config.steps;
  plan.tokens_per_step = config.tokens_per_step;
  plan.seed = config.seed;
  plan.ranking_depth = config.ranking_depth;
  plan.has_pages = config.budget.blocks > 0 || config.budget.share > 0 || !config.fit.pages.empty();
  if (config.swap.window > 0) {
    plan.swap = config.swap;
  }
  plan.meta.layers = config.layers;
  plan.meta.layout.experts = config.experts.count;
  plan.meta.layout.block_tokens = config.block_tokens;
  plan.meta.layout.prompt_tokens = plan.has_pages ? config.prompt_tokens : 0;
  plan.meta.has_ranking = config.ranking_depth > 0;
  plan.meta.has_tokens = config.tokens_per_step > 1;
  plan.meta.model = config.model;
  plan.meta.selection = "synthetic";
  plan.meta.source =
      "kvplace generate " + (config.name.empty() ? "CONFIG" : config.name) + ", seed " + std::to_string(config.seed);
  if (!config.fit.empty()) {
    use_fit(config.fit, plan);
    return plan;
  }
  const std::vector<double> of_pages = overlaps(config);
  const std::vector<double> of_experts = expert_overlaps(config);
  for (std::uint32_t layer = 0; layer < config.layers; ++layer) {
    plan.layers.push_back({page_model(config, of_pages[layer]), expert_model(config, of_experts[layer])});
  }
  return plan;
}

Result<TraceTotals> write_plan(const TracePlan& plan, const std::string& out, const TraceWriterOptions& options,
                               const RunContext& context) {
  KVPLACE_ASSIGN(writer, TraceWriter::create(out, plan.meta, options));
  const std::uint32_t layers = plan.meta.layers;
  std::vector<LayerStream> streams;
  streams.reserve(layers);
  for (std::uint32_t layer = 0; layer < layers; ++layer) {
    streams.emplace_back(plan, layer);
  }
  const std::uint32_t steps_at_once = steps_per_batch(plan);
  std::vector<Batch> written(layers);
  std::vector<Batch> made(layers);
  std::uint32_t num_written = 0;  // decode steps in `written`
  std::uint32_t begin = 0;        // the first of them
  if (context.progress != nullptr) {
    context.progress->start("generating", plan.steps, "decode steps");
  }
  const auto write = [&]() -> Status {
    for (std::uint32_t i = 0; i < num_written; ++i) {
      for (std::uint32_t layer = 0; layer < layers; ++layer) {
        StepView record = written[layer].record(i);
        record.step = StepIndex(begin + i);
        record.layer = LayerIndex(layer);
        record.tokens = {plan.tokens_per_step, plan.tokens_per_step};
        KVPLACE_TRY(writer.add(record));
      }
    }
    return {};
  };
  // One task writes the last batch while the others make the next one.
  while (begin < plan.steps) {
    const std::uint32_t next = begin + num_written;
    const std::uint32_t num_made = std::min(steps_at_once, plan.steps - next);
    KVPLACE_TRY(run_parallel(layers + 1, context.threads, [&](std::size_t task) -> Status {
      if (task == 0) {
        return write();
      }
      made[task - 1].fill(streams[task - 1], num_made, plan.tokens_per_step);
      return {};
    }));
    if (context.stop_requested()) {
      return interrupted("stopped while generating; nothing was written");
    }
    std::swap(made, written);
    begin = next;
    num_written = num_made;
    if (context.progress != nullptr) {
      context.progress->update(begin);
    }
  }
  if (context.progress != nullptr) {
    context.progress->finish();
  }
  return writer.finish();
}

}  // namespace kvplace::generate

namespace kvplace {

Result<TraceTotals> generate_trace(const GeneratorConfig& config, const std::string& out,
                                   const TraceWriterOptions& options, const RunContext& context) {
  KVPLACE_TRY(validate(config, config.name.empty() ? "generator" : config.name));
  return generate::write_plan(generate::make_plan(config), out, options, context);
}

}  // namespace kvplace
