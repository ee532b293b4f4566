#include "kvplace/select/selector.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "select/method.h"
#include "select/support/choose.h"
#include "select/support/tensor_rows.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kTileSteps = 8;   // scored at once: kRows queries of a head
constexpr std::uint32_t kTaskSteps = 64;  // a thread's turn, over which it keeps its memory

struct Call {
  const SelectInput* input = nullptr;
  std::uint32_t steps = 0;
};

/// A thread's memory, and what it chose.
struct Worker {
  std::vector<float> queries;
  std::vector<float> scores;
  std::vector<float> head_weights;
  ScoreTable table;
  Chooser chooser;
  std::vector<Choice> lists;
  Choice merged;
};

std::string step_text(std::uint32_t step, const SelectInput& input) {
  return "decode step " + std::to_string(step) + " (position " + std::to_string(input.first_position + step) + ")";
}

void append(IdLists& to, const IdLists& from) {
  const std::uint64_t base = to.ids.size();
  to.ids.insert(to.ids.end(), from.ids.begin(), from.ids.end());
  std::transform(from.offsets.begin() + 1, from.offsets.end(), std::back_inserter(to.offsets),
                 [base](std::uint64_t offset) { return base + offset; });
}

}  // namespace

struct Selector::State {
  SelectSpec spec;
  SelectorShape shape;
  SelectNeeds needs = SelectNeeds::kNothing;
  std::unique_ptr<SelectMethod> method;
  std::uint32_t tokens = 0;

  [[nodiscard]] Result<Call> check(const SelectInput& input) const;
  [[nodiscard]] Status check_queries(const TensorView& queries) const {
    return check_shape(queries, spec.name + ": queries", "query heads, steps, head dim",
                       {shape.query_heads, 0, shape.head_dim});
  }
  [[nodiscard]] std::uint32_t blocks(const SelectInput& input, std::uint32_t step) const {
    return method->block_tokens() == 0 ? static_cast<std::uint32_t>(input.scores.shape[2])
                                       : (input.first_position + step) / method->block_tokens() + 1;
  }
  [[nodiscard]] Status select_tile(const Call& call, std::uint32_t begin, std::uint32_t end, Worker& worker,
                                   Selection& out) const;
  [[nodiscard]] Status select_step(const Call& call, std::uint32_t tile_begin, std::uint32_t step, Worker& worker,
                                   Selection& out) const;
};

Result<Call> Selector::State::check(const SelectInput& input) const {
  const bool by_scores =
      !input.scores.empty() && (needs == SelectNeeds::kScores || needs == SelectNeeds::kScoresOrQueries);
  const bool by_queries = !by_scores && needs != SelectNeeds::kNothing && needs != SelectNeeds::kScores;
  if (needs == SelectNeeds::kScores && !by_scores) {
    return bad_input(spec.name + " selects from scores [steps, columns]; none were given");
  }
  if (by_queries && input.queries.empty()) {
    return bad_input(spec.name + " selects from queries [query heads, steps, head dim]; none were given");
  }
  std::size_t steps = input.steps;
  if (steps == 0) {
    steps = by_scores ? input.scores.shape[1] : input.queries.shape[1];
  }
  if (steps == 0 && input.queries.empty() && !by_scores) {
    return bad_input(spec.name + ": give the number of decode steps, or their queries");
  }
  const std::size_t end = input.first_position + steps;
  if (end > std::numeric_limits<std::uint32_t>::max()) {
    return bad_input(spec.name + ": positions go up to 2^32 - 2, not " + std::to_string(end - 1));
  }
  if (by_queries) {
    KVPLACE_TRY(check_queries(input.queries));
    if (input.queries.shape[1] != steps) {
      return bad_input(spec.name + ": queries are of " + std::to_string(input.queries.shape[1]) +
                       " decode steps, not " + std::to_string(steps));
    }
    if (end > tokens) {
      return bad_input(spec.name + ": the last decode step is at position " + std::to_string(end - 1) + ", but only " +
                       std::to_string(tokens) + " keys were appended; append the keys up to that position first");
    }
  }
  if (by_scores) {
    KVPLACE_TRY(check_shape(input.scores, spec.name + ": scores", "1, steps, columns", {1, steps, 0}));
    if (method->block_tokens() != 0 && input.scores.shape[2] < end) {
      return bad_input(spec.name + ": scores have " + std::to_string(input.scores.shape[2]) +
                       " columns, but the last decode step sees " + std::to_string(end) + " tokens");
    }
    if (input.scores.shape[2] == 0 || input.scores.shape[2] > std::numeric_limits<std::uint32_t>::max()) {
      return bad_input(spec.name + ": scores must have 1 to 2^32 - 1 columns");
    }
  } else if (!input.head_weights.empty() && needs == SelectNeeds::kScoresOrQueries) {
    KVPLACE_TRY(check_shape(input.head_weights, spec.name + ": head weights", "1, steps, query heads",
                            {1, steps, shape.query_heads}));
  }
  KVPLACE_TRY(method->ready(input.first_position));
  return Call{&input, static_cast<std::uint32_t>(steps)};
}

