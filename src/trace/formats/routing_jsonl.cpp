/// routing-jsonl: JSON lines of a router, one per layer and token: layer_idx, token_idx, selected_ids (experts).
#include <array>

#include "kvplace/trace/formats.h"
#include "trace/record_stream.h"

namespace kvplace {
namespace {

constexpr std::array<std::string_view, 3> kNames{"layer_idx", "token_idx", "selected_ids"};

bool recognise(std::string_view head) { return first_row_has(head, kNames); }

Result<ImportSummary> import_trace(std::span<const std::string> sources, const std::string& out,
                                   const ImportOptions& options, const RunContext& context) {
  RecordForm form;
  form.layer = "layer_idx";
  form.step = "token_idx";
  form.experts = "selected_ids";
  form.phase = "phase";
  return import_stream(form, {}, sources, out, options, context);
}

}  // namespace

void register_format_routing_jsonl(FormatRegistry& registry);

void register_format_routing_jsonl(FormatRegistry& registry) {
  registry.add({"routing-jsonl", "JSON lines of a router: layer_idx, token_idx, selected_ids (experts)", recognise,
                import_trace, nullptr});
}

}  // namespace kvplace
