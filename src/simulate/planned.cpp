#include "simulate/planned.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
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

/// Of the policies that know next reads, the fastest on the instance; an interrupted replay serves as well.
Result<ReplayResult> replay_fastest_oracle(const TraceReader& trace, const ReplayJob& job, const RunContext& context) {
  std::vector<ReplayJob> jobs;
  for (const PolicyInfo& info : PolicyRegistry::instance().policies()) {
    if (info.information == Information::kOracle && info.make != nullptr) {
      jobs.push_back({job.instance, {info.name, {}}});
    }
  }
  KVPLACE_ASSIGN(results, replay(trace, jobs, context));
  auto best = std::min_element(results.begin(), results.end(), [](const ReplayResult& a, const ReplayResult& b) {
    return a.steps != b.steps ? a.steps > b.steps : a.total < b.total;
  });
  if (job.observer == nullptr || !best->complete) {
    return std::move(*best);
  }
  const ReplayJob again{job.instance, best->policy, nullptr, job.observer};
  KVPLACE_ASSIGN(observed, replay(trace, std::span(&again, 1), context));
  return std::move(observed.front());
}

}  // namespace

Result<ReplayResult> replay_plan(const TraceReader& trace, const ReplayJob& job, const RunContext& context) {
  if (!can_plan(*job.instance)) {
    return replay_fastest_oracle(trace, job, context);
  }
  KVPLACE_ASSIGN(folder, TemporaryFolder::create());
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
  // The replay of a plan that an interrupt cut short is not cut short itself: it gives the best so far.
  RunContext replaying = context;
  replaying.interrupt = nullptr;
  KVPLACE_ASSIGN(reader, ScheduleReader::open(path));
  StoredDecisions decisions(reader);
  const ReplayJob stored{job.instance, job.policy, &decisions, job.observer};
  KVPLACE_ASSIGN(results, replay(trace, std::span(&stored, 1), replaying));
  results.front().information = Information::kOracle;
  results.front().complete = results.front().complete && !context.stop_requested();
  return std::move(results.front());
}

}  // namespace kvplace
