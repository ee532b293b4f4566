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

struct Recorded {
  ReplayResult result;
  std::string path;  // of its schedule, if it is complete
};

struct Candidate {
  std::string path;
  Seconds total;
  bool complete = true;  // nothing improves it any more
};

/// With copies in the background, what fetches ahead in ways of its own too.
constexpr const char* kFetchAhead[] = {"belady-prefetch:queue=1,lead=0", "belady-prefetch:queue=1,lead=20",
                                       "belady-prefetch:queue=2,lead=20", "belady-prefetch:queue=4,lead=40"};

/// The policies that know next reads, and `static`, under the instance's rule for copies, the fastest first; one that
/// was interrupted has no schedule, and then the one that came farthest is first.
Result<std::vector<Recorded>> record_oracles(const TraceReader& trace, const Instance& instance,
                                             const TemporaryFolder& folder, const RunContext& context) {
  const ScheduleMeta meta = schedule_meta(instance, trace.totals().digest, "planned");
  const bool in_background = instance.options().copies == Copies::kBackground;
  std::vector<std::string> policies;
  for (const PolicyInfo& info : PolicyRegistry::instance().policies()) {
    const bool stays = info.name == "static" && instance.options().start != Start::kFree;  // where moving does not pay
    if ((info.information == Information::kOracle && info.make != nullptr) || stays) {
      policies.push_back(info.name);
    }
  }
  if (in_background) {
    policies.insert(policies.end(), std::begin(kFetchAhead), std::end(kFetchAhead));
  }
  std::vector<ReplayJob> jobs;
  std::vector<std::unique_ptr<ScheduleRecorder>> recordings;
  std::vector<std::string> paths;
  for (const std::string& text : policies) {
    paths.push_back(folder.file((std::to_string(paths.size()) + (in_background ? "-background.kvs" : ".kvs")).c_str()));
    KVPLACE_ASSIGN(writer, ScheduleWriter::create(paths.back(), meta));
    recordings.push_back(std::make_unique<ScheduleRecorder>(std::move(writer)));
    KVPLACE_ASSIGN(policy, PolicyRegistry::instance().parse(text));
    jobs.push_back({&instance, std::move(policy), nullptr, recordings.back().get()});
  }
  KVPLACE_ASSIGN(results, replay(trace, jobs, context));
  std::vector<Recorded> recorded;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].complete) {
      KVPLACE_TRY(recordings[i]->finish());
    }
    recorded.push_back({std::move(results[i]), paths[i]});
  }
  std::stable_sort(recorded.begin(), recorded.end(), [](const Recorded& a, const Recorded& b) {
    return a.result.steps != b.result.steps ? a.result.steps > b.result.steps : a.result.total < b.result.total;
  });
  return recorded;
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

/// When improving ends: the parameters of `planned`.
class Limits {
 public:
  explicit Limits(const PolicySpec& policy)
      : seconds_(policy.parameters.at("seconds")), enough_(policy.parameters.at("enough")) {}

  /// `share` of the time that is left.
  [[nodiscard]] PlanOptions left(double share = 1) const {
    const double passed = std::chrono::duration<double>(Clock::now() - begin_).count();
    return {Seconds(std::max(0.0, share * (seconds_ - passed))), enough_};
  }
  [[nodiscard]] bool is_enough(Seconds total) const { return enough_.value() > 0 && total <= enough_; }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_ = Clock::now();
  double seconds_;
  Seconds enough_;
};

/// The schedules found so far; the fastest counts.
struct Found {
  std::optional<Candidate> best;
  bool complete = true;                     // nothing improves any of them any more
  std::optional<ReplayResult> interrupted;  // in the first pass, before there was any

  void take(Candidate candidate) {
    complete = complete && candidate.complete;
    if (!best || candidate.total < best->total) {
      best = std::move(candidate);
    }
  }
};

/// Improves the schedules of oracles, the fastest first; the next only when nothing improves the one before any more,
/// and for no more than a share of the time in all.
Status improve_oracles(const TraceReader& trace, const Instance& instance, std::span<const Recorded> oracles,
                       const Limits& limits, double share, const TemporaryFolder& folder, const RunContext& context,
                       Found& found) {
  const Seconds for_others = limits.left(1 - share).time_limit;
  for (std::size_t i = 0; i < oracles.size() && found.complete && !context.stop_requested(); ++i) {
    PlanOptions options = limits.left();
    options.time_limit = std::max(Seconds(0), options.time_limit - for_others);
    if (i > 0 && (options.time_limit.value() <= 0 || found.best->total <= options.enough)) {
      break;
    }
    const std::string path = folder.file(("from-oracle-" + std::to_string(i) + ".kvs").c_str());
    KVPLACE_ASSIGN(polished,
                   polish(trace, instance, {oracles[i].path, oracles[i].result.total}, path, options, context));
    found.take(std::move(polished));
  }
  return {};
}

