/// fang-moe-csv: a CSV file with the header query_id,token_id,layer_id,experts,attention. Experts and attention are
/// JSON lists of the experts and of the KV blocks of the query that were read.
#include <optional>
#include <unordered_map>

#include "kvplace/trace/formats.h"
#include "trace/byte_sink.h"
#include "trace/csv_row.h"
#include "trace/export_steps.h"
#include "trace/import_driver.h"

namespace kvplace {
namespace {

constexpr std::string_view kColumns = "query_id,token_id,layer_id,experts,attention";

class FangMoeCsvSource : public RecordSource {
 public:
  explicit FangMoeCsvSource(LineReader lines) : lines_(std::move(lines)) {}

  Result<bool> next(SourceRecord& record) override {
    std::string_view line;
    KVPLACE_ASSIGN(more, next_csv_line(lines_, line));
    if (!more) {
      return false;
    }
    CsvRow row(line, kColumns);
    if (!row.number(record.query) || !row.number(record.step) || !row.number(record.layer) || !row.list(experts_) ||
        !row.list(kv_) || !row.end()) {
      return bad_input(place() + ": " + row.error());
    }
    record.experts = experts_.ids();
    record.kv = kv_.ids();
    return true;
  }
  std::string place() const override { return lines_.place(); }

 private:
  LineReader lines_;
  IdList experts_;
  IdList kv_;
};

bool recognise(std::string_view head) { return begins_with_csv_header(head, kColumns); }

Result<std::unique_ptr<RecordSource>> open_source(const std::string& path) {
  KVPLACE_ASSIGN(bytes, ByteSource::open(path));
  LineReader lines(std::move(bytes));
  KVPLACE_TRY(read_csv_header(lines, kColumns));
  return std::make_unique<FangMoeCsvSource>(std::move(lines));
}

Result<ImportSummary> import_trace(std::span<const std::string> sources, const std::string& out,
                                   const ImportOptions& options, const RunContext& context) {
  ImportRules rules;
  rules.open = open_source;
  rules.takes.experts = true;
  rules.rows.has_queries = true;
  rules.rows.any_first_layer = true;
  return import_records(rules, sources, out, options, context);
}

/// Writes decode steps as rows of the request whose KV pages they touch.
class MoeRows {
 public:
  MoeRows(TextSink& text, const TraceReader& trace) : text_(text), trace_(trace), layout_(trace.meta().layout) {}

  Status add(const Segment& segment, std::uint32_t step) {
    KVPLACE_TRY(find_request(segment, step));
    const std::uint32_t token = next_token_[request_]++;
    for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
      text_ << request_ << "," << token << "," << trace_.meta().first_layer + layer << ",\"[";
      const auto reads = segment.view(step, layer).reads;
      std::string_view separator;
      auto read = reads.begin();
      for (; read != reads.end() && layout_.kind(*read) == BlockKind::kExpert; ++read) {
        text_ << separator << read->value();
        separator = ", ";
      }
      text_ << "]\",\"[";
      separator = {};
      for (; read != reads.end(); ++read) {
        text_ << separator << layout_.page(*read);
        separator = ", ";
      }
      text_ << "]\"\n";
      KVPLACE_TRY(text_.flush_if_large());
    }
    return {};
  }

 private:
  /// A step that touches no KV page counts for the request of the step before.
  Status find_request(const Segment& segment, std::uint32_t step) {
    std::optional<std::uint32_t> request;
    for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
      const StepView view = segment.view(step, layer);
      for (const std::span<const BlockId> ids : {view.appended, view.reads}) {
        for (const BlockId id : ids) {
          if (layout_.kind(id) == BlockKind::kExpert) {
            continue;
          }
          if (request && *request != layout_.request(id)) {
            return bad_input(trace_.path() + ": decode step " + std::to_string(step) +
                             " touches KV blocks of several requests; fang-moe-csv holds steps of one query each");
          }
          request = layout_.request(id);
        }
      }
    }
    request_ = request.value_or(request_);
    return {};
  }

  TextSink& text_;
  const TraceReader& trace_;
  BlockLayout layout_;
  std::unordered_map<std::uint32_t, std::uint32_t> next_token_;  ///< by request
  std::uint32_t request_ = 0;
};

Status export_trace(const TraceReader& trace, const std::string& out, const ExportOptions& options,
                    const RunContext& context) {
  if (options.ranking) {
    return bad_input(trace.path() + ": fang-moe-csv holds no rankings; export them as topk-npy");
  }
  KVPLACE_TRY(refuse_served(trace, "fang-moe-csv"));
  KVPLACE_ASSIGN(sink, ByteSink::create(out));
  TextSink text(std::move(sink));
  text << kColumns << "\n";
  MoeRows rows(text, trace);
  const auto write_step = [&rows](const Segment& segment, std::uint32_t step) { return rows.add(segment, step); };
  KVPLACE_TRY(for_each_step(trace, "exporting", context, write_step));
  return text.commit();
}

}  // namespace

void register_format_fang_moe_csv(FormatRegistry& registry);

void register_format_fang_moe_csv(FormatRegistry& registry) {
  registry.add({"fang-moe-csv",
                "CSV query_id,token_id,layer_id,experts,attention: JSON lists of the experts and KV blocks read",
                recognise, import_trace, export_trace});
}

}  // namespace kvplace
