#include "trace/record_stream.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "kvplace/base/file_guard.h"
#include "kvplace/base/parse.h"
#include "trace/kvt_format.h"
#include "trace/record_rows.h"
#include "trace/request_choice.h"

namespace kvplace {
namespace {

using Kind = RecordValue::Kind;

constexpr std::size_t kMostNamesKept = 5;

/// What each column is for.
enum Column : std::size_t {
  kRequest,
  kLayer,
  kStep,
  kBlocks,
  kExperts,
  kPhase,
  kLength,
  kVerified,
  kAccepted,
  kPosition,
  kNumColumns
};

bool is_prompt(const RecordValue& phase) {
  return (phase.kind == Kind::kNumber && phase.number == 0) ||
         (phase.kind == Kind::kText && (phase.text == "prefill" || phase.text == "prompt"));
}

class RecordStream : public RecordSource {
 public:
  /// `prompt`: where the prompt's choices go; may be null.
  static Result<std::unique_ptr<RecordStream>> open(const RecordForm& form, const std::string& wanted,
                                                    const std::string& path, PromptExperts* prompt) {
    const std::array<std::string, kNumColumns> columns{form.request,  form.layer,   form.step,   form.blocks,
                                                       form.experts,  form.phase,   form.length, form.verified,
                                                       form.accepted, form.position};
    KVPLACE_ASSIGN(rows, RecordRows::open(path, columns));
    return std::unique_ptr<RecordStream>(new RecordStream(form, wanted, path, std::move(rows), prompt));
  }

  Result<bool> next(SourceRecord& record) override {
    kv_.clear();
    experts_.clear();
    if (!has_row_) {
      KVPLACE_ASSIGN(more, next_row());
      if (!more) {
        return at_end();
      }
    }
    place_ = rows_->place();
    layer_ = values_[kLayer].number;
    step_ = form_.steps_by_layer ? step_ : values_[kStep].number;
    record.position = position();
    KVPLACE_ASSIGN(tokens, tokens_of_row());
    record.tokens = tokens;
    // Rows of one id each go on until layer or step change; a list is all of its row's.
    bool is_list = false;
    do {
      is_list = take_ids();
      has_row_ = false;
      KVPLACE_ASSIGN(more, is_list ? Result<bool>(false) : next_row());
      if (!more) {
        break;
      }
    } while (values_[kLayer].number == layer_ && (form_.steps_by_layer || values_[kStep].number == step_));
    record.step = step_;
    record.layer = layer_;
    record.kv = kv_;
    record.experts = experts_;
    has_begun_ = true;
    if (form_.steps_by_layer) {
      KVPLACE_TRY(count_by_layer());
    }
    return true;
  }
  std::string place() const override { return place_; }
  [[nodiscard]] const RecordRows& rows() const { return *rows_; }

 private:
  RecordStream(const RecordForm& form, const std::string& wanted, const std::string& path,
               std::unique_ptr<RecordRows> rows, PromptExperts* prompt)
      : form_(form), wanted_(wanted), path_(path), rows_(std::move(rows)), prompt_(prompt), place_(path) {}

  /// The next row that is a decode step of the request, checked; false at the end.
  Result<bool> next_row() {
    while (true) {
      KVPLACE_ASSIGN(more, rows_->next(values_));
      if (!more) {
        return false;
      }
      KVPLACE_ASSIGN(is_ours, is_of_request());
      if (is_ours && is_prompt(values_[kPhase])) {
        note_prompt();
      }
      if (!is_ours || is_prompt(values_[kPhase])) {
        continue;
      }
      KVPLACE_TRY(require(kLayer, form_.layer, Kind::kNumber));
      if (!form_.steps_by_layer) {
        KVPLACE_TRY(require(kStep, form_.step, Kind::kNumber));
      }
      if (form_.is_named && !form_.position.empty()) {
        KVPLACE_TRY(require(kPosition, form_.position, Kind::kNumber));
      }
      const std::uint64_t verified = values_[kVerified].kind == Kind::kNumber ? values_[kVerified].number : 1;
      if (values_[kLength].kind == Kind::kNumber &&
          values_[kLength].number > position().value_or(values_[kStep].number) + verified) {
        if (has_begun_) {
          return several_tokens();
        }
        continue;
      }
      KVPLACE_TRY(require_ids());
      has_row_ = true;
      return true;
    }
  }

  void note_prompt() {
    const RecordValue& experts = values_[kExperts];
    if (prompt_ == nullptr || values_[kLayer].kind != Kind::kNumber) {
      return;
    }
    if (experts.kind == Kind::kList) {
      prompt_->use(values_[kLayer].number, experts.list);
    } else if (experts.kind == Kind::kNumber && experts.number < kvt::kMostPromptExperts) {
      const auto expert = static_cast<std::uint32_t>(experts.number);
      prompt_->use(values_[kLayer].number, {&expert, 1});
    }
  }

