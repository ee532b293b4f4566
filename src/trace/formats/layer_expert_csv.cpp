/// layer-expert-csv: CSV layer,expert of patched llama.cpp, one row per expert chosen. A token begins where the layer
/// falls.
#include "kvplace/trace/formats.h"
#include "trace/csv_row.h"
#include "trace/record_stream.h"

namespace kvplace {
namespace {

bool recognise(std::string_view head) { return begins_with_csv_header(head, "layer,expert"); }

Result<ImportSummary> import_trace(std::span<const std::string> sources, const std::string& out,
                                   const ImportOptions& options, const RunContext& context) {
  RecordForm form;
  form.layer = "layer";
  form.experts = "expert";
  form.steps_by_layer = true;
  return import_stream(form, {}, sources, out, options, context);
}

}  // namespace

void register_format_layer_expert_csv(FormatRegistry& registry);

void register_format_layer_expert_csv(FormatRegistry& registry) {
  registry.add({"layer-expert-csv", "CSV layer,expert: one row per expert; a token begins where the layer falls",
                recognise, import_trace, nullptr});
}

}  // namespace kvplace
