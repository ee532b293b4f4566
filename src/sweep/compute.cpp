#include "kvplace/sweep/compute.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>

#include "kvplace/generate/workload.h"
#include "kvplace/instance/resolve.h"
#include "kvplace/simulate/compare.h"
#include "simulate/bounds_visitor.h"
#include "sweep/outcome.h"
#include "sweep/study_keys.h"

namespace kvplace {
namespace {

/// Of policies. Beside so many the pass over the trace itself costs little.
constexpr std::size_t kRunsOfBatch = 16;
constexpr std::size_t kMostPointsOfBatch = 512;

/// What a point reads: points that agree in it can share passes. Empty: it reads no trace that others could.
std::string source_of_point(const StudyPoint& point) {
  if (const auto trace = said(point, "trace")) {
    return "trace " + *trace;
  }
  const auto workload = said(point, "workload");
  if (!workload) {
    return {};
  }
  std::string source = "workload " + *workload;
  for (const ConfigEntry& entry : point.settings) {
    const bool of_model = entry.key == "model" || entry.key.starts_with("model.");
    if (of_model || entry.key == "context" || entry.key == "steps" || is_generator_key(entry.key)) {
      source += ", " + entry.key + " " + entry.text;
    }
  }
  return source;
}

/// What decides where blocks are put: all but the speeds of the machine.
std::string placement_of_point(const StudyPoint& point) {
  std::string text;
  for (const ConfigEntry& entry : point.settings) {
    if (!entry.key.starts_with("hardware.")) {
      text += entry.key + " = " + entry.text + "\n";
    }
  }
  return text;
}

Result<TraceReader> open_source(const StudyPoint& point, const TracePlaces& places, const RunContext& context) {
  if (const auto path = said(point, "trace")) {
    const auto place = places.find(*path);
    return place == places.end() ? TraceReader::open(*path) : TraceReader::open(place->second, {false, *path});
  }
  Workload workload;
  workload.name = *said(point, "workload");
  if (const auto tokens = said(point, "context")) {
    KVPLACE_ASSIGN(parsed, parse_tokens(*tokens));
    workload.context = parsed;
  }
  if (const auto steps = said(point, "steps")) {
    KVPLACE_ASSIGN(parsed, parse_tokens(*steps));
    workload.steps = parsed;
  }
  KVPLACE_ASSIGN(spec, resolve_spec(instance_settings(point), {}));
  if (!spec.model) {
    return bad_input("the workload " + workload.name + " reads what a model reads: give model");
  }
  KVPLACE_TRY(validate(*spec.model, "model"));
  KVPLACE_ASSIGN(config, workload_config(workload, *spec.model));
  for (const ConfigEntry& entry : point.settings) {
    if (is_generator_key(entry.key)) {
      KVPLACE_TRY(apply_generator_entry(without_prefix(entry, "generator"), config));
    }
  }
  return open_generated(config, source_of_point(point), context);
}

Result<Seconds> time_limit_of(const StudyPoint& point, const std::string& key, Seconds otherwise) {
  const auto text = said(point, key);
  return text ? parse_seconds(*text) : Result<Seconds>(otherwise);
}

/// What the elementary bounds of an instance hang on: all but what has to do with capacity.
std::string bounds_key(const Instance& instance) {
  InstanceSpec spec = instance.spec();
  spec.options.near_capacity.reset();
  spec.options.near_blocks_per_layer.reset();
  spec.options.near_fraction.reset();
  spec.options.layer_shares.clear();
  return to_toml(spec) + (instance.tiered() ? "tiered" : "");
}

/// A point on its way through a batch.
struct PointWork {
  explicit PointWork(std::uint32_t number) : outcome(number) {}

