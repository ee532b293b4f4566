#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "format.h"
#include "kvplace/base/parse.h"
#include "tables.h"

namespace kvplace::cli {

std::string table(const Proof& proof, const Instance& instance) {
  std::string out;
  const double tokens = static_cast<double>(instance.steps()) * instance.options().batch;
  const auto line = [&](const std::string& name, Seconds time, const std::string& remark) {
    out += fmt::format("{:<18}{:>14.9f} s  {:>10} per token  {}\n", name, time.value(),
                       short_time(tokens > 0 ? time.value() / tokens : 0), remark);
  };
  line("bound", proof.bound.verified.bound,
       fmt::format("{} in {:.1f} s, {} prices tried", to_text(proof.bound.status), proof.bound.seconds.value(),
                   proof.bound.evaluations));
  if (proof.exact && proof.exact->lp_optimal) {
    line("linear relaxation", proof.exact->lp,
         fmt::format("exact, {} variables; it cuts blocks, the bound does not", proof.exact->variables));
  }
  if (proof.exact && proof.exact->milp) {
    line("best schedule", *proof.exact->milp,
         proof.exact->milp_optimal ? "of all, exact" : "found within the time limit");
  }
  if (proof.schedule) {
    line("planned schedule", proof.schedule->total,
         proof.gap() ? fmt::format("{:.3f} % above the bound", 100 * *proof.gap()) : std::string());
  }
  const double percent_of_near = static_cast<double>(instance.capacity().value()) / 100;
  out += "\nNo placement or migration of the KV cache is faster than the bound: kvplace verify re-checks it.\n";
  // Only so: with start recent, more room also means more blocks near at the start.
  out += "With the same blocks near at the start, ";
  if (proof.bound.capacity_price_s_per_byte > 0) {
    out += fmt::format("1 % more near memory ({}) lowers it by at most {}.\n",
                       short_bytes(percent_of_near * instance.options().batch),
                       short_time(percent_of_near * proof.bound.capacity_price_s_per_byte));
  } else {
    out += "more near memory does not lower it.\n";
  }
  return out;
}

std::string table(const TraceReader& trace, const Certificate& certificate, const VerifiedBound& bound) {
  const BoundNumbers& n = certificate.numbers;
  const auto head = nlohmann::json::parse(to_json(certificate));
  const auto choice = [&](const char* key) { return head[key].get<std::string>(); };
  const auto rate = [&](Channel channel) {
    return std::string(channel_name(channel)) + " " +
           format_bandwidth(
               BytesPerSecond(static_cast<double>(n.bandwidth_bytes_per_second[static_cast<std::size_t>(channel)])));
  };
  const auto seconds = [](std::int64_t units) { return short_time(std::ldexp(static_cast<double>(units), -60)); };
  std::int64_t weights = 0;
  for (const std::int64_t bytes : n.weight_bytes) {
    weights += bytes;
  }
  const std::string& path = trace.path();
  std::string out = fmt::format("proven    no schedule takes less than {} s: {} per decode step\n", bound.bound_decimal,
                                short_time(bound.bound.value() / n.steps));
  out += fmt::format("exactly   {} s\n", bound.bound_exact);
  out += fmt::format("trace     {}: digest {}, {} decode steps, {} layers, {} blocks per layer\n",
                     path.substr(path.find_last_of('/') + 1), n.trace_digest, with_commas(n.steps), n.layers,
                     with_commas(n.blocks_per_layer));
  out += fmt::format("machine   {}, {}, {}, {}; interference {:.4g}, floor {}, overhead {} per step\n",
                     rate(Channel::kNearMem), rate(Channel::kFarLinkRead), rate(Channel::kFarLinkWrite),
                     rate(Channel::kFarMem), std::ldexp(n.interference_2_20, -20), seconds(n.floor_units),
                     seconds(n.overhead_units));
  out += fmt::format("instance  {}, barrier {}, overlap {}, start {}, mirrored reads {}, batch {}\n", choice("mode"),
                     choice("barrier"), choice("overlap"), choice("start"), choice("mirrored_reads"), n.batch);
  out += fmt::format(
      "sizes     near capacity {} bytes of each request, blocks of {} bytes{}, new KV {} and weights {} "
      "bytes per step\n",
      n.capacity_bytes, n.kv_block_bytes,
      n.expert_block_bytes > 0 ? fmt::format(" and experts of {}", n.expert_block_bytes) : "", n.new_kv_bytes, weights);
  return out;
}

}  // namespace kvplace::cli
