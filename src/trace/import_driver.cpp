#include "trace/import_driver.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>

#include "kvplace/base/file_guard.h"
#include "trace/kvt_format.h"
#include "trace/loop_watch.h"

namespace kvplace {
namespace {

constexpr std::uint64_t kMostTokens = std::numeric_limits<std::uint32_t>::max();

tl::unexpected<Error> at_place(const std::string& place, const Error& error) {
  return tl::unexpected(Error{error.kind, place + ": " + error.message});
}

/// Calls visit(record, place, source) for every row of every file.
template <class Visit>
Status for_each_row(const ImportRules& rules, std::span<const std::string> sources, RowOrder& order, LoopWatch& watch,
                    Visit visit) {
  for (const std::string& path : sources) {
    KVPLACE_ASSIGN(source, rules.open(path));
    order.begin_file();
    SourceRecord record;
    RowPlace place;
    bool empty = true;
    while (true) {
      KVPLACE_ASSIGN(more, source->next(record));
      if (!more) {
        break;
      }
      empty = false;
      if (Status status = order.next(record, place); !status) {
        return at_place(source->place(), status.error());
      }
      KVPLACE_TRY(visit(record, place, *source));
      KVPLACE_TRY(watch.advance());
    }
    if (empty) {
      return bad_input(path + ": holds no rows; a trace needs at least one decode step");
    }
    if (Status status = order.end_file(); !status) {
      return at_place(path + ": its end", status.error());
    }
  }
  return {};
}

/// What the first pass learns.
struct Findings {
  std::uint64_t rows = 0;
  std::uint32_t layers = 0;
  std::uint32_t steps = 0;
  std::uint32_t requests = 0;
  std::uint32_t experts = 0;
  std::uint32_t first_layer = 0;
  std::uint32_t last_token = 0;  ///< that a request verifies, from 0
  bool has_tokens = false;       ///< steps of several tokens
  bool has_kv = false;
  bool is_unsorted = false;
  std::uint64_t least_prompt = 0;
  std::string place_of_least_prompt;
};

/// The last token that the step verifies, behind the prompt.
std::uint32_t last_token_of(const SourceRecord& record, const RowPlace& place) {
  return place.token + record.tokens.verified - 1;
}

/// Pages 0 to this one exist when `token` of a request is verified.
std::uint64_t last_page(std::uint64_t prompt_tokens, std::uint32_t token, std::uint32_t block_tokens) {
  return (prompt_tokens + token) / block_tokens;
}

std::uint64_t least_prompt_for(std::uint32_t page, std::uint32_t token, std::uint32_t block_tokens) {
  const std::uint64_t first_token = std::uint64_t{page} * block_tokens;
  return first_token > token ? first_token - token : 0;
}

Status check_exists(std::uint32_t page, std::uint32_t token, std::uint32_t prompt_tokens, std::uint32_t block_tokens,
                    const RecordSource& source, const std::string& beyond_context) {
  const std::uint64_t last = last_page(prompt_tokens, token, block_tokens);
  if (page <= last) {
    return {};
  }
  if (!beyond_context.empty()) {
    return bad_input(source.place() + ": id " + std::to_string(page) + " is beyond the context, whose last " +
                     (block_tokens == 1 ? "token" : "block") + " is " + std::to_string(last) + "; " + beyond_context);
  }
  return bad_input(source.place() + ": block " + std::to_string(page) + " is read before it exists: with " +
                   std::to_string(prompt_tokens) + " prompt tokens and " + std::to_string(block_tokens) +
                   " tokens per block the last block by then is " + std::to_string(last) +
                   "; give --prompt-tokens of at least " + std::to_string(least_prompt_for(page, token, block_tokens)) +
                   ", leave it out so that it is inferred, or mend --block-tokens");
}

/// Where rows say where they are, what was accepted before leads there.
Status check_position(const SourceFacts& facts, const SourceRecord& record, const RowPlace& place,
                      const RecordSource& source) {
  const std::uint64_t expected = std::uint64_t{facts.prompt_tokens.value_or(0)} + place.token;
  if (!record.position || *record.position == expected) {
    return {};
  }
  return bad_input(source.place() + ": is at position " + std::to_string(*record.position) +
                   ", but the tokens accepted before lead to " + std::to_string(expected) +
                   ": are rows missing, or are they of several requests?");
}

std::uint32_t largest(std::span<const std::uint32_t> ids) {
  std::uint32_t most = 0;
  for (const std::uint32_t id : ids) {
    most = std::max(most, id);
  }
  return most;
}

Result<Findings> scan(const ImportRules& rules, std::span<const std::string> sources, const ImportOptions& options,
                      const RunContext& context) {
  LoopWatch watch(context, "checking the rows", 0, "rows");
  RowOrder order(rules.rows);
  Findings found;
  const auto visit = [&](const SourceRecord& record, const RowPlace& place, const RecordSource& source) -> Status {
    ++found.rows;
    const std::uint32_t last_token = last_token_of(record, place);
    found.last_token = std::max(found.last_token, last_token);
    found.has_tokens = found.has_tokens || record.tokens != StepTokens();
    KVPLACE_TRY(check_position(rules.facts, record, place, source));
    if (!record.experts.empty()) {
      found.experts = std::max(found.experts, largest(record.experts) + 1);
    }
    if (record.kv.empty()) {
      return {};
    }
    found.has_kv = true;
    const std::uint32_t page = largest(record.kv);
    if (options.prompt_tokens) {
      KVPLACE_TRY(check_exists(page, last_token, *options.prompt_tokens, *options.block_tokens, source,
                               rules.facts.beyond_context));
    }
    const std::uint64_t prompt = least_prompt_for(page, last_token, *options.block_tokens);
    if (prompt > found.least_prompt) {
      found.least_prompt = prompt;
      found.place_of_least_prompt = source.place() + ": block " + std::to_string(page);
    }
    if (rules.order_is_ranking && !found.is_unsorted) {
      found.is_unsorted = !std::is_sorted(record.kv.begin(), record.kv.end());
    }
    return {};
  };
  KVPLACE_TRY(for_each_row(rules, sources, order, watch, visit));
  found.layers = order.layers();
  found.first_layer = order.first_layer() + rules.facts.dense_layers;
  found.steps = order.steps();
  found.requests = order.requests();
  return found;
}

std::string source_name(std::span<const std::string> sources) {
  std::string name = std::filesystem::path(sources.front()).filename().string();
  if (sources.size() > 1) {
    name += " and " + std::to_string(sources.size() - 1) + " more";
  }
  return name;
}

/// What the prompt chose, of the layers that are in the trace; it may be experts that decoding never chose.
Status take_prompt_experts(const ImportRules& rules, std::span<const std::string> sources, const Findings& found,
                           bool are_counted, TraceMeta& meta) {
  meta.prompt_experts = rules.prompt->lists(found.first_layer - rules.facts.dense_layers, found.layers);
  for (const std::vector<std::uint32_t>& list : meta.prompt_experts) {
    for (const std::uint32_t expert : list) {
      if (are_counted && expert >= meta.layout.experts) {
        return bad_input(sources.front() + ": its prompt has an expert " + std::to_string(expert) + " of " +
                         std::to_string(meta.layout.experts) + "; experts are counted from 0");
      }
      meta.layout.experts = std::max(meta.layout.experts, expert + 1);
    }
  }
  return {};
}

Result<TraceMeta> make_meta(const ImportRules& rules, std::span<const std::string> sources, const Findings& found,
                            const ImportOptions& options) {
  TraceMeta meta;
  meta.layers = found.layers;
  meta.first_layer = found.first_layer;
  const std::uint32_t experts = options.experts.value_or(rules.facts.experts);
  if (experts > 0 && found.experts > experts) {
    return bad_input(sources.front() + ": has an expert " + std::to_string(found.experts - 1) + ", but " +
                     (options.experts ? "--experts says" : "its head says") + " that a layer has " +
                     std::to_string(experts) + "; experts are counted from 0");
  }
  meta.layout.experts = std::max(found.experts, experts);
  if (rules.prompt != nullptr && found.experts > 0) {
    KVPLACE_TRY(take_prompt_experts(rules, sources, found, experts > 0, meta));
  }
  for (std::uint32_t layer = 0; layer < meta.layers; ++layer) {
    const auto size = rules.facts.expert_bytes.find(found.first_layer + layer);
    if (size == rules.facts.expert_bytes.end()) {
      meta.expert_bytes.clear();
      break;
    }
    meta.expert_bytes.emplace_back(size->second);
  }
  const bool has_pages = found.has_kv || options.prompt_tokens;
  meta.layout.requests = has_pages ? found.requests : 1;
  meta.layout.block_tokens = *options.block_tokens;
  meta.has_ranking = options.read_k || found.is_unsorted;
  meta.has_tokens = found.has_tokens;
  meta.block_bytes = options.block_bytes;
  meta.model = options.model;
  meta.selection = options.selection;
  meta.source = options.source.empty() ? source_name(sources) : options.source;
  if (found.least_prompt > kMostTokens) {
    return bad_input(found.place_of_least_prompt + " of " + std::to_string(*options.block_tokens) +
                     " tokens would need a prompt of " + std::to_string(found.least_prompt) +
                     " tokens, more than is supported: is --block-tokens right?");
  }
  meta.layout.prompt_tokens = options.prompt_tokens.value_or(static_cast<std::uint32_t>(found.least_prompt));
  std::uint64_t blocks = meta.layout.experts;
  if (has_pages) {
    blocks += (last_page(meta.layout.prompt_tokens, found.last_token, *options.block_tokens) + 1) * found.requests;
  }
  if (blocks > kvt::kMostBlocksPerLayer || blocks * found.layers > kvt::kMostBlocks) {
    return bad_input(sources.front() + ": has " + std::to_string(blocks) + " blocks in each of " +
                     std::to_string(found.layers) + " layers; at most " + std::to_string(kvt::kMostBlocksPerLayer) +
                     " per layer and 2^32 - 1 in all are supported: are all ids right?");
  }
  return meta;
}

/// The second pass: rows to records of the trace.
class RowWriter {
 public:
  RowWriter(TraceWriter writer, const Findings& found, const ImportOptions& options, const SourceFacts& facts)
      : writer_(std::move(writer)),
        meta_(writer_.meta()),
        found_(found),
        has_pages_(found.has_kv || options.prompt_tokens),
        read_k_(options.read_k),
        facts_(facts) {}

