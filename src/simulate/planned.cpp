#include "simulate/planned.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "kvplace/solve/plan.h"
#include "simulate/schedule_recorder.h"
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

struct Candidate {
  std::string path;
  Seconds total;
  bool complete = true;  // nothing improves it any more
};

/// The fastest of the policies that know next reads, and of `static`; its schedule is in `folder` under its name unless
/// it is interrupted.
Result<ReplayResult> record_fastest_oracle(const TraceReader& trace, const Instance& instance,
                                           const TemporaryFolder& folder, const RunContext& context) {
  const ScheduleMeta meta = schedule_meta(instance, trace.totals().digest, "planned");
  std::vector<ReplayJob> jobs;
  std::vector<std::unique_ptr<ScheduleRecorder>> recordings;
  for (const PolicyInfo& info : PolicyRegistry::instance().policies()) {
    const bool stays = info.name == "static" && instance.options().start != Start::kFree;  // where moving does not pay
    if ((info.information == Information::kOracle && info.make != nullptr) || stays) {
      KVPLACE_ASSIGN(writer, ScheduleWriter::create(folder.file((info.name + ".kvs").c_str()), meta));
      recordings.push_back(std::make_unique<ScheduleRecorder>(std::move(writer)));
      KVPLACE_ASSIGN(policy, PolicyRegistry::instance().parse(info.name));
      jobs.push_back({&instance, std::move(policy), nullptr, recordings.back().get()});
    }
  }
  KVPLACE_ASSIGN(results, replay(trace, jobs, context));
  const auto best = std::min_element(results.begin(), results.end(), [](const ReplayResult& a, const ReplayResult& b) {
    return a.steps != b.steps ? a.steps > b.steps : a.total < b.total;
  });
  if (best->complete) {
    KVPLACE_TRY(recordings[static_cast<std::size_t>(best - results.begin())]->finish());
  }
  return std::move(*best);
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

/// Improves a schedule; of a trace too large for that it stays as it is.
Result<Candidate> polish(const TraceReader& trace, const Instance& instance, Candidate from, const std::string& path,
                         const PlanOptions& options, const RunContext& context) {
  if (trace.totals().reads > kMostPolishedReads) {
    return from;
  }
  if (options.time_limit.value() <= 0 || from.total <= options.enough) {
    from.complete = false;
    return from;
  }
  const Result<PolishSummary> summary = polish_schedule(trace, instance, options, from.path, path, context);
  if (!summary && summary.error().kind != ErrorKind::kInterrupted) {
    return tl::unexpected(summary.error());
  }
  from.complete = from.complete && summary && summary->complete;
  return summary && summary->predicted < from.total ? Candidate{path, summary->predicted, from.complete} : from;
}

}  // namespace

Result<ReplayResult> replay_plan(const TraceReader& trace, const ReplayJob& job, const RunContext& context) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  const auto left = [&](double share = 1) {
    const double passed = std::chrono::duration<double>(Clock::now() - begin).count();
    const double seconds = share * (job.policy.parameters.at("seconds") - passed);
    return PlanOptions{Seconds(std::max(0.0, seconds)), Seconds(job.policy.parameters.at("enough"))};
  };
  const auto ends = [&] { return left().time_limit.value() <= 0 || context.stop_requested(); };
  // Planned for copies within their step; what it decides is legal with copies in the background too, where `job` has
  // it.
  const Instance instance = job.instance->with_copies(Copies::kStep);
  KVPLACE_ASSIGN(folder, TemporaryFolder::create());
  const auto never_ran = [&job] {
    ReplayResult result;
    result.planning = PlanStatus::kInterrupted;
    result.policy = job.policy;
    result.information = Information::kOracle;
    return result;
  };
  const bool plans = can_plan(instance);
  const bool exact = plans && instance.options().mode == Mode::kInclusive;
  // Each schedule to start from gets its part of the time. Those of oracles come first, so that there is one early.
  std::optional<Candidate> best;
  bool complete = true;
  const auto take = [&best, &complete](Candidate candidate) {
    complete = complete && candidate.complete;
    if (!best || candidate.total < best->total) {
      best = std::move(candidate);
    }
  };
  if (!exact) {
    KVPLACE_ASSIGN(oracle, record_fastest_oracle(trace, instance, folder, context));
    if (!oracle.complete && job.instance->options().copies != Copies::kStep) {
      return never_ran();
    }
    if (!oracle.complete) {
      oracle.planning = PlanStatus::kInterrupted;
      oracle.policy = job.policy;
      return oracle;
    }
    Candidate start{folder.file((oracle.policy.name + ".kvs").c_str()), oracle.total};
    KVPLACE_ASSIGN(polished, polish(trace, instance, std::move(start), folder.file("from_oracle.kvs"),
                                    left(plans ? 0.5 : 1), context));
    take(std::move(polished));
  }
  if (plans && !exact && (ends() || best->total <= left().enough)) {
    complete = false;
  } else if (plans) {
    Candidate planned{folder.file("plan.kvs"), Seconds(0)};
    PlanOptions options = left(exact ? 1 : 0.5);
    options.enough = exact ? options.enough : Seconds(0);  // what it costs is only estimated
    const Result<PlanSummary> plan = plan_schedule(trace, instance, options, planned.path, context);
    if (plan) {
      planned.total = plan->predicted;
      planned.complete = plan->complete;
      if (!exact) {
        KVPLACE_ASSIGN(replayed, replay_file(trace, {&instance, job.policy}, planned.path, context));
        planned.total = replayed.total;
      }
      KVPLACE_ASSIGN(polished,
                     polish(trace, instance, std::move(planned), folder.file("from_plan.kvs"), left(), context));
      take(std::move(polished));
    } else if (plan.error().kind != ErrorKind::kInterrupted) {
      return tl::unexpected(plan.error());
    }
  }
  if (!best) {
    return never_ran();
  }
  KVPLACE_ASSIGN(result, replay_file(trace, job, best->path, context));
  const bool near_enough = left().enough.value() > 0 && best->total <= left().enough;
  if (context.stop_requested()) {
    result.planning = PlanStatus::kInterrupted;
  } else if (near_enough) {
    result.planning = PlanStatus::kNearEnough;
  } else {
    result.planning = complete || best->total.value() <= 0 ? PlanStatus::kConverged : PlanStatus::kTimeLimit;
  }
  result.complete = result.complete && !context.stop_requested();
  return result;
}

}  // namespace kvplace
