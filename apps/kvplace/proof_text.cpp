#include <fmt/core.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "kvplace/base/parse.h"
#include "kvplace/base/short_text.h"
#include "tables.h"
#include "verdicts.h"

namespace kvplace::cli {

std::string table(const Proof& proof, const Instance& instance) {
  std::string out;
  const double tokens = instance.tokens_decoded(instance.steps());
  const auto line = [&](const std::string& name, Seconds time, const std::string& remark,
                        Rounding rounding = Rounding::kNearest) {
    out += fmt::format("{:<18}{:>14.9f} s  {:>10} per token  {}\n", name, time.value(),
                       short_time(tokens > 0 ? time.value() / tokens : 0, rounding), remark);
  };
  // What is proven is no less than what is shown.
  const auto proven = [&](const char* name, const ProvenBound& bound) {
    line(name, Seconds(std::floor(bound.verified.bound.value() * 1e9) / 1e9), search_verdict(bound), Rounding::kDown);
  };
  proven("bound", proof.bound);
  proven("any", proof.any);
  if (proof.exact && proof.exact->lp_optimal) {
    line("linear relaxation", proof.exact->lp, relaxation_verdict(proof));
  }
  if (proof.exact && proof.exact->milp) {
    line("best schedule", *proof.exact->milp, best_schedule_verdict(*proof.exact));
  }
  if (proof.schedule) {
    line("planned schedule", proof.schedule->total, planning_verdict(proof));
  } else if (proof.planning) {
    out += fmt::format("{:<18}{:>16}  {}\n", "planned schedule", "none", planning_verdict(proof));
  }
  return out + "\n" + proof_verdict(proof) + capacity_verdict(proof, instance);
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
  // In full, so that no number of the head can be another one unseen.
  const auto seconds = [](std::int64_t units) {
    return units == 0 ? std::string("0 s")
                      : fmt::format("{}/2^60 s ({})", units, short_time(std::ldexp(static_cast<double>(units), -60)));
  };
  std::string weights;
  for (const auto& by_channel : n.fixed_bytes) {
    weights += weights.empty() ? "" : "; ";
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      const FixedBytes& fixed = by_channel[c];
      weights += fmt::format("{}{} {} B{}", c > 0 ? ", " : "", channel_name(static_cast<Channel>(c)), fixed.bytes,
                             fixed.per_token > 0 ? fmt::format(" and {} B per token", fixed.per_token) : "");
    }
  }
  const std::string& path = trace.path();
  std::string out = proof_verdict(bound, certificate);
  out += fmt::format("exactly   {} s\n", bound.bound_exact);
  out += fmt::format("trace     {}: digest {}, {} decode steps, {} layers, {} blocks per layer\n",
                     path.substr(path.find_last_of('/') + 1), n.trace_digest, with_commas(n.steps), n.layers,
                     with_commas(n.blocks_per_layer));
  out += fmt::format("machine   {}, {}, {}, {}; interference {}, floor {}, overhead {} per step\n",
                     rate(Channel::kNearMem), rate(Channel::kFarLinkRead), rate(Channel::kFarLinkWrite),
                     rate(Channel::kFarMem), std::ldexp(n.interference_2_20, -20), seconds(n.floor_units),
                     seconds(n.overhead_units));
  out += fmt::format("instance  {}, barrier {}, overlap {}, start {}, mirrored reads {}, batch {}\n", choice("mode"),
                     choice("barrier"), choice("overlap"), choice("start"), choice("mirrored_reads"), n.batch);
  out += fmt::format("sizes     near capacity {} B of all requests, blocks of {} B{}, new KV {} B per step\n",
                     n.capacity_bytes, fmt::join(n.kv_block_bytes, ", "),
                     n.expert_block_bytes > 0 ? fmt::format(" and experts of {} B", n.expert_block_bytes) : "",
                     fmt::join(n.new_kv_bytes, ", "));
  out += fmt::format("fixed     {}, per step of the whole batch{}\n", weights,
                     n.fixed_bytes.size() > 1 ? ", by layer" : "");
  return out;
}

}  // namespace kvplace::cli