/// Plans for copies within their step. Each schedule to start from gets its part of the time. Those of oracles come
/// first, so that there is one early.
Result<Found> plan_within_steps(const TraceReader& trace, const Instance& instance, const PolicySpec& policy,
                                const Limits& limits, const TemporaryFolder& folder, const RunContext& context) {
  Found found;
  const bool plans = can_plan(instance);
  const bool exact = plans && instance.options().mode == Mode::kInclusive;
  if (!exact) {
    KVPLACE_ASSIGN(oracles, record_oracles(trace, instance, folder, context));
    if (!oracles.front().result.complete) {
      found.interrupted = std::move(oracles.front().result);
      return found;
    }
    KVPLACE_TRY(improve_oracles(trace, instance, oracles, limits, plans ? 0.5 : 1, folder, context, found));
    const bool ends = limits.left().time_limit.value() <= 0 || context.stop_requested();
    if (plans && (ends || found.best->total <= limits.left().enough)) {
      found.complete = false;
      return found;
    }
  }
  if (plans) {
    Candidate planned{folder.file("plan.kvs"), Seconds(0)};
    PlanOptions options = limits.left(exact ? 1 : 0.5);
    options.enough = exact ? options.enough : Seconds(0);  // what it costs is only estimated
    const Result<PlanSummary> plan = plan_schedule(trace, instance, options, planned.path, context);
    if (!plan && plan.error().kind != ErrorKind::kInterrupted) {
      return tl::unexpected(plan.error());
    }
    if (plan) {
      planned.total = plan->predicted;
      planned.complete = plan->complete;
      if (!exact) {
        KVPLACE_ASSIGN(replayed, replay_file(trace, {&instance, policy}, planned.path, context));
        planned.total = replayed.total;
      }
      KVPLACE_ASSIGN(polished,
                     polish(trace, instance, std::move(planned), folder.file("from_plan.kvs"), limits.left(), context));
      found.take(std::move(polished));
    }
  }
  return found;
}

/// Plans for copies in the background: what fetches ahead, and the plan for copies within their step, which is legal
/// here too.
Result<Found> plan_in_background(const TraceReader& trace, const ReplayJob& job, const Limits& limits,
                                 const TemporaryFolder& folder, const RunContext& context) {
  KVPLACE_ASSIGN(oracles, record_oracles(trace, *job.instance, folder, context));
  Recorded& ahead = oracles.front();
  if (!ahead.result.complete) {
    Found found;
    found.interrupted = std::move(ahead.result);
    return found;
  }
  const Candidate first{ahead.path, ahead.result.total};
  if (limits.is_enough(first.total)) {
    return Found{first, true, {}};
  }
  const Instance within_steps = job.instance->with_copies(Copies::kStep);
  KVPLACE_ASSIGN(found, plan_within_steps(trace, within_steps, job.policy, limits, folder, context));
  found.interrupted.reset();
  if (found.best) {
    KVPLACE_ASSIGN(replayed, replay_file(trace, {job.instance, job.policy}, found.best->path, context));
    found.best->total = replayed.total;
  }
  found.take(first);
  return found;
}

}  // namespace

Result<ReplayResult> replay_plan(const TraceReader& trace, const ReplayJob& job, const RunContext& context) {
  const Limits limits(job.policy);
  KVPLACE_ASSIGN(folder, TemporaryFolder::create());
  const bool in_background = job.instance->options().copies == Copies::kBackground;
  KVPLACE_ASSIGN(found, in_background ? plan_in_background(trace, job, limits, folder, context)
                                      : plan_within_steps(trace, *job.instance, job.policy, limits, folder, context));
  if (!found.best) {
    ReplayResult result = found.interrupted.value_or(ReplayResult());
    result.planning = PlanStatus::kInterrupted;
    result.policy = job.policy;
    result.information = Information::kOracle;
    return result;
  }
  KVPLACE_ASSIGN(result, replay_file(trace, job, found.best->path, context));
  if (context.stop_requested()) {
    result.planning = PlanStatus::kInterrupted;
  } else if (limits.is_enough(found.best->total)) {
    result.planning = PlanStatus::kNearEnough;
  } else {
    const bool converged = found.complete || found.best->total.value() <= 0;
    result.planning = converged ? PlanStatus::kConverged : PlanStatus::kTimeLimit;
  }
  result.complete = result.complete && !context.stop_requested();
  return result;
}

}  // namespace kvplace