  Status require(Column column, const std::string& name, Kind kind) {
    if (values_[column].kind == kind) {
      return {};
    }
    if (values_[column].kind == Kind::kMissing) {
      return bad_input(rows_->place() + ": has no " + in_quotes(name) + ", but " + rows_->names());
    }
    return bad_input(rows_->place() + ": " + name + ": expected a whole number of 0 or more" +
                     (values_[column].kind == Kind::kText ? ", found " + in_quotes(values_[column].text) : ""));
  }

  Status require_ids() {
    bool has_ids = false;
    for (const auto& [column, name] : {std::pair(kBlocks, form_.blocks), std::pair(kExperts, form_.experts)}) {
      if (name.empty()) {
        continue;
      }
      const RecordValue& value = values_[column];
      if (value.kind != Kind::kList) {
        KVPLACE_TRY(require(column, name, Kind::kNumber));
        if (value.number >= kvt::kMostBlocksPerLayer) {
          return bad_input(rows_->place() + ": " + name + ": id " + std::to_string(value.number) +
                           " is too large; ids are 0 to " + std::to_string(kvt::kMostBlocksPerLayer - 1));
        }
      }
      has_ids = true;
    }
    return has_ids ? Status() : bad_input(path_ + ": no column holds ids");
  }

  /// True if the ids were a list.
  bool take_ids() {
    bool is_list = false;
    const auto take = [&is_list](const RecordValue& value, std::vector<std::uint32_t>& ids) {
      if (value.kind == Kind::kList) {
        ids.insert(ids.end(), value.list.begin(), value.list.end());
        is_list = true;
      } else if (value.kind == Kind::kNumber) {
        ids.push_back(static_cast<std::uint32_t>(value.number));
      }
    };
    take(values_[kBlocks], kv_);
    take(values_[kExperts], experts_);
    return is_list;
  }

  Result<bool> is_of_request() {
    const RecordValue& value = values_[kRequest];
    if (value.kind != Kind::kNumber && value.kind != Kind::kText) {
      return wanted_.empty();
    }
    const std::string name = value.name();
    if (names_.size() < kMostNamesKept && std::find(names_.begin(), names_.end(), name) == names_.end()) {
      names_.push_back(name);
      if (wanted_.empty() && names_.size() > 1) {
        return several_requests(rows_->place(), names_);
      }
    }
    return wanted_.empty() || name == wanted_;
  }

  tl::unexpected<Error> several_tokens() const {
    return bad_input(rows_->place() +
                     ": is a step of several tokens (speculative decoding, or a prompt in parts), and does not say how "
                     "many: give rows tokens_verified and tokens_accepted, or record without it");
  }

  [[nodiscard]] std::optional<std::uint64_t> position() const {
    const RecordValue& value = values_[kPosition];
    return value.kind == Kind::kNumber ? std::optional(value.number) : std::nullopt;
  }

  Result<StepTokens> tokens_of_row() {
    if (values_[kVerified].kind == Kind::kMissing) {
      return StepTokens();
    }
    KVPLACE_TRY(require(kVerified, form_.verified, Kind::kNumber));
    const std::uint64_t verified = values_[kVerified].number;
    if (verified == 1 && values_[kAccepted].kind == Kind::kMissing) {
      return StepTokens();
    }
    KVPLACE_TRY(require(kAccepted, form_.accepted, Kind::kNumber));
    const std::uint64_t accepted = values_[kAccepted].number;
    if (accepted == 0 || accepted > verified || verified > kvt::kMostStepTokens) {
      return bad_input(place_ + ": accepts " + std::to_string(accepted) + " of " + std::to_string(verified) +
                       " tokens verified; expected 1 to those verified, at most " +
                       std::to_string(kvt::kMostStepTokens));
    }
    return StepTokens{static_cast<std::uint32_t>(accepted), static_cast<std::uint32_t>(verified)};
  }

  /// The next step begins where the layer falls, so steps need two layers, and all rows as many experts.
  Status count_by_layer() {
    if (num_experts_ == 0) {
      num_experts_ = experts_.size();
      first_layer_ = layer_;
    }
    has_several_layers_ = has_several_layers_ || layer_ != first_layer_;
    if (experts_.size() != num_experts_) {
      return bad_input(place_ + ": layer " + std::to_string(layer_) + " has " + std::to_string(experts_.size()) +
                       " rows here, and had " + std::to_string(num_experts_) +
                       " before; rows of a token's layer stand together, as many for each token: leave out a prompt's");
    }
    if (has_row_ && values_[kLayer].number < layer_) {
      ++step_;
    }
    return {};
  }

  Result<bool> at_end() {
    if (!has_begun_ && !wanted_.empty()) {
      KVPLACE_TRY(choose_request(path_, names_, wanted_));
    }
    if (has_begun_ && form_.steps_by_layer && !has_several_layers_) {
      return bad_input(path_ + ": holds layer " + std::to_string(layer_) +
                       " only, so that nothing tells where a token begins; give rows their token, and name it with "
                       "--columns");
    }
    return false;
  }

