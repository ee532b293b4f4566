/// topk-npy: a NumPy array [decode steps, layers, k] of ids, -1 where a row has fewer: what an engine's top-k dump is.
#include <algorithm>
#include <array>
#include <bit>

#include "kvplace/base/file_guard.h"
#include "kvplace/base/parse.h"
#include "kvplace/trace/formats.h"
#include "trace/byte_order.h"
#include "trace/byte_sink.h"
#include "trace/export_steps.h"
#include "trace/import_driver.h"
#include "trace/kvt_format.h"
#include "trace/npy_header.h"

namespace kvplace {
namespace {

constexpr std::int32_t kPadding = -1;
constexpr std::uint64_t kWidestRow = std::uint64_t{1} << 26;

/// Appends the ids of a row of T; returns the first element that is none, or nothing.
template <class T>
std::optional<std::int64_t> append_ids(std::span<const std::byte> row, std::vector<std::uint32_t>& ids) {
  for (std::size_t at = 0; at < row.size(); at += sizeof(T)) {
    const T value = load_little_endian<T>(row.data() + at);
    if constexpr (std::is_signed_v<T>) {
      if (value == kPadding) {
        continue;
      }
      if (value < 0 || value >= static_cast<T>(kvt::kMostBlocksPerLayer)) {
        return value;
      }
    }
    ids.push_back(static_cast<std::uint32_t>(value));
  }
  return std::nullopt;
}

struct ElementType {
  std::string_view descr;
  std::size_t size;
  std::optional<std::int64_t> (*append_ids)(std::span<const std::byte>, std::vector<std::uint32_t>&);
};
constexpr std::array<ElementType, 3> kTypes{ElementType{"<i4", 4, append_ids<std::int32_t>},
                                            ElementType{"<u2", 2, append_ids<std::uint16_t>},
                                            ElementType{"<i8", 8, append_ids<std::int64_t>}};

class TopkSource : public RecordSource {
 public:
  TopkSource(ByteSource source, const NpyHeader& header, const ElementType& type)
      : source_(std::move(source)),
        type_(type),
        steps_(header.shape[0]),
        layers_(header.shape[1]),
        row_bytes_(header.shape[2] * type.size) {}

  Result<bool> next(SourceRecord& record) override {
    const std::uint64_t row = next_row_++;
    if (row / layers_ == steps_) {
      return at_end();
    }
    record.step = row / layers_;
    record.layer = row % layers_;
    KVPLACE_TRY(read_row());
    ids_.clear();
    const std::optional<std::int64_t> bad = type_.append_ids(std::span(row_).first(row_bytes_), ids_);
    if (bad) {
      return bad_input(place() + ": " + std::to_string(*bad) + " is no id; ids are 0 to " +
                       std::to_string(kvt::kMostBlocksPerLayer - 1) + ", and -1 where a row has fewer");
    }
    record.kv = ids_;
    return true;
  }

  std::string place() const override {
    const std::uint64_t row = next_row_ == 0 ? 0 : next_row_ - 1;
    return source_.path() + ": decode step " + std::to_string(row / layers_) + ", layer " +
           std::to_string(row % layers_);
  }

 private:
  /// Memory grows with what the file really holds, whatever its head claims.
  Status read_row() {
    constexpr std::size_t kStepBytes = std::size_t{1} << 20;
    for (std::size_t done = 0; done < row_bytes_;) {
      const std::size_t part = std::min(row_bytes_ - done, kStepBytes);
      if (row_.size() < done + part) {
        row_.resize(done + part);
      }
      KVPLACE_ASSIGN(got, source_.read_fully(std::span(row_).subspan(done, part)));
      if (got < part) {
        return bad_input(place() + ": the file ends here, its header promises " + std::to_string(steps_) +
                         " decode steps of " + std::to_string(layers_) + " layers; copy or make it anew");
      }
      done += part;
    }
    return {};
  }

  Result<bool> at_end() {
    std::array<std::byte, 1> rest{};
    KVPLACE_ASSIGN(got, source_.read_fully(rest));
    if (got > 0) {
      return bad_input(source_.path() + ": there is more behind the array of " + std::to_string(steps_) +
                       " decode steps and " + std::to_string(layers_) +
                       " layers that its header promises; save one array alone with numpy.save");
    }
    --next_row_;
    return false;
  }

  ByteSource source_;
  const ElementType& type_;
  std::uint64_t steps_;
  std::uint64_t layers_;
  std::size_t row_bytes_;
  std::uint64_t next_row_ = 0;
  std::vector<std::byte> row_;
  std::vector<std::uint32_t> ids_;
};

std::string shape_text(const NpyHeader& header) {
  std::string text;
  for (const std::uint64_t size : header.shape) {
    text += (text.empty() ? "" : ", ") + std::to_string(size);
  }
  return "(" + text + ")";
}

Result<std::unique_ptr<RecordSource>> open_source(const std::string& path) {
  KVPLACE_ASSIGN(source, ByteSource::open(path));
  KVPLACE_ASSIGN(header, read_npy_header(source));
  const auto type = std::find_if(kTypes.begin(), kTypes.end(),
                                 [&header](const ElementType& known) { return known.descr == header.descr; });
  if (type == kTypes.end()) {
    return bad_input(path + ": has elements of type " + in_quotes(header.descr) +
                     "; ids must be int32 ('<i4'), uint16 ('<u2') or int64 ('<i8'): save array.astype('<i4')");
  }
  if (header.shape.size() != 3) {
    return bad_input(path + ": has the shape " + shape_text(header) +
                     "; expected three dimensions: decode steps, layers, ids per row");
  }
  if (header.fortran_order) {
    return bad_input(path + ": is stored in Fortran order; save numpy.ascontiguousarray(array)");
  }
  if (header.shape[0] == 0 || header.shape[1] == 0 || header.shape[2] == 0) {
    return bad_input(path + ": has the shape " + shape_text(header) + ": there is nothing in it");
  }
  if (header.shape[0] >= kNeverRead || header.shape[1] > kvt::kMostLayers || header.shape[2] > kWidestRow) {
    return bad_input(path + ": has the shape " + shape_text(header) + "; at most " + std::to_string(kNeverRead - 1) +
                     " decode steps, " + std::to_string(kvt::kMostLayers) + " layers and " +
                     std::to_string(kWidestRow) + " ids per row are supported");
  }
  return std::make_unique<TopkSource>(std::move(source), header, *type);
}

Result<ImportSummary> import_trace(std::span<const std::string> sources, const std::string& out,
                                   const ImportOptions& options, const RunContext& context) {
  ImportRules rules;
  rules.open = open_source;
  rules.may_be_ranked = true;
  return import_records(rules, sources, out, options, context);
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
  registry.add({"topk-npy", "NumPy array [decode steps, layers, k] of int32, uint16 or int64 ids, -1 = padding",
                import_trace, export_trace});
}

}  // namespace kvplace
