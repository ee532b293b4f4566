/// The same instance with one figure changed, and replays that are of use only when they are whole.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvplace/instance/instance.h"
#include "kvplace/simulate/replay.h"

namespace kvplace {

/// Near capacity as blocks per layer of one request.
void set_blocks_per_layer(InstanceSpec& spec, std::uint32_t blocks);
/// Near capacity of the machine, for all requests.
void set_capacity(InstanceSpec& spec, Bytes capacity);
/// Both directions of the link `factor` times as fast, in all figures.
void scale_link(Hardware& hardware, double factor);

/// Bytes of all KV of one request at the end of the trace.
[[nodiscard]] Bytes kv_bytes_of_request(const Instance& instance);
/// Index keys of one request at the end of the trace, of the layers that the trace is of; on each GPU that shares it.
[[nodiscard]] Bytes index_keys_of_request(const Instance& instance);
/// Bytes of all that competes for one request's near capacity: its KV at the end of the trace, and all experts.
[[nodiscard]] Bytes competing_bytes(const Instance& instance);

/// As replay(), but an interrupt is an error.
[[nodiscard]] Result<std::vector<ReplayResult>> replay_whole(const TraceReader& trace, std::span<const ReplayJob> jobs,
                                                             const RunContext& context,
                                                             std::span<TraceVisitor* const> visitors = {});

}  // namespace kvplace
