#include "advise_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "advise_sentences.h"
#include "kvplace/base/short_text.h"
#include "kvplace/generate/workload.h"

namespace kvplace::cli {
namespace {

constexpr double kMilli = 1e-3;

std::string bytes(Bytes size) {
  return size < Bytes(0) ? "-" + short_bytes(static_cast<double>(-size.value()))
                         : short_bytes(static_cast<double>(size.value()));
}

std::string head(const Advice& advice) {
  const InstanceOptions& options = advice.spec.options;
  std::string out = fmt::format("{} on {}{}: {} request{} of {} + {} tokens, {}\n", advice.spec.model->name,
                                options.gpus > 1 ? fmt::format("{} GPUs of ", options.gpus) : "",
                                advice.spec.hardware.name, options.batch, options.batch == 1 ? "" : "s",
                                format_tokens(advice.context), format_tokens(advice.output),
                                advice.spec.engine.name.empty() ? "an ideal engine" : advice.spec.engine.name);
  const NearBudget& near = advice.near;
  out += fmt::format("near      {} = weights {}", bytes(near.memory), bytes(near.weights));
  for (const auto& [part, name] :
       {std::pair{near.reserve, "reserve"}, std::pair{near.selector, "index keys"}, std::pair{near.state, "states"},
        std::pair{near.window, "windows"}, std::pair{near.other_kv, "KV of other layers"}}) {
    out += part > Bytes(0) ? fmt::format(" + {} {}", name, bytes(part)) : std::string();
  }
  out += near.kv >= Bytes(0) ? fmt::format(" + {} for KV", bytes(near.kv))
                             : fmt::format(", {} too much", bytes(Bytes(0) - near.kv));
  out +=
      fmt::format("{}; a request's KV is {}{}\n", options.gpus > 1 ? ", on each GPU" : "", bytes(advice.kv_per_request),
                  options.gpus > 1 ? fmt::format(", {} on a GPU", advice.requests_per_gpu) : std::string());
  return out + fit_sentence(advice) + workload_sentence(advice);
}

std::string cell(const std::optional<Speed>& speed) {
  return speed ? fmt::format("{:>8} {:>7}", few_digits(speed->tokens_per_second, 4),
                             few_digits(speed->step_s / kMilli, 3))
               : fmt::format("{:>8} {:>7}", "-", "-");
}

std::string points_table(const Advice& advice) {
  const bool experts = advice.fit == FarHolds::kExperts;
  std::string out =
      fmt::format("{:>7} {:>9} {:>16} {:>16} {:>16}  {:<10} {:>16}\n", "", experts ? "experts" : "room", "all near",
                  advice.spec.engine.name.empty() ? "ideal engine" : "engine", "best policy", "", "bound");
  out += fmt::format("{:>7} {:>9}", "batch", experts ? "near" : "a request");
  for (int i = 0; i < 4; ++i) {
    out += fmt::format(" {:>8} {:>7}", "tokens/s", "ms");
    out += i == 2 ? fmt::format("  {:<10}", "") : "";
  }
  out += "\n";
  for (const AdvicePoint& point : advice.points) {
    const std::string room =
        experts ? percent(point.experts_near, 0) : with_commas(point.buffer_blocks * advice.block_tokens);
    std::optional<Speed> bound;
    if (point.bound_step_s) {
      bound = {point.batch / *point.bound_step_s, *point.bound_step_s, {}};
    }
    out += fmt::format("{:>7} {:>9} {} {} {}  {:<10} {}{}\n", point.batch, room, cell(point.all_near),
                       cell(point.engine), cell(point.best), point.best ? point.best->policy : "-", cell(bound),
                       point.batch == advice.spec.options.batch ? "  <" : "");
  }
  return out;
}

std::string bars(const Advice& advice) {
  const AdvicePoint* asked = advice.asked();
  if (!asked->spent) {
    return {};
  }
  const Spent& spent = *asked->spent;
  const double sum = spent.weights + spent.kv_near + spent.link + spent.selector + spent.overhead;
  std::string out =
      fmt::format("A step at batch {} takes {} ms ({}):\n", asked->batch, few_digits(sum / kMilli, 3),
                  asked->engine ? (advice.spec.engine.name.empty() ? "ideal engine" : "engine") : "best policy");
  constexpr double kColumns = 40;
  constexpr double kLeastShown = 1e-4;
  for (const auto& [name, seconds] :
       {std::pair{"weights", spent.weights}, std::pair{"KV near", spent.kv_near}, std::pair{"far", spent.link},
        std::pair{"selector", spent.selector}, std::pair{"overhead", spent.overhead}}) {
    if (seconds > kLeastShown * sum) {
      out +=
          fmt::format("  {:<9} {:>8} ms {:>7}  {}\n", name, few_digits(seconds / kMilli, 3), percent(seconds / sum, 0),
                      std::string(static_cast<std::size_t>(std::lround(seconds / sum * kColumns)), '#'));
    }
  }
  return out;
}

}  // namespace

std::string advise_text(const Advice& advice) {
  std::string out = head(advice) + "\n";
  if (advice.fit != FarHolds::kNothing ||
      std::any_of(advice.points.begin(), advice.points.end(),
                  [](const AdvicePoint& p) { return p.engine || p.best || p.all_near; })) {
    out += points_table(advice) + "\n" + bars(advice) + "\n";
  }
  return out + conclusions(advice);
}

}  // namespace kvplace::cli
