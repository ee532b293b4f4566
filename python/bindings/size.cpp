// What must be bought or set for a target, and budgets per layer.
#include "kvplace/size/size.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <tuple>
#include <vector>

#include "bindings/check_same.h"
#include "bindings/errors.h"
#include "bindings/run.h"
#include "kvplace/base/file_guard.h"
#include "kvplace/size/report.h"
#include "size_text.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace kvplace::python {
namespace {

/// JSON and text of a result.
using SizeTold = std::tuple<std::string, std::string>;
/// The same with its outputs.
using BudgetsTold = std::tuple<std::string, std::string, Outputs>;

std::vector<BudgetTrace> budget_traces(const std::vector<const TraceReader*>& traces,
                                       const std::vector<const Instance*>& instances) {
  std::vector<BudgetTrace> list;
  for (std::size_t i = 0; i < traces.size(); ++i) {
    check_same(*traces[i], *instances[i]);
    list.push_back({traces[i], instances[i]});
  }
  return list;
}

}  // namespace

void bind_size(nb::module_& module) {
  module.def(
      "size",
      [](const TraceReader& trace, const Instance& instance, const std::string& target, const std::string& find,
         const std::vector<std::string>& policies, bool crossover, double price_near, double price_link,
         double tolerance, double time_limit, unsigned threads, const nb::object& progress,
         const Interrupt* interrupt) {
        check_same(trace, instance);
        SizeOptions options;
        options.target = unwrap(parse_target(target));
        options.find = unwrap(parse_find(find));
        options.crossover = crossover;
        options.price_near_per_gib = price_near;
        options.price_link_per_gb_s = price_link;
        options.tolerance = tolerance;
        options.time_limit = Seconds(time_limit);
        for (const std::string& policy : policies) {
          options.policies.push_back(unwrap(PolicyRegistry::instance().parse(policy)));
        }
        if (policies.empty()) {
          options.policies = default_size_policies(options.find);
        }
        return run({threads, progress, interrupt}, [&](const RunContext& context) -> Result<SizeTold> {
          KVPLACE_ASSIGN(result, find_size(trace, instance, options, context));
          return SizeTold(to_json(result, trace, instance), cli::table(result, trace, instance));
        });
      },
      "trace"_a, "instance"_a, "target"_a, "find"_a, "policies"_a, "crossover"_a, "price_near"_a, "price_link"_a,
      "tolerance"_a, "time_limit"_a, "threads"_a, "progress"_a.none(), "interrupt"_a.none(), "JSON and text.");
  module.def(
      "budgets",
      [](const std::vector<const TraceReader*>& traces, const std::vector<const Instance*>& instances,
         const std::vector<const TraceReader*>& held_out, const std::vector<const Instance*>& held_out_instances,
         const std::string& policy, std::uint32_t least_blocks, const std::string& out, unsigned threads,
         const nb::object& progress, const Interrupt* interrupt) {
        const std::vector<BudgetTrace> given = budget_traces(traces, instances);
        const std::vector<BudgetTrace> checked = budget_traces(held_out, held_out_instances);
        const BudgetOptions options{unwrap(PolicyRegistry::instance().parse(policy)), least_blocks};
        return run({threads, progress, interrupt}, [&](const RunContext& context) -> Result<BudgetsTold> {
          FileScope files;
          if (!out.empty()) {
            KVPLACE_TRY(files.claim(out));
            KVPLACE_TRY(check_layer_budgets_name(out));
          }
          KVPLACE_ASSIGN(budgets, find_budgets(given, checked, options, context));
          const Status written = out.empty() ? Status() : write_layer_budgets(out, budgets, given.front());
          return BudgetsTold(to_json(budgets, given.front()), cli::table(budgets, given.front()), Outputs{written});
        });
      },
      "traces"_a, "instances"_a, "held_out"_a, "held_out_instances"_a, "policy"_a, "least_blocks"_a, "out"_a,
      "threads"_a, "progress"_a.none(), "interrupt"_a.none(),
      "JSON, text and outputs. An empty name stands for an output that is not wanted.");
}

}  // namespace kvplace::python