  Outcome outcome;
  std::optional<Instance> instance;
  std::vector<std::pair<std::size_t, PolicySpec>> policies;  // by place
  BoundsVisitor* bounds = nullptr;  // of the pass, shared by points that differ in capacity alone
  std::optional<ProvenBounds> proven;
  std::vector<ReplayResult> results;
};

/// The points of a batch, all of one trace.
class BatchComputer {
 public:
  BatchComputer(const Study& study, std::span<const std::uint32_t> batch, const RunContext& context,
                const TracePlaces& places)
      : study_(study), batch_(batch), context_(context), places_(places) {
    context_.progress = nullptr;  // points are what is counted
  }

  Status run(const TakeOutcome& take) {
    const auto begin = std::chrono::steady_clock::now();
    for (const std::uint32_t point : batch_) {
      work_.emplace_back(point);
    }
    KVPLACE_TRY(compute());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    for (PointWork& work : work_) {
      KVPLACE_TRY(take(work.outcome.finish(seconds / static_cast<double>(work_.size()))));
    }
    return {};
  }

 private:
  [[nodiscard]] const StudyPoint& point(std::size_t i) const { return study_.points[batch_[i]]; }

  Status compute() {
    if (!source_of_point(point(0)).empty() && (said(point(0), "trace") || reads_traces())) {
      Result<TraceReader> trace = open_source(point(0), places_, context_);
      if (!trace) {
        return all_fail(study_.compute.front(), trace.error());
      }
      trace_.emplace(std::move(*trace));
    }
    for (std::size_t i = 0; i < work_.size(); ++i) {
      KVPLACE_TRY(prepare(i));
    }
    if (study_.computes(Compute::kBound)) {
      for (std::size_t i = 0; i < work_.size(); ++i) {
        KVPLACE_TRY(noted(i, Compute::kBound, prove(i)));
      }
    }
    if (study_.computes(Compute::kCompare)) {
      KVPLACE_TRY(compare(0, work_.size()));
    }
    for (std::size_t i = 0; i < work_.size(); ++i) {
      if (study_.computes(Compute::kSize)) {
        KVPLACE_TRY(noted(i, Compute::kSize, size(i)));
      }
      if (study_.computes(Compute::kAdvise)) {
        KVPLACE_TRY(noted(i, Compute::kAdvise, advise_point(i)));
      }
    }
    return {};
  }

  [[nodiscard]] bool reads_traces() const {
    return study_.computes(Compute::kCompare) || study_.computes(Compute::kBound) || study_.computes(Compute::kSize);
  }

  Status all_fail(Compute compute, const Error& error) {
    for (std::size_t i = 0; i < work_.size(); ++i) {
      KVPLACE_TRY(noted(i, compute, tl::unexpected(error)));
    }
    return {};
  }

  /// An error becomes a row, but for a stop.
  Status noted(std::size_t i, Compute compute, const Status& status) {
    if (context_.stop_requested()) {
      return interrupted("stopped; what was done is kept, and the same command goes on from there");
    }
    if (!status) {
      work_[i].outcome.add_error(compute, status.error().message);
    }
    return {};
  }

  Status prepare(std::size_t i) {
    PointWork& work = work_[i];
    if (!trace_) {
      return {};
    }
    work.outcome.set_trace(*trace_);
    if (reads_traces()) {
      KVPLACE_TRY(noted(i, study_.compute.front(), make_instance(i)));
    }
    return {};
  }

  Status make_instance(std::size_t i) {
    KVPLACE_ASSIGN(spec, resolve_spec(instance_settings(point(i)), trace_->meta()));
    work_[i].outcome.set_config(spec);
    KVPLACE_ASSIGN(instance, Instance::make(spec, trace_->meta(), trace_->totals()));
    work_[i].instance.emplace(std::move(instance));
    return study_.computes(Compute::kCompare) ? name_policies(work_[i]) : Status();
  }

  Status name_policies(PointWork& work) {
    KVPLACE_ASSIGN(policies, named_policies(study_.policies, trace_->meta(), *work.instance));
    for (std::size_t place = 0; place < policies.size(); ++place) {
      if (const Status fits = check_fits(policies[place], *trace_, *work.instance); !fits) {
        work.outcome.add_error(Compute::kCompare, fits.error().message, policies[place].text());
      } else {
        work.policies.emplace_back(place, policies[place]);
      }
    }
    return {};
  }

