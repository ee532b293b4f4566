// Whole stretches of a trace as arrays, and traces from arrays.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/errors.h"
#include "bindings/run.h"
#include "kvplace/trace/reader.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace kvplace::python {
namespace {

/// A rectangle of decode steps and layers; the ends are excluded. Checked by the package.
struct Part {
  std::uint32_t first_step, end_step, first_layer, end_layer;
  [[nodiscard]] std::size_t records() const { return std::size_t{end_step - first_step} * (end_layer - first_layer); }
};

/// Calls visit(record) for each record of the part, step by step, then layer by layer.
template <class Visit>
Status for_each_record(const TraceReader& trace, const Part& part, const RunContext& context, Visit visit) {
  const std::size_t end = trace.chunk_of(StepIndex(part.end_step - 1)) + 1;
  for (std::size_t i = trace.chunk_of(StepIndex(part.first_step)); i < end; ++i) {
    if (context.stop_requested()) {
      return interrupted("stopped while reading " + trace.path());
    }
    KVPLACE_ASSIGN(segment, trace.chunk(i));
    const std::uint32_t last = std::min(segment.end_step(), part.end_step);
    for (std::uint32_t step = std::max(segment.first_step(), part.first_step); step < last; ++step) {
      for (std::uint32_t layer = part.first_layer; layer < part.end_layer; ++layer) {
        visit(segment.view(step, layer));
      }
    }
  }
  return {};
}

std::span<const std::uint32_t> numbers_of(std::span<const BlockId> ids) {
  return {reinterpret_cast<const std::uint32_t*>(ids.data()), ids.size()};
}

/// The list of a record that `what` names: "reads", "appended", "ranking" or "read_bytes".
std::span<const std::uint32_t> list_of(const StepView& record, const std::string& what) {
  if (what == "reads") {
    return numbers_of(record.reads);
  }
  if (what == "appended") {
    return numbers_of(record.appended);
  }
  return what == "ranking" ? numbers_of(record.ranking) : record.read_bytes;
}

/// Lists of all records one after the other, and where each begins.
struct RecordLists {
  std::vector<std::int64_t> begin{0};
  std::vector<std::uint32_t> values;
};

RecordLists lists_of(const TraceReader& trace, const std::string& what, const Part& part) {
  return run({1, nb::none(), nullptr}, [&](const RunContext& context) -> Result<RecordLists> {
    RecordLists lists;
    lists.begin.reserve(part.records() + 1);
    KVPLACE_TRY(for_each_record(trace, part, context, [&](const StepView& record) {
      const std::span<const std::uint32_t> list = list_of(record, what);
      lists.values.insert(lists.values.end(), list.begin(), list.end());
      lists.begin.push_back(static_cast<std::int64_t>(lists.values.size()));
    }));
    return lists;
  });
}

/// Rank of each read in its record's ranking, from 0; -1 if it is not in it.
std::vector<std::int32_t> ranks_of_reads(const TraceReader& trace, const Part& part) {
  return run({1, nb::none(), nullptr}, [&](const RunContext& context) -> Result<std::vector<std::int32_t>> {
    std::vector<std::int32_t> ranks;
    std::vector<std::int32_t> rank_of_block(trace.totals().blocks_per_layer, -1);
    KVPLACE_TRY(for_each_record(trace, part, context, [&](const StepView& record) {
      for (std::size_t r = 0; r < record.ranking.size(); ++r) {
        rank_of_block[record.ranking[r].value()] = static_cast<std::int32_t>(r);
      }
      for (const BlockId id : record.reads) {
        ranks.push_back(rank_of_block[id.value()]);
      }
      for (const BlockId id : record.ranking) {
        rank_of_block[id.value()] = -1;
      }
    }));
    return ranks;
  });
}

/// [steps, layers, longest list], padded with -1.
NumpyArray<std::int32_t> dense_of(const RecordLists& lists, const Part& part) {
  std::size_t width = 0;
  for (std::size_t i = 0; i + 1 < lists.begin.size(); ++i) {
    width = std::max(width, static_cast<std::size_t>(lists.begin[i + 1] - lists.begin[i]));
  }
  std::vector<std::int32_t> dense(part.records() * width, -1);
  for (std::size_t i = 0; i < part.records(); ++i) {
    std::transform(lists.values.begin() + lists.begin[i], lists.values.begin() + lists.begin[i + 1],
                   dense.begin() + static_cast<std::ptrdiff_t>(i * width),
                   [](std::uint32_t value) { return static_cast<std::int32_t>(value); });
  }
  return to_numpy(std::move(dense), {std::size_t{part.end_step - part.first_step},
                                     std::size_t{part.end_layer - part.first_layer}, width});
}

}  // namespace

void bind_trace_arrays(nb::module_& module) {
  module.def(
      "csr",
      [](const TraceReader& trace, const std::string& what, std::uint32_t first_step, std::uint32_t end_step,
         std::uint32_t first_layer, std::uint32_t end_layer) {
        RecordLists lists = lists_of(trace, what, {first_step, end_step, first_layer, end_layer});
        const std::size_t rows = lists.begin.size();
        const std::size_t values = lists.values.size();
        return std::make_tuple(to_numpy(std::move(lists.begin), {rows}), to_numpy(std::move(lists.values), {values}));
      },
      "trace"_a, "what"_a, "first_step"_a, "end_step"_a, "first_layer"_a, "end_layer"_a,
      "Begins [records + 1], int64, and values, uint32, of one list per record.");
  module.def(
      "dense",
      [](const TraceReader& trace, const std::string& what, std::uint32_t first_step, std::uint32_t end_step,
         std::uint32_t first_layer, std::uint32_t end_layer) {
        const Part part{first_step, end_step, first_layer, end_layer};
        return dense_of(lists_of(trace, what, part), part);
      },
      "trace"_a, "what"_a, "first_step"_a, "end_step"_a, "first_layer"_a, "end_layer"_a,
      "[steps, layers, longest list], int32, padded with -1.");
  module.def(
      "ranks_of_reads",
      [](const TraceReader& trace, std::uint32_t first_step, std::uint32_t end_step, std::uint32_t first_layer,
         std::uint32_t end_layer) {
        std::vector<std::int32_t> ranks = ranks_of_reads(trace, {first_step, end_step, first_layer, end_layer});
        const std::size_t reads = ranks.size();
        return to_numpy(std::move(ranks), {reads});
      },
      "trace"_a, "first_step"_a, "end_step"_a, "first_layer"_a, "end_layer"_a,
      "Rank of each read in its record's ranking, from 0, or -1.");
}

}  // namespace kvplace::python
