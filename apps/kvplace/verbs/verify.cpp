#include "kvplace/bound/verify.h"

#include <fmt/core.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "app.h"
#include "format.h"
#include "kvplace/base/parse.h"

namespace kvplace::cli {
namespace {

using Json = nlohmann::ordered_json;

struct VerifyFlags {
  std::string trace;
  std::string certificate;
  unsigned threads = 0;
  bool json = false;
};

/// `certificate` and `bound` are null if there is none.
std::string json_text(const Certificate* certificate, const VerifiedBound* bound, const std::string& reason) {
  Json json;
  json["valid"] = bound != nullptr;
  json["bound_s"] = bound != nullptr ? Json(bound->bound.value()) : Json(nullptr);
  json["bound_decimal"] = bound != nullptr ? Json(bound->bound_decimal) : Json(nullptr);
  json["bound_exact"] = bound != nullptr ? Json(bound->bound_exact) : Json(nullptr);
  json["reason"] = reason;
  json["certificate"] = certificate != nullptr ? Json::parse(to_json(*certificate)) : Json(nullptr);
  return json.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

/// What is proven and about what, so that nobody takes it for another machine's.
std::string text(const TraceReader& trace, const Certificate& certificate, const VerifiedBound& bound) {
  const BoundNumbers& n = certificate.numbers;
  const Json head = Json::parse(to_json(certificate));
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

VerbResult run(const VerifyFlags& flags) {
  KVPLACE_ASSIGN(trace, TraceReader::open(flags.trace));
  const Result<Certificate> certificate = read_certificate(flags.certificate);
  const Result<VerifiedBound> bound =
      certificate.and_then([&](const Certificate& c) { return verify(trace, c, run_context(flags.threads)); });
  if (!bound) {
    if (flags.json && bound.error().kind == ErrorKind::kRejected) {
      KVPLACE_TRY(print(json_text(certificate ? &*certificate : nullptr, nullptr, bound.error().message)));
      return kRejected;
    }
    return tl::unexpected(bound.error());
  }
  KVPLACE_TRY(print(flags.json ? json_text(&*certificate, &*bound, "") : text(trace, *certificate, *bound)));
  return kDone;
}

}  // namespace

void add_verify(App& app) {
  auto flags = std::make_shared<VerifyFlags>();
  CLI::App* verb = app.add_verb("verify", "Re-checks the proof of a lower bound", [flags] { return run(*flags); });
  verb->add_option("trace", flags->trace, "trace (.kvt)")->required();
  verb->add_option("certificate", flags->certificate, "certificate (.cert)")->required();
  add_threads_flag(*verb, flags->threads);
  verb->add_flag("--json", flags->json, "one JSON object instead of text");
}

}  // namespace kvplace::cli
