#include <fmt/core.h>

#include "format.h"
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
    line("linear relaxation", proof.exact->lp, fmt::format("exact, {} variables", proof.exact->variables));
  }
  if (proof.exact && proof.exact->milp) {
    line("best schedule", *proof.exact->milp, proof.exact->milp_optimal ? "of all, exact" : "found within the time limit");
  }
  if (proof.schedule) {
    line("planned schedule", proof.schedule->total,
         proof.gap() ? fmt::format("{:.3f} % above the bound", 100 * *proof.gap()) : std::string());
  }
  const double percent_of_near = static_cast<double>(instance.capacity().value()) / 100;
  out += fmt::format(
      "\nNo placement or migration of the KV cache is faster than the bound: kvplace verify re-checks it.\n"
      "1 % more near memory ({}) lowers it by at most {}.\n",
      short_bytes(percent_of_near * instance.options().batch),
      short_time(percent_of_near * proof.bound.capacity_price_s_per_byte));
  return out;
}

}  // namespace kvplace::cli
