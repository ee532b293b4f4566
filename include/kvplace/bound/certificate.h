/// A certificate: prices from which anybody can recompute a lower bound on the total time of every schedule
/// (docs/certificate.md). All numbers are whole, so that the bound is exact.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/instance/instance.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// Of which schedules a certificate speaks (docs/formulation.md, "Two claims").
enum class Claim : std::uint8_t {
  kStep,  ///< copies are of whole blocks and begin and end within a group of steps, requests are placed alike
  kAny,   ///< also copies that span steps, requests placed differently, new KV written to far later
};
/// "step", "any".
[[nodiscard]] std::string to_text(Claim claim);

/// What a layer's step moves over a channel whatever the placement, of the whole batch.
struct FixedBytes {
  std::int64_t bytes = 0;
  std::int64_t per_token = 0;  ///< and so much for each token of the text: the prompt's and those before the step; of
                               ///< a served batch for each token of all texts that run

  bool operator==(const FixedBytes&) const = default;
};

/// A number for each layer, or one that stands for all.
template <class T>
[[nodiscard]] const T& of_layer(const std::vector<T>& numbers, std::uint32_t layer) {
  return numbers[numbers.size() == 1 ? 0 : layer];
}

/// Of a list that is as BoundNumbers::fixed_bytes.
template <class T>
[[nodiscard]] const T& of_layer(const std::vector<T>& numbers, std::uint32_t num_layers, std::uint32_t running,
                                std::uint32_t layer) {
  return numbers.size() <= num_layers ? of_layer(numbers, layer)
                                      : numbers[std::size_t{running - 1} * num_layers + layer];
}

/// The numbers of an instance that the bound depends on, rounded so that rounding can only lower it.
struct BoundNumbers {
  std::string trace_digest;
  std::uint32_t layers = 0;
  std::uint32_t steps = 0;
  std::uint32_t blocks_per_layer = 0;
  Mode mode = Mode::kInclusive;
  Barrier barrier = Barrier::kLayer;
  Overlap overlap = Overlap::kFull;
  Start start = Start::kRecent;
  MirroredReads mirrored_reads = MirroredReads::kNear;
  std::int64_t batch = 1;
  std::vector<std::int64_t> kv_block_bytes;  ///< of_layer()
  std::int64_t expert_block_bytes = 0;       ///< 0 without experts
  std::vector<std::int64_t> new_kv_bytes;    ///< per appended block, of_layer()
  std::int64_t capacity_bytes = 0;           ///< near, of all requests together
  /// By channel, of_layer(). Of a served batch, where it hangs on how many requests run: of every layer, for one
  /// request and so on up to as many as ever run, one list behind the other.
  std::vector<std::array<FixedBytes, kNumChannels>> fixed_bytes;
  std::array<std::int64_t, kNumChannels> bandwidth_bytes_per_second{};  ///< rounded up; 1 to 2^50 - 1
  std::uint32_t interference_2_20 = 0;                                  ///< a * 2^20, rounded down; below 2^20
  std::int64_t floor_units = 0;     ///< seconds per (decode step, layer) in 2^-60 s, rounded down
  std::int64_t overhead_units = 0;  ///< the same

  bool operator==(const BoundNumbers&) const = default;
};

/// Of the instance and the trace it was made for. Errors if the trace was recovered (it has no digest), if a bandwidth
/// is 2^50 bytes/s or more, or if no claim covers the instance's migration rule.
[[nodiscard]] Result<BoundNumbers> bound_numbers(const Instance& instance, const TraceReader& trace);

/// The instance and the prices. Whether these are valid, and what they prove, only verify() says.
struct Certificate {
  Claim claim = Claim::kStep;
  BoundNumbers numbers;
  std::uint64_t ticks_per_second = 0;
  std::int64_t unit_bytes = 0;  ///< prices are per unit of one request's bytes
  /// [group][channel], ticks per unit on the channel, for all requests; a group is a (decode step, layer), t-major, or
  /// a decode step with a barrier per token.
  std::vector<std::array<std::uint64_t, kNumChannels>> channel_prices;
  std::vector<std::uint64_t> row_prices;  ///< [steps * layers], ticks per unit occupied after each step
  std::uint64_t start_price = 0;          ///< the same for the initial placement, if it is free
  std::string made_by;                    ///< for people

  bool operator==(const Certificate&) const = default;
};

/// The claim that speaks of all that policies do on the instance: `step`, or `any` if copies move in the background.
[[nodiscard]] Claim covering_claim(const InstanceOptions& options);

/// Of which schedules a claim speaks, as a clause: "whose copies are of whole blocks and ...".
[[nodiscard]] std::string proven_schedules(Claim claim, Barrier barrier, std::int64_t batch);

/// The largest and the greatest common divisor of all sizes of blocks.
[[nodiscard]] std::int64_t largest_block(const BoundNumbers& numbers);
[[nodiscard]] std::int64_t common_block(const BoundNumbers& numbers);
/// Near capacity of one request: in whole pieces of common_block(), as what is near are whole blocks; but with claim
/// `any` in exclusive mode a demotion's bytes leave as they like, so that near memory may be filled to the last byte.
/// Placed alike each has what a share holds; placed differently, a request has more than that at times, but all
/// together no more than there is.
[[nodiscard]] std::int64_t capacity_of_request(const BoundNumbers& numbers, Claim claim);

/// Layers whose loads time is taken of together. Stated here again (see instance/step_groups.h), as all that verify()
/// rests on: a mistake of the search is then no mistake of the verifier.
[[nodiscard]] inline std::uint32_t layers_per_group(const BoundNumbers& numbers) {
  return numbers.barrier == Barrier::kToken ? numbers.layers : 1;
}
/// Groups of steps over which time is taken, one for each entry of channel_prices.
[[nodiscard]] inline std::uint64_t num_groups(const BoundNumbers& numbers) {
  return std::uint64_t{numbers.steps} * (numbers.layers / layers_per_group(numbers));
}

/// The keys in which two instances differ, with their values: "capacity_bytes (5 there, 6 here)"; empty if none does.
[[nodiscard]] std::string differences(const BoundNumbers& there, const BoundNumbers& here);

/// An error of kind kRejected that names the numbers in which the certificate's instance is not this one. Of another
/// trace it says nothing: verify() does.
[[nodiscard]] Status check_instance(const Certificate& certificate, const Instance& instance, const TraceReader& trace);

/// What a certificate speaks about, as a JSON object: the head of its file.
[[nodiscard]] std::string to_json(const Certificate& certificate);

/// The file appears whole or not at all. Errors if the prices are not as many as the numbers say.
[[nodiscard]] Status write_certificate(const std::string& path, const Certificate& certificate);
/// Errors are of kind kRejected (what cannot be read proves nothing), but kBadInput if there is no such file.
[[nodiscard]] Result<Certificate> read_certificate(const std::string& path);

}  // namespace kvplace
