/// topk-npy: a NumPy array [tokens, layers, k] of ids, -1 where a row has fewer: what an engine's top-k dump is.
#include <algorithm>

#include "kvplace/base/file_guard.h"
#include "kvplace/trace/formats.h"
#include "trace/byte_order.h"
#include "trace/byte_sink.h"
#include "trace/export_steps.h"
#include "trace/npy_header.h"
#include "trace/topk_array.h"

namespace kvplace {
namespace {

constexpr std::int32_t kPadding = -1;

bool recognise(std::string_view head) { return head.starts_with(kNpyMagic); }

Result<ImportSummary> import_trace(std::span<const std::string> sources, const std::string& out,
                                   const ImportOptions& options, const RunContext& context) {
  FileScope files;
  KVPLACE_TRY(begin_import(files, sources, out));
  std::vector<TopkArray> arrays;
  for (const std::string& path : sources) {
    KVPLACE_ASSIGN(array, open_npy(path));
    arrays.push_back(std::move(array));
  }
  return import_topk(arrays, {}, {}, out, options, context);
}

Status export_trace(const TraceReader& trace, const std::string& out, const ExportOptions& options,
                    const RunContext& context) {
  KVPLACE_TRY(require_plain_pages(trace, "topk-npy"));
  const std::uint32_t layers = trace.meta().layers;
  if (options.ranking && !trace.meta().has_ranking) {
    return bad_input(trace.path() + ": holds no rankings; export its reads instead");
  }
  FileScope files;
  KVPLACE_TRY(files.claim(out));
  const auto ids_of = [&options](const StepView& view) { return options.ranking ? view.ranking : view.reads; };

  std::size_t width = 1;
  const auto measure = [&](const Segment& segment, std::uint32_t step) -> Status {
    for (std::uint32_t layer = 0; layer < layers; ++layer) {
      width = std::max(width, ids_of(segment.view(step, layer)).size());
    }
    return {};
  };
  KVPLACE_TRY(for_each_step(trace, "finding the widest row", context, measure));

  KVPLACE_ASSIGN(sink, ByteSink::create(out));
  KVPLACE_TRY(sink.write(make_npy_header({"<i4", false, {trace.totals().steps, layers, width}})));
  std::vector<std::byte> rows;
  const auto write = [&](const Segment& segment, std::uint32_t step) -> Status {
    for (std::uint32_t layer = 0; layer < layers; ++layer) {
      const std::span<const BlockId> ids = ids_of(segment.view(step, layer));
      rows.resize(width * sizeof kPadding);
      for (std::size_t i = 0; i < width; ++i) {
        const std::int32_t value = i < ids.size() ? static_cast<std::int32_t>(ids[i].value()) : kPadding;
        store_little_endian(rows.data() + i * sizeof value, value);
      }
      KVPLACE_TRY(sink.write(rows));
    }
    return {};
  };
  KVPLACE_TRY(for_each_step(trace, "exporting", context, write));
  return sink.commit();
}

}  // namespace

void register_format_topk_npy(FormatRegistry& registry);

void register_format_topk_npy(FormatRegistry& registry) {
  registry.add({"topk-npy", "NumPy array [tokens, layers, k] of integer ids, -1 = padding", recognise, import_trace,
                export_trace});
}

}  // namespace kvplace