  Status add(const SourceRecord& record, const RowPlace& place, const RecordSource& source) {
    if (place.step >= found_.steps || place.layer >= found_.layers || place.request >= found_.requests ||
        last_token_of(record, place) > found_.last_token ||
        (!record.experts.empty() && largest(record.experts) >= found_.experts) || (!record.kv.empty() && !has_pages_)) {
      return changed(source);
    }
    const std::uint32_t prompt_tokens = meta_.layout.prompt_tokens;
    const std::uint32_t block_tokens = meta_.layout.block_tokens;
    reads_.clear();
    ranking_.clear();
    sorted_.assign(record.experts.begin(), record.experts.end());
    KVPLACE_TRY(sort_unique("expert", source));
    for (const std::uint32_t expert : sorted_) {
      reads_.emplace_back(expert);
    }
    if (!record.kv.empty()) {
      KVPLACE_TRY(check_exists(largest(record.kv), last_token_of(record, place), prompt_tokens, block_tokens, source,
                               facts_.beyond_context));
      sorted_.assign(record.kv.begin(), record.kv.end());
      KVPLACE_TRY(sort_unique("block", source));
      if (read_k_ && *read_k_ < record.kv.size()) {
        sorted_.assign(record.kv.begin(), record.kv.begin() + *read_k_);
        std::sort(sorted_.begin(), sorted_.end());
      }
      for (const std::uint32_t page : sorted_) {
        reads_.push_back(meta_.layout.page_block(page, place.request));
      }
      if (meta_.has_ranking) {
        for (const std::uint32_t page : record.kv) {
          ranking_.push_back(meta_.layout.page_block(page, place.request));
        }
      }
    }
    StepView view;
    view.step = StepIndex(place.step);
    view.layer = LayerIndex(place.layer);
    view.reads = reads_;
    view.ranking = ranking_;
    view.tokens = record.tokens;
    appended_.clear();
    written_.clear();
    for (std::uint32_t i = 0; has_pages_ && i < record.tokens.verified; ++i) {
      const BlockId id = meta_.layout.page_block(
          static_cast<std::uint32_t>(last_page(prompt_tokens, place.token + i, block_tokens)), place.request);
      if (appended_.empty() || appended_.back() != id) {
        appended_.push_back(id);
        written_.push_back(0);
      }
      ++written_.back();
    }
    view.appended = appended_;
    view.written_tokens = written_;
    if (Status status = writer_.add(view); !status) {
      return at_place(source.place(), status.error());
    }
    return {};
  }

