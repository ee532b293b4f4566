#include "kvplace/runtime/run.h"

#include <nlohmann/json.hpp>

#include "kvplace/runtime/calibrate.h"
#include "kvplace/simulate/report.h"
#include "kvplace/trace/next_reads.h"
#include "runtime/run/trace_runner.h"
#include "trace/segment_stream.h"

namespace kvplace {
namespace {

/// What a replay decided, to be decided again.
class RecordedDecisions final : public DecisionObserver, public DecisionSource {
 public:
  Status on_start(std::span<const BlockIndex> initial_near) override {
    initial_near_.assign(initial_near.begin(), initial_near.end());
    decisions_.clear();
    return {};
  }
  Status on_step(StepIndex, LayerIndex, const Decision& decision) override {
    decisions_.push_back(decision);
    return {};
  }
  [[nodiscard]] Result<std::vector<BlockIndex>> initial_near() override { return initial_near_; }
  [[nodiscard]] Status next(StepIndex, LayerIndex, Decision& decision) override {
    decision = decisions_[next_++];
    return {};
  }

 private:
  std::vector<BlockIndex> initial_near_;
  std::vector<Decision> decisions_;
  std::size_t next_ = 0;
};

Result<TraceRun> run_policy(const TraceReader& trace, const Instance& instance, const PolicySpec& policy,
                            const TraceRunOptions& options, const RunContext& context, TraceRuns& runs) {
  KVPLACE_ASSIGN(info, PolicyRegistry::instance().find(policy.name));
  RecordedDecisions recorded;
  ReplayJob job;
  job.instance = &instance;
  job.policy = policy;
  if (!info->runs_in_common_pass()) {  // searched for or planned, with passes of its own
    ReplayJob found = job;
    found.observer = &recorded;
    KVPLACE_ASSIGN(results, replay(trace, {&found, 1}, context));
    if (!results.front().complete) {
      return interrupted("stopped before " + policy.name + " had found its placement");
    }
    job.policy = results.front().policy;
    KVPLACE_ASSIGN(found_info, PolicyRegistry::instance().find(job.policy.name));
    info = found_info;
    job.schedule = info->runs_in_common_pass() ? nullptr : &recorded;
  }
  TraceRunner runner(trace, instance, options, job);
  KVPLACE_TRY(runner.make_placement());
  std::optional<NextReads> next_reads;
  if (runner.placement().run().needs_next_reads()) {
    KVPLACE_ASSIGN(built, NextReads::build(trace, context));
    next_reads.emplace(std::move(built));
  }
  const std::uint32_t end_step =
      options.steps == 0 ? trace.totals().steps : std::min(options.steps, trace.totals().steps);
  KVPLACE_TRY(runner.start(
      next_reads ? std::span<const std::uint32_t>(next_reads->first_reads()) : std::span<const std::uint32_t>(),
      end_step));
  const PolicyRun& run = runner.placement().run();
  SegmentStream stream(trace, context,
                       {run.needs_ranking() ? ChunkParts::kAll : ChunkParts::kWithoutRankings,
                        next_reads ? &*next_reads : nullptr, run.horizon()});
  KVPLACE_TRY(stream.start("running " + policy.name));
  while (!stream.at_end() && stream.segment().first_step() < end_step && !context.stop_requested()) {
    // Decoding the next chunk beside the run would disturb what is measured.
    KVPLACE_TRY(runner.process(stream.segment(), stream.window(), end_step));
    KVPLACE_TRY(stream.next());
  }
  stream.finish();
  for (const std::string& note : runner.far().notes()) {
    if (std::find(runs.notes.begin(), runs.notes.end(), note) == runs.notes.end()) {
      runs.notes.push_back(note);
    }
  }
  runs.far = runner.far().name();
  TraceRun result = runner.result();
  result.policy = policy;
  result.complete = result.steps == end_step;
  return result;
}

nlohmann::ordered_json json_of(const TraceRun& run) {
  using Json = nlohmann::ordered_json;
  Json json;
  json["policy"] = run.policy.text();
  json["steps"] = run.steps;
  json["complete"] = run.complete;
  json["predicted_s"] = run.predicted.total.value();
  json["measured_s"] = run.measured.value();
  json["channels"] = Json::object();
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    json["channels"][std::string(channel_name(static_cast<Channel>(c)))] = {
        {"predicted_bytes", run.predicted.channel_bytes[c]}, {"measured_bytes", run.channel_bytes[c]}};
  }
  json["near_reads"] = {{"predicted", run.predicted.near_reads}, {"measured", run.near_reads}};
  json["far_reads"] = {{"predicted", run.predicted.far_reads}, {"measured", run.far_reads}};
  json["placing_s"] = run.placing.value();
  json["waiting_s"] = run.waiting.value();
  json["reading_s"] = run.reading.value();
  json["near_bytes"] = run.near_bytes.value();
  json["steps_predicted_s"] = run.predicted_s;
  json["steps_measured_s"] = run.measured_s;
  return json;
}

}  // namespace

Result<TraceRuns> run_trace(const TraceReader& trace, const Instance& instance, const std::vector<PolicySpec>& policies,
                            const TraceRunOptions& options, const RunContext& context) {
  KVPLACE_TRY(check_runs(trace, instance));
  for (const PolicySpec& policy : policies) {
    KVPLACE_TRY(check_fits(policy, trace, instance));
    KVPLACE_ASSIGN(info, PolicyRegistry::instance().find(policy.name));
    if (info->information == Information::kIdeal) {
      return bad_input("policy " + policy.name + " is ideal: it places nothing that could be run");
    }
  }
  TraceRuns runs;
  runs.manifest = make_manifest();
  runs.manifest.inputs.emplace_back(trace.path(), trace.totals().digest);
  if (const std::string& name = instance.spec().hardware.name; name != kCalibratedName) {
    runs.notes.push_back("predicted times are those of " + name +
                         "; kvplace calibrate -o FILE, then --hardware FILE, are " + "this machine's");
  }
  for (const PolicySpec& policy : policies) {
    KVPLACE_ASSIGN(run, run_policy(trace, instance, policy, options, context, runs));
    runs.runs.push_back(std::move(run));
    if (!runs.runs.back().complete) {
      break;
    }
  }
  return runs;
}

std::string to_json(const TraceRuns& runs, const Instance& instance) {
  using Json = nlohmann::ordered_json;
  Json json;
  json["manifest"] = Json::parse(to_json(runs.manifest));
  json["instance"] = Json::parse(to_json(instance));
  json["far"] = runs.far;
  json["runs"] = Json::array();
  for (const TraceRun& run : runs.runs) {
    json["runs"].push_back(json_of(run));
  }
  json["notes"] = runs.notes;
  return json.dump(2);
}

}  // namespace kvplace
