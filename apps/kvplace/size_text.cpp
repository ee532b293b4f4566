#include "size_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "kvplace/base/short_text.h"
#include "kvplace/size/report.h"
#include "size_sentences.h"
#include "verdicts.h"

namespace kvplace::cli {
namespace {

std::string heading(const SizeResult& result) {
  if (is_cost(result)) {
    return "near capacity + link";
  }
  switch (result.find) {
    case Find::kNearCapacity:
      return "near capacity";
    case Find::kBuffer:
      return "buffer per layer";
    case Find::kLink:
      return "link";
    case Find::kBatch:
      return result.target.kind == SizeTarget::Kind::kTokensPerSecond ? "least batch" : "largest batch";
  }
  return {};
}

std::string gain(const std::optional<SizeWorth>& worth, std::optional<double> SizeWorth::* member) {
  if (!worth || !((*worth).*member)) {
    return "-";
  }
  const double value = *((*worth).*member);
  return (value < 0 ? "-" : "+") + rate_text(std::abs(value));
}

std::size_t name_width(const SizeResult& result) {
  std::size_t width = 6;
  for (const SizeAnswer& answer : result.answers) {
    width = std::max(width, answer.name.size());
  }
  return width;
}

std::string answers_table(const SizeResult& result, const Instance& instance) {
  const std::size_t width = name_width(result);
  std::string out =
      fmt::format("{:<{}}  {:>22}  {:>9}  {:>11}  {:>22}  {:>9}  {:>9}  {:>9}\n", "policy", width, heading(result),
                  "per layer", "tokens/s", is_cost(result) ? "" : "not reached with", "+1 GiB", "+1 GB/s", "+1 point");
  for (const SizeAnswer& answer : result.answers) {
    const double block = static_cast<double>(instance.kv_row_bytes().value());
    const std::string per_layer =
        answer.answer && (!result.has_experts || result.experts_alone)
            ? fmt::format("{:.4g}", static_cast<double>(answer.answer->near_bytes) /
                                        instance.share().requests_of(answer.answer->batch) / block)
            : "-";
    out += fmt::format("{:<{}}  {:>22}  {:>9}  {:>11}  {:>22}  {:>9}  {:>9}  {:>9}\n", answer.name, width,
                       answer.answer ? value_text(result, *answer.answer) : (answer.open ? "open" : "out of reach"),
                       per_layer, answer.answer ? rate_text(answer, *answer.answer) : "-",
                       answer.neighbour ? value_text(result, *answer.neighbour) : "-",
                       gain(answer.worth, &SizeWorth::gib_near), gain(answer.worth, &SizeWorth::gb_s_link),
                       gain(answer.worth, &SizeWorth::point_of_sparsity));
  }
  return out;
}

std::string brackets(const SizeResult& result) {
  if (is_cost(result)) {
    return {};  // too many to be read; --json has them
  }
  std::string out = "\nbrackets\n";
  for (const SizeAnswer& answer : result.answers) {
    out += fmt::format("  {:<{}} ", answer.name, name_width(result));
    for (const SizeProbe& probe : answer.probes) {
      out += fmt::format(" {} {}{}", value_text(result, probe), probe.reached ? "yes" : "no",
                         &probe == &answer.probes.back() ? "" : ",");
    }
    out += "\n";
  }
  return out;
}

std::string settings_text(const std::string& head, const EngineAdvice& advice) {
  if (!advice.settings) {
    return "\nno settings for engines: " + advice.why_none + "\n";
  }
  const EngineSettings& settings = *advice.settings;
  std::string out = "\n" + head + "\n";
  out += "  SGLang  " + settings.sglang + "\n  vLLM    " + settings.vllm + "\n";
  for (const std::string& sentence : settings.assumes) {
    out += "  assumes " + sentence + "\n";
  }
  return out;
}

std::string share_of(std::uint64_t far_reads, std::uint64_t reads) {
  return reads == 0 ? "-" : percent(static_cast<double>(far_reads) / static_cast<double>(reads), 2);
}

std::string checks_table(const LayerBudgets& budgets) {
  std::size_t width = 5;
  const auto name = [](const BudgetCheck& c) { return c.file.substr(c.file.find_last_of('/') + 1); };
  for (const BudgetCheck& check : budgets.checks) {
    width = std::max(width, name(check).size());
  }
  std::string out = fmt::format("{:<{}}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}  {:>10}  {:>10}\n", "trace", width, "equal",
                                "found", "own", "others'", "change", "time", "change");
  for (const BudgetCheck& check : budgets.checks) {
    const auto of = [&](const std::optional<BudgetOutcome>& outcome) {
      return outcome ? share_of(outcome->far_reads, check.reads) : "-";
    };
    const auto change = [](double now, double before) {
      return before > 0 ? fmt::format("{:+.1f} %", 100 * (now / before - 1)) : std::string("-");
    };
    out +=
        fmt::format("{:<{}}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}  {:>10}  {:>10}{}\n", name(check), width,
                    share_of(check.equal.far_reads, check.reads), share_of(check.found.far_reads, check.reads),
                    of(check.own), of(check.others),
                    change(static_cast<double>(check.found.far_reads), static_cast<double>(check.equal.far_reads)),
                    short_time(check.found.total.value()), change(check.found.total.value(), check.equal.total.value()),
                    check.held_out ? "  held out" : "");
  }
  return out;
}

}  // namespace

std::string table(const SizeResult& result, const TraceReader& trace, const Instance& instance) {
  std::string out = fmt::format("target    {}; all near: {} tokens/s\n\n", to_text(result.target),
                                rate_text(result.all_near_tokens_per_second));
  out += answers_table(result, instance) + "\n" + proof_sentence(result) + range_sentences(result) +
         open_sentence(result) + certified_scope(result, instance.options());
  out +=
      "+1 ...: tokens/s gained by one more GiB near (or what is not near yet), GB/s of link, and 1 % fewer bytes "
      "read.\n";
  out += brackets(result) + crossover_sentences(result, name_width(result));
  return result.experts_alone
             ? out  // which engines have other settings for
             : out + settings_text("settings for lru's buffer", engine_advice(trace, instance, result));
}

std::string table(const LayerBudgets& budgets, const BudgetTrace& first) {
  const bool are_experts = first.instance->experts_alone();
  std::string out =
      fmt::format("budgets   {} {} over {} layers for {}, from {} trace{}\n\n", with_commas(budgets.total_blocks),
                  are_experts ? "experts" : "blocks of one request", budgets.blocks.size(), budgets.policy.text(),
                  budgets.from_each.size(), budgets.from_each.size() == 1 ? "" : "s");
  const bool several = budgets.from_each.size() > 1;
  const std::uint32_t most = *std::max_element(budgets.blocks.begin(), budgets.blocks.end());
  out +=
      std::string(are_experts ? "layer  experts" : "layer  blocks") + (several ? "  mean of each  deviation\n" : "\n");
  for (std::size_t layer = 0; layer < budgets.blocks.size(); ++layer) {
    const std::uint32_t blocks = budgets.blocks[layer];
    out += fmt::format("{:>5}  {:>{}}  ", layer, blocks, are_experts ? 7 : 6);
    if (several) {
      out += fmt::format("{:>12.1f}  {:>9.1f}  ", budgets.mean_blocks[layer], budgets.deviation_blocks[layer]);
    }
    out += std::string(most == 0 ? 0 : static_cast<std::size_t>(std::uint64_t{blocks} * 40 / most), '#') + "\n";
  }
  out += "\nfar reads as a share of reads\n" + checks_table(budgets);
  const std::string verdict = budgets_verdict(budgets);
  out += (verdict.empty() ? "" : "\n") + verdict;
  return are_experts
             ? out
             : out + settings_text("settings for equal buffers of the same total", engine_advice(first, budgets));
}

}  // namespace kvplace::cli
