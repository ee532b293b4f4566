#include "kvplace/simulate/replay.h"

#include <algorithm>
#include <optional>

#include "kvplace/trace/next_reads.h"
#include "simulate/planned.h"
#include "simulate/policy_run.h"
#include "trace/segment_stream.h"

namespace kvplace {
namespace {

/// Whether a policy that does not look at times decides the same on both: sizes, capacities and options are equal.
bool differ_in_speed_alone(const Instance& a, const Instance& b) {
  for (const Field<InstanceOptions>& field : option_fields()) {
    if (field.get(a.options()) != field.get(b.options())) {
      return false;
    }
  }
  for (std::uint32_t l = 0; l < a.layers(); ++l) {
    const LayerIndex layer(l);
    if (a.layer_capacity(layer) != b.layer_capacity(layer) || a.kv_block_bytes(layer) != b.kv_block_bytes(layer) ||
        a.new_kv_bytes(layer) != b.new_kv_bytes(layer) || a.expert_bytes(layer) != b.expert_bytes(layer)) {
      return false;
    }
  }
  return a.capacity() == b.capacity() && a.batch_capacity() == b.batch_capacity() &&
         a.options().copies == Copies::kStep;
}

class Replayer {
 public:
  Replayer(const TraceReader& trace, std::span<const ReplayJob> jobs, const RunContext& context,
           std::span<TraceVisitor* const> visitors)
      : trace_(trace), context_(context), visitors_(visitors) {
    runs_.reserve(jobs.size());
    std::vector<const ReplayJob*> first_jobs;  // of the runs
    for (const ReplayJob& job : jobs) {
      const auto same = std::find_if(first_jobs.begin(), first_jobs.end(),
                                     [&](const ReplayJob* first) { return share_decisions(*first, job); });
      const auto run = static_cast<std::size_t>(same - first_jobs.begin());
      if (same == first_jobs.end()) {
        first_jobs.push_back(&job);
        runs_.emplace_back(job);
        num_charged_.push_back(0);
      } else {
        runs_[run].also_on(job);
      }
      places_.emplace_back(run, num_charged_[run]++);
    }
  }

  Status run() {
    KVPLACE_TRY(start());
    SegmentStream stream(trace_, context_, {parts_, next_reads_ ? &*next_reads_ : nullptr, horizon_});
    KVPLACE_TRY(stream.start("replaying"));
    while (!stream.at_end() && !context_.stop_requested()) {
      KVPLACE_TRY(stream.run(runs_.size() + visitors_.size(), [&](std::size_t task) -> Status {
        return task < runs_.size() ? runs_[task].process(stream.segment(), stream.window())
                                   : visitors_[task - runs_.size()]->visit(stream.segment());
      }));
      KVPLACE_TRY(stream.next());
    }
    stream.finish();
    return {};
  }

  [[nodiscard]] std::vector<ReplayResult> results() const {
    std::vector<ReplayResult> results;
    for (const auto& [run, place] : places_) {
      results.push_back(place == 0 ? runs_[run].result() : runs_[run].result_also_on(place - 1));
    }
    return results;
  }

 private:
  static bool share_decisions(const ReplayJob& a, const ReplayJob& b) {
    if (a.policy.name != b.policy.name || a.policy.parameters != b.policy.parameters || a.schedule != nullptr ||
        b.schedule != nullptr || a.observer != nullptr || b.observer != nullptr) {
      return false;
    }
    const auto info = PolicyRegistry::instance().find(a.policy.name);
    return info && !(*info)->uses_times && differ_in_speed_alone(*a.instance, *b.instance);
  }

  Status start() {
    bool any_oracle = false;
    for (PolicyRun& run : runs_) {
      KVPLACE_TRY(run.prepare());
      horizon_ = std::max(horizon_, run.horizon());
      any_oracle = any_oracle || run.needs_next_reads();
      parts_ = run.needs_ranking() ? ChunkParts::kAll : parts_;
    }
    if (any_oracle) {
      KVPLACE_ASSIGN(next_reads, NextReads::build(trace_, context_));
      next_reads_ = std::move(next_reads);
    }
    for (PolicyRun& run : runs_) {
      KVPLACE_TRY(run.start(run.needs_next_reads() ? std::span<const std::uint32_t>(next_reads_->first_reads())
                                                   : std::span<const std::uint32_t>(),
                            trace_.meta().has_ranking));
    }
    return {};
  }