Status Selector::State::select_tile(const Call& call, std::uint32_t begin, std::uint32_t end, Worker& worker,
                                    Selection& out) const {
  const SelectInput& input = *call.input;
  StepTile tile;
  tile.first_position = input.first_position + begin;
  tile.steps = end - begin;
  if (!input.scores.empty() && needs != SelectNeeds::kNothing && needs != SelectNeeds::kQueriesAndKeys) {
    KVPLACE_TRY(copy_rows(input.scores, {spec.name + ": scores", {}, "decode step"}, begin, end, worker.scores));
    tile.scores = worker.scores;
    tile.columns = input.scores.shape[2];
  } else if (needs != SelectNeeds::kNothing) {
    KVPLACE_TRY(
        copy_rows(input.queries, {spec.name + ": queries", "query head", "decode step"}, begin, end, worker.queries));
    tile.queries = worker.queries;
    if (!input.head_weights.empty() && needs == SelectNeeds::kScoresOrQueries) {
      KVPLACE_TRY(copy_rows(input.head_weights, {spec.name + ": head weights", {}, "decode step"}, begin, end,
                            worker.head_weights));
      tile.head_weights = worker.head_weights;
    }
  }
  method->score(tile, worker.table);
  for (std::uint32_t step = begin; step < end; ++step) {
    KVPLACE_TRY(select_step(call, begin, step, worker, out));
  }
  return {};
}

Status Selector::State::select_step(const Call& call, std::uint32_t tile_begin, std::uint32_t step, Worker& worker,
                                    Selection& out) const {
  const SelectInput& input = *call.input;
  const std::uint32_t num_blocks = blocks(input, step);
  const Budget budget = method->budget(num_blocks);
  if (budget.blocks > num_blocks) {
    return bad_input(spec.name + ": the budget is " + std::to_string(budget.blocks) + " blocks, but at " +
                     step_text(step, input) + " only " + std::to_string(num_blocks) +
                     " exist; give a smaller budget or a longer prompt");
  }
  worker.lists.resize(method->lists());
  for (std::uint32_t list = 0; list < method->lists(); ++list) {
    const std::span<const float> scores(worker.table.row(list, step - tile_begin), num_blocks);
    if (const auto block = worker.chooser.choose(scores, budget, input.ranking_depth, worker.lists[list])) {
      return bad_input(spec.name + ": at " + step_text(step, input) + " the score of block " + std::to_string(*block) +
                       " is not finite: queries and keys are too large to multiply");
    }
  }
  const auto add = [&](const Choice& choice, IdLists& sets, IdLists& rankings) {
    sets.add(choice.set);
    if (input.ranking_depth > 0) {
      rankings.add(choice.ranking);
    }
  };
  const std::uint32_t heads = method->heads();
  if (heads == 0) {
    add(worker.lists.front(), out.sets, out.rankings);
    return {};
  }
  const std::size_t lists_per_head = worker.lists.size() / heads;
  for (std::uint32_t head = 0; head < heads; ++head) {
    const std::span<const Choice> of_head = std::span(worker.lists).subspan(head * lists_per_head, lists_per_head);
    worker.chooser.merge(of_head, num_blocks, input.ranking_depth, worker.merged);
    add(lists_per_head == 1 ? of_head.front() : worker.merged, out.head_sets, out.head_rankings);
  }
  worker.chooser.merge(worker.lists, num_blocks, input.ranking_depth, worker.merged);
  add(worker.merged, out.sets, out.rankings);
  return {};
}

Selector::Selector(std::unique_ptr<State> state) : state_(std::move(state)) {}
Selector::Selector(Selector&&) noexcept = default;
Selector& Selector::operator=(Selector&&) noexcept = default;
Selector::~Selector() = default;

