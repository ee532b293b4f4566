/// fang-csv: a CSV file with the header n,l,read_kv and rows such as 0,3,"[1, 2, 300]": decode step, layer, and the KV
/// blocks read.
#include "kvplace/trace/formats.h"
#include "trace/byte_sink.h"
#include "trace/csv_row.h"
#include "trace/export_steps.h"
#include "trace/import_driver.h"

namespace kvplace {
namespace {

constexpr std::string_view kColumns = "n,l,read_kv";

class FangCsvSource : public RecordSource {
 public:
  explicit FangCsvSource(LineReader lines) : lines_(std::move(lines)) {}

  Result<bool> next(SourceRecord& record) override {
    std::string_view line;
    KVPLACE_ASSIGN(more, next_csv_line(lines_, line));
    if (!more) {
      return false;
    }
    CsvRow row(line, kColumns);
    if (!row.number(record.step) || !row.number(record.layer) || !row.list(kv_) || !row.end()) {
      return bad_input(place() + ": " + row.error());
    }
    record.kv = kv_.ids();
    return true;
  }
  std::string place() const override { return lines_.place(); }

 private:
  LineReader lines_;
  IdList kv_;
};

bool recognise(std::string_view head) { return begins_with_csv_header(head, kColumns); }

Result<std::unique_ptr<RecordSource>> open_source(const std::string& path) {
  KVPLACE_ASSIGN(bytes, ByteSource::open(path));
  LineReader lines(std::move(bytes));
  KVPLACE_TRY(read_csv_header(lines, kColumns));
  return std::make_unique<FangCsvSource>(std::move(lines));
}

Result<ImportSummary> import_trace(std::span<const std::string> sources, const std::string& out,
                                   const ImportOptions& options, const RunContext& context) {
  ImportRules rules;
  rules.open = open_source;
  return import_records(rules, sources, out, options, context);
}

Status export_trace(const TraceReader& trace, const std::string& out, const ExportOptions& options,
                    const RunContext& context) {
  KVPLACE_TRY(require_plain_pages(trace, "fang-csv"));
  if (options.ranking) {
    return bad_input(trace.path() + ": fang-csv holds no rankings; export them as topk-npy");
  }
  KVPLACE_ASSIGN(sink, ByteSink::create(out));
  TextSink text(std::move(sink));
  text << kColumns << "\n";
  const auto write_step = [&text](const Segment& segment, std::uint32_t step) -> Status {
    for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
      text << step << "," << layer << ",\"[";
      std::string_view separator;
      for (const BlockId id : segment.view(step, layer).reads) {
        text << separator << id.value();
        separator = ", ";
      }
      text << "]\"\n";
      KVPLACE_TRY(text.flush_if_large());
    }
    return {};
  };
  KVPLACE_TRY(for_each_step(trace, "exporting", context, write_step));
  return text.commit();
}

}  // namespace

void register_format_fang_csv(FormatRegistry& registry);

void register_format_fang_csv(FormatRegistry& registry) {
  registry.add({"fang-csv", "CSV n,l,read_kv: decode step, layer, JSON list of the KV blocks read", recognise,
                import_trace, export_trace});
}

}  // namespace kvplace
