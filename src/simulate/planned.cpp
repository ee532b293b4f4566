#include "simulate/planned.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <utility>

#include "kvplace/solve/plan.h"
#include "simulate/stored_decisions.h"

namespace kvplace {
namespace {

/// A folder of its own, gone with the object.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> create() {
    std::error_code error;
    std::string name = (std::filesystem::temp_directory_path(error) / "kvplace-plan-XXXXXX").string();
    if (error || mkdtemp(name.data()) == nullptr) {
      return failed("no temporary folder can be made: set TMPDIR to one that can be written");
    }
    return TemporaryFolder(std::move(name));
  }
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) {
      std::filesystem::remove_all(path_, ignored);
    }
  }

  [[nodiscard]] std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

/// Writes one policy's decisions to a schedule.
class Recording final : public DecisionObserver {
 public:
  explicit Recording(ScheduleWriter writer) : writer_(std::move(writer)) {}
  Status on_start(std::span<const BlockIndex> initial_near) override { return writer_.start(initial_near); }
  Status on_step(StepIndex, LayerIndex, const Decision& decision) override {
    return writer_.add(decision.promote, decision.evict);
  }
  Status finish() { return writer_.finish(); }

 private:
  ScheduleWriter writer_;
};

ScheduleMeta meta_of(const TraceReader& trace, const Instance& instance) {
  ScheduleMeta meta;
  meta.trace_digest = trace.totals().digest;
  meta.layers = instance.layers();
  meta.steps = instance.steps();
  meta.blocks_per_layer = instance.blocks_per_layer();
  meta.mode = instance.options().mode;
  meta.made_by = "planned";
  return meta;
}

/// A schedule to start from, and what it costs.
struct Start {
  std::string path;
  ReplayResult result;
};

/// Of the policies that know next reads, the fastest on the instance; an interrupted replay serves as well.
Result<Start> record_fastest_oracle(const TraceReader& trace, const Instance& instance, const TemporaryFolder& folder,
                                    const RunContext& context) {
  std::vector<ReplayJob> jobs;
  std::vector<std::string> paths;
  std::vector<std::unique_ptr<Recording>> recordings;
  for (const PolicyInfo& info : PolicyRegistry::instance().policies()) {
    if (info.information == Information::kOracle && info.make != nullptr) {
      paths.push_back(folder.file((info.name + ".kvs").c_str()));
      KVPLACE_ASSIGN(writer, ScheduleWriter::create(paths.back(), meta_of(trace, instance)));
      recordings.push_back(std::make_unique<Recording>(std::move(writer)));
      jobs.push_back({&instance, {info.name, {}}, nullptr, recordings.back().get()});
    }
  }
  KVPLACE_ASSIGN(results, replay(trace, jobs, context));
  const auto best = std::min_element(results.begin(), results.end(), [](const ReplayResult& a, const ReplayResult& b) {
    return a.steps != b.steps ? a.steps > b.steps : a.total < b.total;
  });
  const auto index = static_cast<std::size_t>(best - results.begin());
  if (best->complete) {
    KVPLACE_TRY(recordings[index]->finish());
  }
  return Start{paths[index], std::move(*best)};
}

/// Replays a schedule; an interrupt that ended the planning does not end this.
Result<ReplayResult> replay_file(const TraceReader& trace, const ReplayJob& job, const std::string& path,
                                 const RunContext& context) {
  RunContext replaying = context;
  replaying.interrupt = nullptr;
  KVPLACE_ASSIGN(reader, ScheduleReader::open(path));
  StoredDecisions decisions(reader);
  const ReplayJob stored{job.instance, job.policy, &decisions, job.observer};
  KVPLACE_ASSIGN(results, replay(trace, std::span(&stored, 1), replaying));
  results.front().information = Information::kOracle;
  return std::move(results.front());
}

/// The fastest oracle policy's schedule, improved block by block.
Result<ReplayResult> replay_polished(const TraceReader& trace, const ReplayJob& job, const TemporaryFolder& folder,
                                     const RunContext& context) {
  KVPLACE_ASSIGN(start, record_fastest_oracle(trace, *job.instance, folder, context));
  if (!start.result.complete) {
    start.result.policy = job.policy;
    return std::move(start.result);
  }
  std::string path = start.path;
  if (trace.totals().reads <= kMostPolishedReads) {
    PlanOptions options;
    options.time_limit = Seconds(job.policy.parameters.at("seconds"));
    const std::string polished = folder.file("polished.kvs");
    const Result<PolishSummary> summary = polish_schedule(trace, *job.instance, options, path, polished, context);
    if (summary) {
      path = polished;
    } else if (summary.error().kind != ErrorKind::kInterrupted) {
      return tl::unexpected(summary.error());
    }
  }
  KVPLACE_ASSIGN(result, replay_file(trace, job, path, context));
  result.complete = result.complete && !context.stop_requested();
  return result;
}

}  // namespace

Result<ReplayResult> replay_plan(const TraceReader& trace, const ReplayJob& job, const RunContext& context) {
  KVPLACE_ASSIGN(folder, TemporaryFolder::create());
  if (!can_plan(*job.instance)) {
    return replay_polished(trace, job, folder, context);
  }
  const std::string path = folder.file("plan.kvs");
  PlanOptions options;
  options.time_limit = Seconds(job.policy.parameters.at("seconds"));
  const Result<PlanSummary> plan = plan_schedule(trace, *job.instance, options, path, context);
  if (!plan) {
    if (plan.error().kind != ErrorKind::kInterrupted) {
      return tl::unexpected(plan.error());
    }
    ReplayResult never_ran;
    never_ran.policy = job.policy;
    never_ran.information = Information::kOracle;
    return never_ran;
  }
  // The replay of a plan that an interrupt cut short gives the best so far.
  KVPLACE_ASSIGN(result, replay_file(trace, job, path, context));
  result.complete = result.complete && !context.stop_requested();
  return result;
}

}  // namespace kvplace
