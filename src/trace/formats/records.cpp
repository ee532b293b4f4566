/// records: JSON lines or CSV of any names, told by --columns: one row per request, layer and step, or per read.
#include "kvplace/trace/formats.h"
#include "trace/record_stream.h"

namespace kvplace {
namespace {

Result<ImportSummary> import_trace(std::span<const std::string> sources, const std::string& out,
                                   const ImportOptions& options, const RunContext& context) {
  if (options.columns.empty()) {
    return bad_input("--format records needs --columns, as request=NAME,layer=NAME,step=NAME,blocks=NAME");
  }
  KVPLACE_ASSIGN(form, parse_columns(options.columns));
  return import_stream(form, {}, sources, out, options, context);
}

}  // namespace

void register_format_records(FormatRegistry& registry);

void register_format_records(FormatRegistry& registry) {
  registry.add({"records", "JSON lines or CSV of any names, a row per layer and step or per read: --columns tells them",
                nullptr, import_trace, nullptr});
}

}  // namespace kvplace
