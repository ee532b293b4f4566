// Sweeps: studies, their points computed here or elsewhere, and the database of results.
#include "kvplace/sweep/sweep.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/errors.h"
#include "bindings/run.h"
#include "kvplace/base/file_guard.h"
#include "kvplace/trace/reader.h"
#include "sweep_text.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace kvplace::python {
namespace {

/// A study and the database that its results go to.
struct SweepFile {
  Study study;
  SweepDatabase database;
};

}  // namespace

void bind_sweep(nb::module_& module) {
  nb::class_<SweepStatus>(module, "SweepStatus")
      .def("json", [](const SweepStatus& status) { return cli::to_json(status); })
      .def(
          "text",
          [](const SweepStatus& status, const std::string& database) { return cli::sweep_text(status, database); },
          "database"_a);
  nb::class_<SweepFile>(module, "SweepFile")
      .def_prop_ro("toml", [](const SweepFile& file) { return file.study.toml; })
      .def_prop_ro("points", [](const SweepFile& file) { return file.study.points.size(); })
      .def("batches", [](const SweepFile& file) { return sweep_batches(file.study, unwrap(file.database.pending())); })
      .def(
          "traces",
          [](const SweepFile& file, const std::vector<std::uint32_t>& points) { return traces_of(file.study, points); },
          "points"_a)
      .def(
          "store",
          [](SweepFile& file, std::uint32_t point, const std::string& json) {
            unwrap(file.database.store({point, json}));
          },
          "point"_a, "json"_a)
      .def("forget_failures", [](SweepFile& file) { unwrap(file.database.forget_failures()); })
      .def("finish", [](SweepFile& file) { unwrap(file.database.finish()); })
      .def(
          "run",
          [](SweepFile& file, unsigned threads, const nb::object& progress, const Interrupt* interrupt) {
            run({threads, progress, interrupt},
                [&](const RunContext& context) { return run_sweep(file.study, file.database, context); });
          },
          "threads"_a, "progress"_a.none(), "interrupt"_a.none())
      .def("status", [](const SweepFile& file) { return unwrap(file.database.status()); });
  module.def(
      "open_sweep",
      [](const std::string& study, const std::string& database) {
        Study read = unwrap(read_study(study));
        SweepDatabase opened = unwrap(SweepDatabase::open(database, read));
        return SweepFile{std::move(read), std::move(opened)};
      },
      "study"_a, "database"_a);
  module.def(
      "sweep_status",
      [](const std::string& database) { return unwrap(unwrap(SweepDatabase::open_to_read(database)).status()); },
      "database"_a);
  module.def(
      "trace_digest", [](const std::string& path) { return unwrap(TraceReader::open(path)).totals().digest; },
      "path"_a);
  module.def(
      "compute_batch",
      [](const std::string& toml, const std::vector<std::uint32_t>& batch, const TracePlaces& places,
         unsigned threads) {
        const Study study = unwrap(parse_study(toml, "study"));
        std::vector<std::pair<std::uint32_t, std::string>> outcomes;
        run({threads, nb::none(), nullptr}, [&](const RunContext& context) {
          const TakeOutcome take = [&outcomes](const PointOutcome& outcome) -> Status {
            outcomes.emplace_back(outcome.point, outcome.json);
            return {};
          };
          return compute_batch(study, batch, context, take, places);
        });
        return outcomes;
      },
      "toml"_a, "batch"_a, "places"_a, "threads"_a,
      "The outcomes of some points, as a worker sends them back; `places` is where traces lie here.");
  module.def(
      "write_output",
      [](const std::string& path, const nb::bytes& data) { unwrap(write_output(path, {data.c_str(), data.size()})); },
      "path"_a, "data"_a, "A file that appears only when it is complete, and replaces no input.");
}

}  // namespace kvplace::python
