#include <algorithm>
#include <limits>
#include <utility>

#include "trace/loop_watch.h"
#include "trace/topk_array.h"

namespace kvplace {
namespace {

/// Tokens that an index entry of DeepSeek-V4 stands for.
constexpr std::uint32_t kTokensOfEntry = 4;

const std::string kPhysical =
    "SGLang's fused top-k returns places in its memory pool: serve with SGLANG_DSA_FUSE_TOPK=0 to get tokens";

/// How long a prompt may be at most.
constexpr std::uint64_t kMostPrompt = std::numeric_limits<std::uint32_t>::max();

/// Where the decode steps of an array begin, and what comes before them.
struct TopkPlan {
  std::uint64_t first_row = 0;
  std::optional<std::uint32_t> prompt_tokens;
  std::optional<std::uint32_t> block_tokens;
  bool is_whole_request = false;
};

std::string plural(std::uint64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

/// Rows of the prompt at the head, from what the engine says.
Result<std::uint64_t> rows_of_prompt(const TopkArray& array, const TopkRequest& request) {
  const std::uint64_t prompt = *request.prompt_tokens;
  const std::uint64_t rows = *request.rows;
  if (array.shape.tokens > rows || rows - array.shape.tokens > prompt) {
    return bad_input(array.path + ": holds " + plural(array.shape.tokens, "row") + ", but a prompt of " +
                     plural(prompt, "token") + " and its output make " + std::to_string(rows) +
                     ": is it one request's, of steps of one token? --prompt-rows says where its decode steps begin");
  }
  return prompt - (rows - array.shape.tokens);
}

Result<TopkPlan> plan_of_pages(const TopkArray& array, const TopkRequest& request, const TopkLook& look,
                               const ImportOptions& options) {
  TopkPlan plan;
  const bool is_of_fours = look.is_request_of_fours && !options.block_tokens;
  plan.is_whole_request = look.is_request || is_of_fours;
  if (is_of_fours) {
    plan.block_tokens = kTokensOfEntry;
  }
  if (request.prompt_tokens) {
    plan.prompt_tokens = static_cast<std::uint32_t>(*request.prompt_tokens);
  }
  if (options.prompt_rows) {
    plan.first_row = *options.prompt_rows;
    if (!request.prompt_tokens && !options.prompt_tokens && plan.first_row > 0) {
      plan.prompt_tokens = static_cast<std::uint32_t>(plan.first_row);
    }
    return plan;
  }
  if (request.prompt_tokens && request.rows) {
    KVPLACE_ASSIGN(first_row, rows_of_prompt(array, request));
    plan.first_row = first_row;
    if (first_row < *request.prompt_tokens && plan.is_whole_request && array.shape.k > 1) {
      return bad_input(array.path + ": holds " + plural(array.shape.tokens, "row") +
                       ", of which row t reads nothing behind token t, so that they begin with the prompt: its " +
                       plural(*request.prompt_tokens, "token") + " and the output would make " +
                       std::to_string(*request.rows) + "; is the prompt's length right?");
    }
    if (first_row == *request.prompt_tokens && first_row > 0 && !plan.is_whole_request) {
      return bad_input(array.path + ": rows of its prompt hold tokens behind their own; " + kPhysical +
                       ", or mend --block-tokens");
    }
    return plan;
  }
  if (plan.is_whole_request) {
    const std::optional<std::uint64_t> prompt =
        request.prompt_tokens ? request.prompt_tokens : std::optional<std::uint64_t>(options.prompt_tokens);
    if (!prompt) {
      return bad_input(array.path +
                       ": begins with the rows of its prompt, as row t reads nothing behind token t: say how many they "
                       "are with --prompt-tokens, or --prompt-rows 0 if all rows are decode steps");
    }
    if (*prompt >= array.shape.tokens) {
      return bad_input(array.path + ": holds " + plural(array.shape.tokens, "row") +
                       " that begin with the prompt, of which a prompt of " + plural(*prompt, "token") +
                       " leaves no decode step; mend --prompt-tokens, or give --prompt-rows 0 if all rows are decode "
                       "steps");
    }
    plan.first_row = *prompt;
    return plan;
  }
  if (look.counts_as_request) {
    return bad_input(array.path + ": begins with the rows of its prompt, which hold ids behind their own token; " +
                     kPhysical);
  }
  return plan;
}

Result<TopkPlan> plan_of_experts(const TopkArray& array, const TopkRequest& request, const ImportOptions& options) {
  TopkPlan plan;
  if (options.prompt_tokens) {
    return bad_input(array.path +
                     ": holds experts, which the prompt adds none to; --prompt-rows leaves out the rows of a prompt");
  }
  if (options.prompt_rows) {
    plan.first_row = *options.prompt_rows;
  } else if (request.prompt_tokens && request.rows) {
    KVPLACE_ASSIGN(first_row, rows_of_prompt(array, request));
    plan.first_row = first_row;
  }
  return plan;
}

/// What the prompt chose: the rows before the first decode step.
Status read_prompt(const TopkArray& array, TopkPart part, PromptExperts& prompt) {
  const std::uint64_t rows = std::exchange(part.first_row, 0);
  KVPLACE_ASSIGN(source, read_topk(array, part));
  SourceRecord record;
  while (true) {
    KVPLACE_ASSIGN(more, source->next(record));
    if (!more || record.step >= rows) {
      return {};
    }
    prompt.use(record.layer, record.experts);
  }
}

Status check_type(const TopkArray& array, const TopkRequest& request, const ImportOptions& options) {
  const std::string_view descr = array.shape.type->descr;
  if (request.are_experts || options.experts || request.is_engines || array.shape.type->size > 2 || descr == "<u2") {
    return {};
  }
  return bad_input(array.path + ": has elements of type '" + std::string(descr) +
                   "', as an engine's experts: say how many a layer has with --experts, or save array.astype('<i4') if "
                   "they are blocks");
}

}  // namespace

Result<TopkLook> look_at(const TopkArray& array, std::uint32_t block_tokens, const RunContext& context) {
  KVPLACE_ASSIGN(source, read_topk(array, {}));
  LoopWatch watch(context, "looking at the rows", array.shape.tokens * array.shape.layers, "rows");
  const std::uint64_t k = array.shape.k;
  const bool is_long_enough = array.shape.tokens > 1;
  TopkLook look{is_long_enough, array.shape.tokens > kTokensOfEntry, is_long_enough && k > 1, 0};
  std::vector<bool> is_dense(array.shape.layers, true);
  SourceRecord record;
  while (true) {
    KVPLACE_ASSIGN(more, source->next(record));
    if (!more) {
      break;
    }
    const std::uint64_t count = record.kv.size();
    const std::uint64_t end = count == 0 ? 0 : std::uint64_t{*std::max_element(record.kv.begin(), record.kv.end())} + 1;
    const std::uint64_t token = record.step;
    const std::uint64_t exist = token / block_tokens + 1;
    const std::uint64_t whole_fours = (token + 1) / kTokensOfEntry;
    look.is_request = look.is_request && count <= exist && end <= exist && (token > 0 || block_tokens > 1 || count > 0);
    look.is_request_of_fours = look.is_request_of_fours && count == std::min(whole_fours, k) && end <= whole_fours;
    look.counts_as_request = look.counts_as_request && count == std::min(token + 1, k);
    // A router chooses k different experts.
    is_dense[record.layer] = is_dense[record.layer] && (count == 0 || (end == 1 && count == k && k > 1));
    KVPLACE_TRY(watch.advance());
  }
  look.dense_layers = static_cast<std::uint32_t>(std::find(is_dense.begin(), is_dense.end(), false) - is_dense.begin());
  return look;
}

Result<ImportSummary> import_topk(std::span<const TopkArray> arrays, const TopkRequest& request,
                                  const TakenOptions& takes, const std::string& out, const ImportOptions& options,
                                  const RunContext& context) {
  const TopkArray& first = arrays.front();
  ImportRules rules;
  rules.takes = takes;
  rules.takes.read_k = rules.takes.experts = rules.takes.prompt_rows = true;
  KVPLACE_TRY(check_type(first, request, options));
  if (request.prompt_tokens && *request.prompt_tokens > kMostPrompt) {
    return bad_input(first.path + ": has a prompt of " + std::to_string(*request.prompt_tokens) +
                     " tokens; at most 2^32 - 1 are supported");
  }
  KVPLACE_ASSIGN(look, look_at(first, std::max(options.block_tokens.value_or(1), 1u), context));
  TopkPart part;
  part.are_experts = request.are_experts || options.experts.has_value();
  KVPLACE_ASSIGN(
      plan, part.are_experts ? plan_of_experts(first, request, options) : plan_of_pages(first, request, look, options));
  part.first_row = plan.first_row;
  if (part.first_row >= first.shape.tokens) {
    return bad_input(first.path + ": holds " + plural(first.shape.tokens, "row") + ", of which the prompt is " +
                     std::to_string(part.first_row) + "; no decode step is left");
  }
  if (part.first_row > 0 && arrays.size() > 1) {
    return bad_input(
        first.path +
        ": begins with the rows of its prompt, so that a further file is another request; import each alone");
  }
  if (part.are_experts && look.dense_layers < first.shape.layers) {
    part.first_layer = look.dense_layers;
    rules.facts.dense_layers = look.dense_layers;
  }
  PromptExperts prompt;
  if (part.are_experts && part.first_row > 0) {
    KVPLACE_TRY(read_prompt(first, part, prompt));
    rules.prompt = &prompt;
  }
  rules.facts.block_tokens = plan.block_tokens;
  if (!part.are_experts) {
    rules.facts.prompt_tokens = plan.prompt_tokens;
    if (request.prompt_tokens || plan.is_whole_request) {
      rules.facts.beyond_context = kPhysical;
    }
  }
  rules.order_is_ranking = !part.are_experts && !request.is_engines && part.first_row == 0;
  if (part.first_row > 0) {
    rules.facts.taken = plural(part.first_row, "row") + " of the prompt left out";
  }
  if (plan.block_tokens) {
    rules.facts.taken += (rules.facts.taken.empty() ? "" : ", ") + std::string("ids are of four tokens");
  }
  if (part.first_layer > 0) {
    rules.facts.taken +=
        (rules.facts.taken.empty() ? "" : ", ") + plural(part.first_layer, "layer") + " without experts left out";
  }
  rules.open = [arrays, &part](const std::string& path) -> Result<std::unique_ptr<RecordSource>> {
    return read_topk(
        *std::find_if(arrays.begin(), arrays.end(), [&path](const TopkArray& a) { return a.path == path; }), part);
  };
  std::vector<std::string> sources;
  for (const TopkArray& array : arrays) {
    sources.push_back(array.path);
  }
  return import_records(rules, sources, out, options, context);
}

}  // namespace kvplace