  const RecordForm& form_;
  std::string wanted_;
  std::string path_;
  std::unique_ptr<RecordRows> rows_;
  PromptExperts* prompt_;
  std::array<RecordValue, kNumColumns> values_;
  bool has_row_ = false;    ///< values_ is a row that no record holds yet
  bool has_begun_ = false;  ///< a record was made
  std::vector<std::string> names_;
  std::vector<std::uint32_t> kv_;
  std::vector<std::uint32_t> experts_;
  std::size_t num_experts_ = 0;
  std::uint64_t first_layer_ = 0;
  bool has_several_layers_ = false;
  std::uint64_t step_ = 0;
  std::uint64_t layer_ = 0;
  std::string place_;
};

}  // namespace

Result<RecordForm> parse_columns(std::string_view text) {
  RecordForm form;
  form.is_named = true;
  const std::vector<std::pair<std::string, std::string*>> keys{
      {"request", &form.request},   {"layer", &form.layer},      {"step", &form.step},   {"position", &form.position},
      {"blocks", &form.blocks},     {"experts", &form.experts},  {"phase", &form.phase}, {"length", &form.length},
      {"verified", &form.verified}, {"accepted", &form.accepted}};
  const auto wrong = [](const std::string& what) {
    return bad_input("--columns: " + what + "; it is as request=NAME,layer=NAME,step=NAME,blocks=NAME");
  };
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::size_t equals = part.find('=');
    const std::string key(part.substr(0, equals));
    const auto found = std::find_if(keys.begin(), keys.end(), [&key](const auto& known) { return known.first == key; });
    if (found == keys.end()) {
      std::vector<std::string> known;
      for (const auto& [name, member] : keys) {
        known.push_back(name);
      }
      return wrong(in_quotes(key) + " is no column of a trace; the nearest is " + in_quotes(nearest_name(key, known)));
    }
    if (equals == part.npos || equals + 1 == part.size()) {
      return wrong(key + " names no column of the file");
    }
    if (!found->second->empty()) {
      return wrong(key + " is given twice");
    }
    *found->second = part.substr(equals + 1);
  }
  if (form.step.empty() && !form.position.empty()) {
    std::swap(form.step, form.position);
    form.step_is_position = true;
  }
  // Whoever writes these names means steps of several tokens.
  form.verified = form.verified.empty() ? "tokens_verified" : form.verified;
  form.accepted = form.accepted.empty() ? "tokens_accepted" : form.accepted;
  if (form.layer.empty() || form.step.empty() || (form.blocks.empty() && form.experts.empty())) {
    return wrong("names no " + std::string(form.layer.empty()  ? "layer"
                                           : form.step.empty() ? "step"
                                                               : "blocks or experts"));
  }
  return form;
}

Result<ImportSummary> import_stream(const RecordForm& form, const SourceFacts& facts,
                                    std::span<const std::string> sources, const std::string& out,
                                    const ImportOptions& options, const RunContext& context) {
  FileScope files;
  KVPLACE_TRY(begin_import(files, sources, out));
  ImportRules rules;
  rules.takes.experts = rules.takes.request = true;
  rules.takes.columns = form.is_named;
  rules.rows.any_first_step = rules.rows.any_first_layer = rules.rows.one_request = true;
  rules.facts = facts;
  PromptExperts prompt_experts;
  rules.prompt = &prompt_experts;
  rules.open = [&form, &options, &prompt_experts](const std::string& path) -> Result<std::unique_ptr<RecordSource>> {
    return RecordStream::open(form, options.request, path, &prompt_experts);
  };
  KVPLACE_ASSIGN(first_file, RecordStream::open(form, options.request, sources.front(), nullptr));
  SourceRecord first;
  KVPLACE_ASSIGN(has_rows, first_file->next(first));
  const bool is_position = first.position || form.step_is_position;
  const std::uint64_t prompt = first.position.value_or(first.step);
  rules.rows.counts_tokens = form.step_is_position && !first.position;
  const bool tells_prompt = is_position || (first.step > 0 && !options.prompt_tokens);
  if (has_rows && !form.blocks.empty() && tells_prompt && prompt < kNeverRead) {
    rules.facts.prompt_tokens = static_cast<std::uint32_t>(prompt);
    rules.facts.beyond_context =
        is_position
            ? "ids must be positions of tokens in the request, or of blocks of --block-tokens"
            : "steps begin at " + std::to_string(first.step) +
                  ", which is taken for the position of the first token: give --prompt-tokens if they only count, or "
                  "mend --block-tokens";
  }
  return import_records(rules, sources, out, options, context);
}

bool first_row_has(std::string_view head, std::span<const std::string_view> names) {
  const std::vector<std::string> found = names_of_first_row(head);
  return std::all_of(names.begin(), names.end(), [&found](std::string_view name) {
    return std::find(found.begin(), found.end(), name) != found.end();
  });
}

}  // namespace kvplace
