#include "kvplace/simulate/schedules.h"

#include <utility>

#include "kvplace/base/file_guard.h"
#include "simulate/bounds_visitor.h"
#include "simulate/schedule_recorder.h"
#include "simulate/stored_decisions.h"

namespace kvplace {
namespace {

/// A recovered trace has no digest by which a schedule could know it again.
Status check_whole(const TraceReader& trace) {
  if (trace.recovered()) {
    return bad_input(trace.path() + ": is truncated; schedules need a whole trace, so make it anew");
  }
  return {};
}

}  // namespace

Result<ReplayResult> record_schedule(const TraceReader& trace, const Instance& instance, const PolicySpec& policy,
                                     const std::string& path, const RunContext& context) {
  KVPLACE_TRY(check_whole(trace));
  KVPLACE_ASSIGN(info, PolicyRegistry::instance().find(policy.name));
  if (info->information == Information::kIdeal) {
    return bad_input("policy " + policy.name + " is a figure of merit, not a placement: it has no schedule");
  }
  KVPLACE_TRY(check_fits(policy, trace, instance));
  FileScope files;
  KVPLACE_TRY(files.claim(path));
  PolicySpec resolved = policy;
  if (info->search != nullptr) {
    const ReplayJob job{&instance, policy};
    KVPLACE_ASSIGN(found, replay(trace, std::span(&job, 1), context));
    if (!found.front().complete) {
      return interrupted("stopped while searching for the best " + policy.name + "; " + path + " is not written");
    }
    resolved = found.front().policy;
  }
  // What is left of a planner's time is another number in each run.
  const std::string made_by = info->planned ? resolved.name : resolved.text();
  KVPLACE_ASSIGN(writer, ScheduleWriter::create(path, schedule_meta(instance, trace.totals().digest, made_by)));
  ScheduleRecorder recorder(std::move(writer));
  const ReplayJob job{&instance, resolved, nullptr, &recorder};
  KVPLACE_ASSIGN(results, replay(trace, std::span(&job, 1), context));
  if (results.front().steps != instance.steps()) {
    return interrupted("stopped before the schedule was complete; " + path + " is not written");
  }
  KVPLACE_TRY(recorder.finish());
  return std::move(results.front());
}

Result<ScheduleReplay> replay_schedule(const TraceReader& trace, const std::string& path, const Instance& instance,
                                       const RunContext& context) {
  KVPLACE_TRY(check_whole(trace));
  KVPLACE_ASSIGN(reader, ScheduleReader::open(path));
  const ScheduleMeta& meta = reader.meta();
  if (meta.trace_digest != trace.totals().digest) {
    return rejected(path + ": was made for another trace (digest " + meta.trace_digest + ", not " +
                    trace.totals().digest + ")");
  }
  if (meta.layers != instance.layers() || meta.steps != instance.steps() ||
      meta.blocks_per_layer != instance.blocks_per_layer()) {
    return rejected(path + ": was made for a trace of another shape");
  }
  if (meta.mode != instance.options().mode) {
    return rejected(path + ": was made for " + to_text(meta.mode) + " mode: give --mode " + to_text(meta.mode));
  }
  if (meta.copies != instance.options().copies) {
    return rejected(path + ": was made under the migration rule " + to_text(meta.copies) + ": give --copies " +
                    to_text(meta.copies));
  }
  StoredDecisions decisions(reader);
  BoundsVisitor bounds(instance);
  TraceVisitor* const visitors[] = {&bounds};
  const ReplayJob job{&instance, {meta.made_by, {}}, &decisions, nullptr};
  KVPLACE_ASSIGN(results, replay(trace, std::span(&job, 1), context, visitors));
  if (results.front().complete) {
    KVPLACE_TRY(reader.finish());
  }
  return ScheduleReplay{std::move(results.front()), bounds.bounds()};
}

}  // namespace kvplace
