/// route-csv: CSV of a routing trace, one row per expert chosen: turn, phase (0: the prompt), step, layer, slot,
/// expert, weight and more, by name. Lines of '#' before the header tell the experts of a layer and their bytes.
#include <array>
#include <charconv>

#include "kvplace/trace/formats.h"
#include "trace/kvt_format.h"
#include "trace/record_rows.h"
#include "trace/record_stream.h"

namespace kvplace {
namespace {

constexpr std::array<std::string_view, 4> kNames{"phase", "step", "layer", "expert"};

bool recognise(std::string_view head) { return !head.starts_with('{') && first_row_has(head, kNames); }

/// The number behind ` key=` in a line; 0 if there is none.
std::uint64_t number_behind(std::string_view line, std::string_view key) {
  const std::string wanted = " " + std::string(key) + "=";
  const std::size_t at = line.find(wanted);
  std::uint64_t number = 0;
  if (at != line.npos) {
    const std::string_view rest = line.substr(at + wanted.size());
    std::from_chars(rest.data(), rest.data() + rest.size(), number);
  }
  return number;
}

Result<ImportSummary> import_trace(std::span<const std::string> sources, const std::string& out,
                                   const ImportOptions& options, const RunContext& context) {
  RecordForm form;
  form.request = "turn";
  form.phase = "phase";
  form.step = "step";
  form.layer = "layer";
  form.experts = "expert";
  SourceFacts facts;
  if (!sources.empty()) {
    constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 40;
    KVPLACE_ASSIGN(rows, RecordRows::open(sources.front(), {}));
    for (const std::string& line : rows->preamble()) {
      const std::uint64_t experts = number_behind(line, "n_expert");
      if (experts > 0 && experts <= kvt::kMostBlocksPerLayer) {
        facts.experts = static_cast<std::uint32_t>(experts);
      }
      const std::uint64_t bytes = number_behind(line, "expert_bytes");
      if (bytes > 0 && bytes <= kMostBytes) {
        facts.expert_bytes[number_behind(line, "layer")] = static_cast<std::int64_t>(bytes);
      }
    }
  }
  return import_stream(form, facts, sources, out, options, context);
}

}  // namespace

void register_format_route_csv(FormatRegistry& registry);

void register_format_route_csv(FormatRegistry& registry) {
  registry.add({"route-csv", "CSV of a routing trace: turn, phase, step, layer, expert, one row per expert", recognise,
                import_trace, nullptr});
}

}  // namespace kvplace