  Status prove(std::size_t i) {
    PointWork& work = work_[i];
    if (!work.instance) {
      return {};
    }
    BoundOptions options;
    KVPLACE_ASSIGN(limit, time_limit_of(point(i), "bound.time_limit", options.time_limit));
    options.time_limit = limit;
    KVPLACE_ASSIGN(proven, solve_bounds(*trace_, work.instance->for_bounds(), options, context_));
    work.outcome.set_proven(proven);
    work.proven = std::move(proven);
    return {};
  }

  /// Points [first, end) in one pass. If that fails each goes alone, so that only those fail that must.
  Status compare(std::size_t first, std::size_t end) {
    std::vector<ReplayJob> jobs;
    std::map<std::string, BoundsVisitor> bounds;
    for (std::size_t i = first; i < end; ++i) {
      PointWork& work = work_[i];
      if (work.instance) {
        for (const auto& [place, policy] : work.policies) {
          jobs.push_back({&*work.instance, policy});
        }
        work.bounds = &bounds.try_emplace(bounds_key(*work.instance), *work.instance).first->second;
      }
    }
    std::vector<TraceVisitor*> visitors;
    for (auto& [key, visitor] : bounds) {
      visitors.push_back(&visitor);
    }
    Result<std::vector<ReplayResult>> replayed = replay(*trace_, jobs, context_, visitors);
    if (!replayed && end - first > 1 && !context_.stop_requested()) {
      for (std::size_t i = first; i < end; ++i) {
        KVPLACE_TRY(compare(i, i + 1));
      }
      return {};
    }
    auto next = replayed ? replayed->begin() : std::vector<ReplayResult>::iterator();
    for (std::size_t i = first; i < end; ++i) {
      PointWork& work = work_[i];
      if (work.instance && replayed) {
        add_results(work, next);
        next += static_cast<std::ptrdiff_t>(work.policies.size());
      }
      KVPLACE_TRY(noted(i, Compute::kCompare,
                        work.instance && !replayed ? Status(tl::unexpected(replayed.error())) : Status()));
    }
    return {};
  }

  static void add_results(PointWork& work, std::vector<ReplayResult>::const_iterator results) {
    const Bounds bounds = work.bounds->bounds();
    Seconds certified;
    if (work.proven) {
      const bool any = covering_claim(work.instance->options()) == Claim::kAny;
      certified = (any ? work.proven->any : work.proven->step).verified.bound;
    }
    work.outcome.set_bounds(bounds);
    for (std::size_t p = 0; p < work.policies.size(); ++p) {
      work.outcome.add_result(work.policies[p].first, *(results + static_cast<std::ptrdiff_t>(p)), bounds, certified);
    }
  }

  Status size(std::size_t i) {
    if (!work_[i].instance) {
      return {};
    }
    SizeOptions options;
    KVPLACE_ASSIGN(target, parse_target(*said(point(i), "size.target")));
    options.target = target;
    if (const auto text = said(point(i), "size.find")) {
      KVPLACE_ASSIGN(find, parse_find(*text));
      options.find = find;
    }
    for (const auto& [key, number] :
         {std::pair("size.tolerance", &options.tolerance), std::pair("size.price_near", &options.price_near_per_gib),
          std::pair("size.price_link", &options.price_link_per_gb_s)}) {
      if (const auto text = said(point(i), key)) {
        KVPLACE_ASSIGN(value, parse_number(*text));
        *number = value;
      }
    }
    options.crossover = said(point(i), "size.crossover").value_or("false") == "true";
    KVPLACE_ASSIGN(limit, time_limit_of(point(i), "size.time_limit", options.time_limit));
    options.time_limit = limit;
    const Instance& instance = *work_[i].instance;
    if (study_.policies.empty()) {
      options.policies = default_size_policies(options.find);
    } else {
      KVPLACE_ASSIGN(policies, named_policies(study_.policies, trace_->meta(), instance));
      options.policies = std::move(policies);
    }
    KVPLACE_ASSIGN(result, find_size(*trace_, instance, options, context_));
    work_[i].outcome.add_sizes(result);
    return {};
  }