Result<Selector> Selector::make(const SelectSpec& spec, const SelectorShape& shape) {
  KVPLACE_ASSIGN(info, SelectRegistry::instance().find(spec.name));
  if (shape.query_heads == 0 || shape.kv_heads == 0 || shape.head_dim == 0) {
    return bad_input("a layer needs at least one query head, one KV head and a head dimension of 1, not " +
                     std::to_string(shape.query_heads) + ", " + std::to_string(shape.kv_heads) + " and " +
                     std::to_string(shape.head_dim));
  }
  if (shape.query_heads % shape.kv_heads != 0) {
    return bad_input("the number of KV heads must divide that of query heads; " + std::to_string(shape.kv_heads) +
                     " does not divide " + std::to_string(shape.query_heads));
  }
  if (!(shape.scale >= 0) || !std::isfinite(shape.scale)) {
    return bad_input("the softmax scale must be a positive number, or 0 for 1 / sqrt(head dimension)");
  }
  if (!(shape.softcap >= 0) || !std::isfinite(shape.softcap)) {
    return bad_input("the cap of scores must be a positive number, or 0 for none");
  }
  if (!shape.sinks.empty() && shape.sinks.size() != shape.query_heads) {
    return bad_input("a layer of " + std::to_string(shape.query_heads) + " query heads has as many sinks, not " +
                     std::to_string(shape.sinks.size()));
  }
  if (!std::all_of(shape.sinks.begin(), shape.sinks.end(), [](float sink) { return std::isfinite(sink); })) {
    return bad_input("sinks must be finite");
  }
  auto state = std::make_unique<State>();
  state->spec = spec;
  state->shape = shape;
  state->needs = info->needs;
  state->method = info->make(spec.parameters, shape);
  return Selector(std::move(state));
}

Status Selector::append_keys(const TensorView& keys) {
  State& state = *state_;
  KVPLACE_TRY(check_shape(keys, state.spec.name + ": keys", "KV heads, new tokens, head dim",
                          {state.shape.kv_heads, 0, state.shape.head_dim}));
  const std::size_t added = keys.shape[1];
  if (added > std::numeric_limits<std::uint32_t>::max() - state.tokens) {
    return bad_input(state.spec.name + ": more than 2^32 - 1 keys");
  }
  std::vector<float> values;
  KVPLACE_TRY(copy_rows(keys, {state.spec.name + ": keys", "KV head", "token"}, 0, added, values));
  state.method->append(values, added);
  state.tokens += static_cast<std::uint32_t>(added);
  return {};
}

Status Selector::observe(const TensorView& queries, std::uint32_t first_position) {
  State& state = *state_;
  KVPLACE_TRY(state.check_queries(queries));
  const std::size_t shown = queries.shape[1];
  if (first_position + shown > state.tokens) {
    return bad_input(state.spec.name + ": observed queries end at position " +
                     std::to_string(first_position + shown - 1) + ", but only " + std::to_string(state.tokens) +
                     " keys were appended");
  }
  const std::size_t wanted = state.method->observed_queries();
  if (wanted == 0) {
    return {};
  }
  if (shown < wanted) {
    return bad_input(state.spec.name + " observes the last " + std::to_string(wanted) +
                     " queries of the prompt, but is shown " + std::to_string(shown));
  }
  std::vector<float> values;
  KVPLACE_TRY(copy_rows(queries, {state.spec.name + ": queries", "query head", "observed query"}, shown - wanted, shown,
                        values));
  StepTile tile;
  tile.first_position = static_cast<std::uint32_t>(first_position + shown - wanted);
  tile.steps = static_cast<std::uint32_t>(wanted);
  tile.queries = values;
  return state.method->observe(tile);
}

Result<Selection> Selector::select(const SelectInput& input, const RunContext& context) const {
  KVPLACE_ASSIGN(call, state_->check(input));
  const std::size_t tasks = (std::size_t{call.steps} + kTaskSteps - 1) / kTaskSteps;
  std::vector<Selection> parts(tasks);
  const auto select_task = [&](std::size_t task) -> Status {
    Worker worker;
    const auto begin = static_cast<std::uint32_t>(task * kTaskSteps);
    const std::uint32_t end = std::min(call.steps, begin + kTaskSteps);
    for (std::uint32_t step = begin; step < end; step += kTileSteps) {
      if (context.stop_requested()) {
        return interrupted("the selection was interrupted");
      }
      KVPLACE_TRY(state_->select_tile(call, step, std::min(end, step + kTileSteps), worker, parts[task]));
    }
    return {};
  };
  KVPLACE_TRY(run_parallel(tasks, context.threads, select_task));
  Selection selection;
  selection.steps = call.steps;
  selection.heads = state_->method->heads();
  for (const Selection& part : parts) {
    append(selection.sets, part.sets);
    append(selection.rankings, part.rankings);
    append(selection.head_sets, part.head_sets);
    append(selection.head_rankings, part.head_rankings);
  }
  return selection;
}

const SelectSpec& Selector::spec() const { return state_->spec; }
const SelectorShape& Selector::shape() const { return state_->shape; }
SelectNeeds Selector::needs() const { return state_->needs; }
std::uint32_t Selector::block_tokens() const { return state_->method->block_tokens(); }
std::uint32_t Selector::tokens() const { return state_->tokens; }
std::uint32_t Selector::observed_queries() const { return state_->method->observed_queries(); }

}  // namespace kvplace
