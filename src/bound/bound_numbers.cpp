#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "bound/certificate_units.h"
#include "kvplace/base/parse.h"
#include "kvplace/bound/certificate.h"

namespace kvplace {
namespace {

/// Nothing real takes longer; what does is lowered, which is safe.
constexpr double kMostUnits = 0x1p62;

/// Whole 2^-60 s, rounded down. Scaling by a power of two is exact.
std::int64_t units_of(Seconds time) {
  return static_cast<std::int64_t>(std::min(kMostUnits, std::floor(std::ldexp(time.value(), kTimeUnitBits))));
}

/// One number where it is the same in all layers, as the file has it.
void set_layers(const Instance& instance, BoundNumbers& numbers) {
  for (std::uint32_t l = 0; l < instance.layers(); ++l) {
    const LayerIndex layer(l);
    numbers.kv_block_bytes.push_back(instance.kv_block_bytes(layer).value());
    numbers.new_kv_bytes.push_back(instance.new_kv_bytes(layer).value());
  }
  for (std::size_t running = 0; running < instance.num_fixed(); ++running) {
    for (std::uint32_t l = 0; l < instance.layers(); ++l) {
      const Instance::FixedLoads& fixed = instance.fixed_of(running, LayerIndex(l));
      std::array<FixedBytes, kNumChannels>& by_channel = numbers.fixed_bytes.emplace_back();
      for (std::size_t c = 0; c < kNumChannels; ++c) {
        by_channel[c].bytes = fixed.loads.bytes[c];
      }
      by_channel[at(Channel::kNearMem)].per_token = fixed.near_per_token.value();
    }
  }
  const auto merge = [](auto& list) {
    if (std::adjacent_find(list.begin(), list.end(), std::not_equal_to<>()) == list.end()) {
      list.resize(1);
    }
  };
  merge(numbers.kv_block_bytes);
  merge(numbers.new_kv_bytes);
  if (instance.num_fixed() == 1) {
    merge(numbers.fixed_bytes);
  }
}

}  // namespace

std::string to_text(Claim claim) { return claim == Claim::kAny ? "any" : "step"; }

Claim covering_claim(const InstanceOptions& options) {
  return options.copies == Copies::kBackground ? Claim::kAny : Claim::kStep;
}

std::string proven_schedules(Claim claim, Barrier barrier, std::int64_t batch) {
  if (claim == Claim::kAny) {
    return std::string("whose copies may span steps") +
           (batch > 1 ? ", whose requests may be placed differently," : "") +
           " and whose new KV may be written to far later";
  }
  const std::string within = barrier == Barrier::kLayer ? "one layer of a decode step" : "one decode step";
  return "whose copies are of whole blocks and begin and end within " + within +
         (batch > 1 ? ", and whose requests are placed alike" : "");
}

std::int64_t largest_block(const BoundNumbers& numbers) {
  return std::max(numbers.expert_block_bytes,
                  *std::max_element(numbers.kv_block_bytes.begin(), numbers.kv_block_bytes.end()));
}

std::int64_t common_block(const BoundNumbers& numbers) {
  return std::accumulate(numbers.kv_block_bytes.begin(), numbers.kv_block_bytes.end(), numbers.expert_block_bytes,
                         [](std::int64_t a, std::int64_t b) { return std::gcd(a, b); });
}

std::int64_t capacity_of_request(const BoundNumbers& numbers, Claim claim) {
  if (claim == Claim::kAny && numbers.mode == Mode::kExclusive) {
    return numbers.capacity_bytes / numbers.batch + (numbers.capacity_bytes % numbers.batch != 0 ? 1 : 0);
  }
  const std::int64_t piece = common_block(numbers);
  const std::int64_t pieces = numbers.capacity_bytes / piece;
  const bool rounds_up = claim == Claim::kAny && pieces % numbers.batch != 0;
  return (pieces / numbers.batch + (rounds_up ? 1 : 0)) * piece;
}

Result<BoundNumbers> bound_numbers(const Instance& instance, const TraceReader& trace) {
  if (trace.totals().digest.empty()) {
    return bad_input(trace.path() +
                     ": is a recovered trace, which has no digest that a certificate could name: "
                     "export it and import it anew");
  }
  const InstanceOptions& options = instance.options();
  if (options.copies == Copies::kBackground && options.overlap == Overlap::kNone) {
    // Every claim adds a copy's time on the link to that of near memory, beside which it moves for nothing here.
    return bad_input(
        "no bound is proven for --copies background with --overlap none, whose copies cost no time of their own: use "
        "--overlap full or --copies step");
  }
  const StepTime& step_time = instance.step_time();
  BoundNumbers numbers;
  numbers.trace_digest = trace.totals().digest;
  numbers.layers = instance.layers();
  numbers.steps = instance.steps();
  numbers.blocks_per_layer = instance.blocks_per_layer();
  numbers.mode = options.mode;
  numbers.barrier = options.barrier;
  numbers.overlap = options.overlap;
  // A certificate does not know how layers divide the capacity at the start, nor which experts the prompt used: the
  // free start is no worse than any.
  const bool divided_start =
      options.start == Start::kRecent && (!options.layer_shares.empty() || !trace.meta().prompt_experts.empty());
  numbers.start = divided_start ? Start::kFree : options.start;
  numbers.mirrored_reads = options.mirrored_reads;
  numbers.batch = options.batch;
  set_layers(instance, numbers);
  // Of unlike experts the smallest stands for all: any schedule fits as well, and none of its steps takes longer.
  const std::vector<Bytes> experts = instance.expert_sizes();
  numbers.expert_block_bytes = experts.empty() ? 0 : experts.front().value();
  if (instance.experts_alone()) {
    numbers.kv_block_bytes = {numbers.expert_block_bytes};  // there is none
  }
  numbers.capacity_bytes = instance.batch_capacity().value();
  for (std::size_t c = 0; c < kNumChannels; ++c) {
    const auto channel = static_cast<Channel>(c);
    const double rate = std::ceil(step_time.bandwidth(channel).value());
    if (rate >= static_cast<double>(kBandwidthLimit)) {
      return bad_input("a certificate needs bandwidths below 2^50 bytes/s, but " + std::string(channel_name(channel)) +
                       " has " + format_bandwidth(step_time.bandwidth(channel)));
    }
    numbers.bandwidth_bytes_per_second[c] = static_cast<std::int64_t>(rate);
  }
  numbers.interference_2_20 =
      static_cast<std::uint32_t>(std::floor(std::ldexp(instance.spec().hardware.interference, 20)));
  numbers.floor_units = units_of(step_time.floor());
  numbers.overhead_units = units_of(step_time.overhead());
  return numbers;
}

}  // namespace kvplace