  Status advise_point(std::size_t i) {
    AdviseOptions options;
    const TraceReader* const trace = said(point(i), "trace") ? &*trace_ : nullptr;
    options.trace = trace;
    options.context = trace != nullptr ? trace->meta().layout.prompt_tokens : 0;
    options.workload = said(point(i), "workload").value_or("");
    for (const auto& [key, tokens] :
         {std::pair("context", &options.context), std::pair("advise.output", &options.output)}) {
      if (const auto text = said(point(i), key)) {
        KVPLACE_ASSIGN(value, parse_tokens(*text));
        *tokens = value;
      }
    }
    if (const auto text = said(point(i), "advise.target")) {
      KVPLACE_ASSIGN(target, parse_target(*text));
      options.target = target.value;
    }
    KVPLACE_ASSIGN(limit, time_limit_of(point(i), "advise.time_limit", options.time_limit));
    options.time_limit = limit;
    options.all_gpus = !said(point(i), "options.gpus");
    KVPLACE_ASSIGN(spec, resolve_spec(instance_settings(point(i)), trace != nullptr ? trace->meta() : TraceMeta()));
    KVPLACE_ASSIGN(advice, advise(spec, options, context_));
    work_[i].outcome.set_config(advice.spec);
    work_[i].outcome.add_advice(advice);
    return {};
  }

  const Study& study_;
  std::span<const std::uint32_t> batch_;
  RunContext context_;
  const TracePlaces& places_;
  std::optional<TraceReader> trace_;
  std::deque<PointWork> work_;  // instances are pointed to
};

}  // namespace

std::vector<std::vector<std::uint32_t>> sweep_batches(const Study& study, std::span<const std::uint32_t> pending) {
  const bool shares = study.computes(Compute::kCompare);
  std::vector<std::string> order;  // sources, as they come
  std::map<std::string, std::map<std::string, std::vector<std::uint32_t>>> by_source;
  std::vector<std::vector<std::uint32_t>> batches;
  for (const std::uint32_t point : pending) {
    const std::string source = shares ? source_of_point(study.points[point]) : std::string();
    if (source.empty()) {
      batches.push_back({point});
      continue;
    }
    if (!by_source.contains(source)) {
      order.push_back(source);
    }
    by_source[source][placement_of_point(study.points[point])].push_back(point);
  }
  const std::size_t runs_of_point = std::max<std::size_t>(study.policies.size(), 1);
  for (const std::string& source : order) {
    std::vector<std::uint32_t> batch;
    std::size_t runs = 0;
    for (const auto& [placement, points] : by_source[source]) {
      for (std::size_t i = 0; i < points.size(); ++i) {
        batch.push_back(points[i]);
        runs += i % 8 == 0 ? runs_of_point : 0;  // eight links cost about as much as one run more
        if (batch.size() == kMostPointsOfBatch || (i + 1 == points.size() && runs >= kRunsOfBatch)) {
          batches.push_back(std::exchange(batch, {}));
          runs = 0;
        }
      }
    }
    if (!batch.empty()) {
      batches.push_back(std::move(batch));
    }
  }
  return batches;
}

std::vector<std::string> traces_of(const Study& study, std::span<const std::uint32_t> points) {
  std::vector<std::string> traces;
  for (const std::uint32_t point : points) {
    if (const auto trace = said(study.points[point], "trace");
        trace && std::find(traces.begin(), traces.end(), *trace) == traces.end()) {
      traces.push_back(*trace);
    }
  }
  return traces;
}

Status compute_batch(const Study& study, std::span<const std::uint32_t> batch, const RunContext& context,
                     const TakeOutcome& take, const TracePlaces& places) {
  return batch.empty() ? Status() : BatchComputer(study, batch, context, places).run(take);
}

}  // namespace kvplace