  const TraceReader& trace_;
  const RunContext& context_;
  std::span<TraceVisitor* const> visitors_;
  std::vector<PolicyRun> runs_;
  std::vector<std::size_t> num_charged_;                     // by run: on how many instances
  std::vector<std::pair<std::size_t, std::size_t>> places_;  // by job: its run, and which of its instances
  std::optional<NextReads> next_reads_;
  std::uint32_t horizon_ = 0;
  ChunkParts parts_ = ChunkParts::kWithoutRankings;
};

/// Policies look their parameters up; a map without one of them is the caller's mistake.
Status check_parameters(const PolicySpec& policy, const PolicyInfo& info) {
  for (const ParameterInfo& parameter : info.parameters) {
    if (!policy.parameters.contains(parameter.name)) {
      return failed("policy " + info.name + " is given no value for " + parameter.name +
                    ": take one from PolicyRegistry::parse(), which knows the defaults");
    }
  }
  return {};
}

/// Runs a search policy; the result is that of its best trial, also if the search was interrupted after it.
Result<ReplayResult> search(const TraceReader& trace, const ReplayJob& job, const PolicyInfo& info,
                            const RunContext& context) {
  ReplayResult best;
  const Evaluate evaluate = [&](const PolicySpec& candidate) -> Result<Seconds> {
    const ReplayJob trial{job.instance, candidate};
    KVPLACE_ASSIGN(results, replay(trace, std::span(&trial, 1), context));
    ReplayResult& result = results.front();
    if (result.steps != trace.totals().steps) {
      return interrupted("stopped while searching for the best " + info.name);
    }
    const Seconds time = result.total;
    if (best.steps == 0 || time < best.total) {
      best = std::move(result);
    }
    return time;
  };
  const Result<PolicySpec> found = info.search(job.policy.parameters, job.instance->options().seed, evaluate);
  if (!found && found.error().kind != ErrorKind::kInterrupted) {
    return tl::unexpected(found.error());
  }
  best.complete = found.has_value();
  return best;
}

}  // namespace

Status check_fits(const PolicySpec& policy, const TraceReader& trace, const Instance& instance) {
  KVPLACE_ASSIGN(info, PolicyRegistry::instance().find(policy.name));
  if (info->requires_ranking && !trace.meta().has_ranking) {
    return bad_input(trace.path() + " has no rankings, which policy " + policy.name +
                     " decides by: take one that was captured with a ranking depth, or another policy");
  }
  if (instance.options().start == Start::kFree && info->information != Information::kOracle) {
    return bad_input("--start free is for oracle policies; " + policy.name + " is " + to_text(info->information) +
                     ": use --start recent or empty");
  }
  return {};
}

Result<std::vector<ReplayResult>> replay(const TraceReader& trace, std::span<const ReplayJob> jobs,
                                         const RunContext& context, std::span<TraceVisitor* const> visitors) {
  std::vector<const PolicyInfo*> infos;
  std::vector<ReplayJob> one_pass;
  for (const ReplayJob& job : jobs) {
    infos.push_back(nullptr);
    if (job.schedule == nullptr) {
      KVPLACE_TRY(check_fits(job.policy, trace, *job.instance));
      KVPLACE_ASSIGN(info, PolicyRegistry::instance().find(job.policy.name));
      KVPLACE_TRY(check_parameters(job.policy, *info));
      infos.back() = info;
    }
    if (infos.back() == nullptr || infos.back()->runs_in_common_pass()) {
      one_pass.push_back(job);
    }
  }
  Replayer replayer(trace, one_pass, context, visitors);
  KVPLACE_TRY(replayer.run());
  std::vector<ReplayResult> results;
  std::vector<ReplayResult> of_pass = replayer.results();
  auto next_of_pass = of_pass.begin();
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (infos[i] != nullptr && infos[i]->planned) {
      KVPLACE_ASSIGN(planned, replay_plan(trace, jobs[i], context));
      results.push_back(std::move(planned));
    } else if (infos[i] != nullptr && infos[i]->search != nullptr) {
      KVPLACE_ASSIGN(found, search(trace, jobs[i], *infos[i], context));
      results.push_back(std::move(found));
    } else {
      results.push_back(std::move(*next_of_pass++));
      results.back().complete = results.back().steps == trace.totals().steps;
    }
    results.back().found_by = jobs[i].policy.name;
  }
  return results;
}

}  // namespace kvplace
