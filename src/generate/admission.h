/// Which decode steps requests run in: first come, first served, while there is a slot and room for all their KV.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kvplace/trace/served.h"

namespace kvplace {

struct WaitingRequest {
  double arrival = 0;  ///< decode steps, if none were left out; ascending
  std::uint32_t prompt_tokens = 0;
  std::uint32_t output_tokens = 1;  ///< at least 1
};

struct Admission {
  std::vector<ServedRequest> requests;  ///< parallel to those that wait
  double mean_wait_steps = 0;
  std::uint64_t idle_steps = 0;
};

/// Time runs in decode steps; those in which nothing runs are left out. A request that came by the beginning of a step
/// is admitted with it, behind all that came before. `kv_tokens`: room for prompts and outputs of all that run.
/// REQUIRES: each request fits by itself.
[[nodiscard]] Admission admit(std::span<const WaitingRequest> waiting, std::uint32_t slots,
                              std::optional<std::uint64_t> kv_tokens);

}  // namespace kvplace
