/// A trace run for real: its reads, appends and migrations with pages of the instance's size in two real memories,
/// measured beside what the replay predicts.
///
/// In each step the policy decides (the same object, one call, the same decision as in the replay), far pages and
/// promotions are put on their way, near pages are read with plain loads in place while far pages arrive and are read
/// as they do, new KV and weights are written and read. The step ends when all of it is done, but for copies in the
/// background. What is read is compared with what was written: a page in the wrong place is an error.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "kvplace/base/manifest.h"
#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "kvplace/instance/instance.h"
#include "kvplace/runtime/memory.h"
#include "kvplace/runtime/traffic.h"
#include "kvplace/simulate/replay.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

struct TraceRunOptions {
  std::string far;                  ///< as make_memory() has it
  std::uint32_t steps = 0;          ///< decode steps that are run, the first; 0: all
  std::uint32_t staging_pages = 0;  ///< far blocks at once on their way or read; 0: 256
};

struct TraceRun {
  PolicySpec policy;
  std::uint32_t steps = 0;  ///< decode steps that were run
  bool complete = false;    ///< false: stopped on request before all that were asked for
  ReplayResult predicted;   ///< of the same decode steps
  Seconds measured;
  std::vector<double> predicted_s;  ///< by decode step
  std::vector<double> measured_s;
  std::array<std::int64_t, kNumChannels> channel_bytes{};  ///< that were moved
  std::uint64_t near_reads = 0;                            ///< blocks that were in DRAM when their step began
  std::uint64_t far_reads = 0;
  Traffic traffic;
  Seconds placing;   ///< in the policy
  Seconds waiting;   ///< for far memory
  Seconds reading;   ///< processor time in which blocks were read, near and arrived ones
  Bytes near_bytes;  ///< of DRAM: near capacity, blocks being filled, staging, tables
};

struct TraceRuns {
  std::string far;
  std::vector<TraceRun> runs;
  std::vector<std::string> notes;
  Manifest manifest;
};

/// Runs the policies one after the other. Bad input, before anything is written: what the runtime does not have
/// (experts, layers of unlike sizes, partial reads, split mirrored reads, far weights, a batch, several GPUs, blocks
/// below 4 KiB, a policy that is no placement).
[[nodiscard]] Result<TraceRuns> run_trace(const TraceReader& trace, const Instance& instance,
                                          const std::vector<PolicySpec>& policies, const TraceRunOptions& options,
                                          const RunContext& context);

/// `instance`: what was run.
[[nodiscard]] std::string to_json(const TraceRuns& runs, const Instance& instance);

}  // namespace kvplace