  Result<TraceTotals> finish() { return writer_.finish(); }
  [[nodiscard]] const TraceMeta& meta() const { return meta_; }

 private:
  static Status changed(const RecordSource& source) {
    return bad_input(source.place() + ": the file changed while it was read; import it again");
  }

  Status sort_unique(const char* what, const RecordSource& source) {
    const auto not_ascending = [](std::uint32_t a, std::uint32_t b) { return a >= b; };
    if (std::adjacent_find(sorted_.begin(), sorted_.end(), not_ascending) == sorted_.end()) {
      return {};
    }
    std::sort(sorted_.begin(), sorted_.end());
    const auto twice = std::adjacent_find(sorted_.begin(), sorted_.end());
    if (twice != sorted_.end()) {
      return bad_input(source.place() + ": " + what + " " + std::to_string(*twice) +
                       " is listed twice; a row lists each id once");
    }
    return {};
  }

  TraceWriter writer_;
  TraceMeta meta_;
  const Findings& found_;
  bool has_pages_;
  std::optional<std::uint32_t> read_k_;
  const SourceFacts& facts_;
  std::vector<std::uint32_t> sorted_;
  std::vector<BlockId> reads_;
  std::vector<BlockId> ranking_;
  std::vector<BlockId> appended_;
  std::vector<std::uint32_t> written_;
};

Status check_taken(const TakenOptions& takes, const ImportOptions& options) {
  if (options.read_k && !takes.read_k) {
    return bad_input("--read is for formats whose ids may be a ranking (topk-npy); leave it out");
  }
  const struct {
    const char* flag;
    bool is_given;
    bool is_taken;
    const char* of;
  } flags[] = {
      {"--experts", options.experts.has_value(), takes.experts, "ids that are experts"},
      {"--layers", options.layers.has_value(), takes.layers, "arrays whose shape does not say it"},
      {"--prompt-rows", options.prompt_rows.has_value(), takes.prompt_rows, "arrays with a row per token"},
      {"--request", !options.request.empty(), takes.request, "files that may hold several requests"},
      {"--columns", !options.columns.empty(), takes.columns, "records (--format records)"},
  };
  for (const auto& flag : flags) {
    if (flag.is_given && !flag.is_taken) {
      return bad_input(std::string(flag.flag) + " is for " + flag.of + "; leave it out");
    }
  }
  if (options.experts && (*options.experts == 0 || *options.experts > kvt::kMostBlocksPerLayer)) {
    return bad_input("--experts must be 1 to " + std::to_string(kvt::kMostBlocksPerLayer));
  }
  return {};
}

/// Options completed by what the file says.
Result<ImportOptions> complete(const ImportRules& rules, std::span<const std::string> sources,
                               const ImportOptions& options) {
  ImportOptions all = options;
  const SourceFacts& facts = rules.facts;
  if (facts.prompt_tokens && options.prompt_tokens && *facts.prompt_tokens != *options.prompt_tokens) {
    return bad_input(sources.front() + ": has a prompt of " + std::to_string(*facts.prompt_tokens) +
                     " tokens, --prompt-tokens says " + std::to_string(*options.prompt_tokens) + "; leave it out");
  }
  if (facts.prompt_tokens) {
    all.prompt_tokens = facts.prompt_tokens;
  }
  if (!options.block_tokens) {
    all.block_tokens = facts.block_tokens.value_or(1);
  }
  return all;
}

Status check_request(const ImportRules& rules, const ImportOptions& options) {
  if (options.block_tokens && (*options.block_tokens == 0 || *options.block_tokens > kvt::kMostBlocksPerLayer)) {
    return bad_input("--block-tokens must be 1 to " + std::to_string(kvt::kMostBlocksPerLayer));
  }
  KVPLACE_TRY(check_taken(rules.takes, options));
  if (options.read_k && *options.read_k == 0) {
    return bad_input("--read must be at least 1");
  }
  return {};
}

}  // namespace

Status begin_import(FileScope& files, std::span<const std::string> sources, const std::string& out) {
  KVPLACE_TRY(files.claim(out));
  if (sources.empty()) {
    return bad_input("import needs at least one file");
  }
  for (const std::string& path : sources) {
    std::error_code error;
    const auto type = std::filesystem::status(path, error).type();
    if (!error && type != std::filesystem::file_type::regular && type != std::filesystem::file_type::directory) {
      return bad_input(path + ": is a pipe or a device; import reads its files twice, so save it to a file first");
    }
  }
  return {};
}

Result<ImportSummary> import_records(const ImportRules& rules, std::span<const std::string> sources,
                                     const std::string& out, const ImportOptions& given, const RunContext& context) {
  FileScope files;
  KVPLACE_TRY(begin_import(files, sources, out));
  KVPLACE_TRY(check_request(rules, given));
  for (const std::string& path : sources) {
    KVPLACE_TRY(rules.open(path));
  }
  KVPLACE_ASSIGN(options, complete(rules, sources, given));
  KVPLACE_ASSIGN(found, scan(rules, sources, options, context));
  KVPLACE_ASSIGN(meta, make_meta(rules, sources, found, options));
  KVPLACE_ASSIGN(writer, TraceWriter::create(out, meta, options.writer));
  RowWriter rows(std::move(writer), found, options, rules.facts);
  LoopWatch watch(context, "importing", found.rows, "rows");
  RowOrder order(rules.rows);
  const auto visit = [&rows](const SourceRecord& record, const RowPlace& place, const RecordSource& source) {
    return rows.add(record, place, source);
  };
  KVPLACE_TRY(for_each_row(rules, sources, order, watch, visit));
  if (order.steps() != found.steps) {
    return bad_input(sources.front() + ": changed while it was read; import it again");
  }
  KVPLACE_ASSIGN(totals, rows.finish());
  return ImportSummary{totals, rows.meta(), found.has_kv && !options.prompt_tokens, rules.facts.taken};
}

}  // namespace kvplace
