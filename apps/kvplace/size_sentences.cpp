#include "size_sentences.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "kvplace/base/short_text.h"

namespace kvplace::cli {
namespace {

std::string gb_per_s(double bytes_per_second, Rounding rounding) {
  return few_digits(bytes_per_second / 1e9, 4, rounding) + " GB/s";
}

bool seeks_largest_batch(const SizeResult& result) {
  return result.find == Find::kBatch && result.target.kind == SizeTarget::Kind::kShareOfAllNear;
}

/// "27 MiB", "a buffer of 64 blocks", "a link of 55 GB/s", "a batch of 12".
std::string with_what(const SizeResult& result, const SizeProbe& probe) {
  switch (result.find) {
    case Find::kNearCapacity:
      return value_text(result, probe);
    case Find::kBuffer:
      return "a buffer of " + value_text(result, probe);
    case Find::kLink:
      return "a link of " + value_text(result, probe);
    case Find::kBatch:
      return "a batch of " + value_text(result, probe);
  }
  return {};
}

/// What the most of a range is, as a clause behind it.
std::string why_not_more(const SizeResult& result, RangeEnd end) {
  switch (end) {
    case RangeEnd::kEverythingNear:
      return result.experts_alone ? "which hold all experts"
             : result.has_experts ? "which hold all KV and all experts"
                                  : "which hold all KV";
    case RangeEnd::kSearchLimit:
      return "the most that is tried";
    case RangeEnd::kFarMemory:
      return "the most that far memory holds";
    case RangeEnd::kNearMemory:
      return "the most that near memory has room for";
  }
  return {};
}

/// The end of the range on which a target is reached if anywhere, or, `cheap`, the other.
std::string end_of_range(const SizeResult& result, const SizeProbe& probe, bool cheap) {
  const bool at_most = cheap == seeks_largest_batch(result);
  return with_what(result, probe) + ", " +
         (at_most ? why_not_more(result, result.range->end) : std::string("the least that is tried"));
}

/// The batches that were tried: "1, 2, 4 or 7".
std::string list_of(const SizeResult& result, const std::vector<SizeProbe>& probes) {
  std::string list;
  for (std::size_t i = 0; i < probes.size(); ++i) {
    list += (i == 0 ? "" : (i + 1 == probes.size() ? " or " : ", ")) + value_text(result, probes[i]);
  }
  return list;
}

/// What was tried by a search that found nothing that reaches the target.
std::string all_that_was_tried(const SizeResult& result, const SizeAnswer& answer) {
  if (result.find == Find::kBatch && !seeks_largest_batch(result)) {
    return fmt::format("with a batch of {}; {} is {}", list_of(result, answer.probes),
                       value_text(result, answer.probes.back()), why_not_more(result, result.range->end));
  }
  return "even with " + end_of_range(result, *answer.neighbour, false);
}

std::string cost_sentence(const SizeAnswer& bound) {
  return bound.answer ? "(certified): no policy decodes more than " + rate_text(bound, *bound.answer) +
                            " tokens/s, however that cost is divided.\n"
                      : std::string();
}

}  // namespace

bool is_cost(const SizeResult& result) { return result.target.kind == SizeTarget::Kind::kCost; }

std::string rate_text(double per_second, Rounding rounding) {
  if (std::abs(per_second) < 1000) {
    return few_digits(per_second, 3, rounding);
  }
  const double whole = rounding == Rounding::kUp ? std::ceil(per_second) : std::round(per_second);
  return with_commas(static_cast<std::uint64_t>(whole));
}

std::string rate_text(const SizeAnswer& answer, const SizeProbe& probe) {
  return rate_text(probe.tokens_per_second, answer.certified ? Rounding::kUp : Rounding::kNearest);
}

std::string value_text(const SizeResult& result, const SizeProbe& probe) {
  if (is_cost(result)) {
    return long_bytes(probe.near_bytes, Rounding::kNearest) + " + " +
           gb_per_s(probe.link_bytes_per_second, Rounding::kNearest);
  }
  const Rounding rounding = probe.reached ? Rounding::kUp : Rounding::kDown;
  switch (result.find) {
    case Find::kNearCapacity:
      return long_bytes(std::llround(probe.value), rounding);
    case Find::kBuffer:
      return fmt::format("{:.0f} {}", probe.value, result.experts_alone ? "experts" : "blocks");
    case Find::kLink:
      return gb_per_s(probe.value, rounding);
    case Find::kBatch:
      return fmt::format("{:.0f}", probe.value);
  }
  return {};
}

std::string proof_sentence(const SizeResult& result) {
  const SizeAnswer& bound = result.answers.back();
  if (is_cost(result)) {
    return cost_sentence(bound);
  }
  if (!bound.neighbour) {
    return bound.answer && !bound.open ? "(certified): the bound leaves open whether " +
                                             end_of_range(result, *bound.answer, true) + ", reaches the target.\n"
                                       : std::string();
  }
  if (!bound.answer && !bound.open) {
    return "(certified): no policy reaches the target " + all_that_was_tried(result, bound) + ".\n";
  }
  const bool batch = result.find == Find::kBatch;
  return fmt::format("(certified): no policy reaches the target with {}{}.\n", with_what(result, *bound.neighbour),
                     batch ? "" : " or less, whatever is near at the start");
}

std::string range_sentences(const SizeResult& result) {
  std::string out;
  for (const SizeAnswer& answer : result.answers) {
    if (answer.certified || answer.open || is_cost(result)) {
      continue;
    }
    if (!answer.answer) {
      const auto best = std::max_element(
          answer.probes.begin(), answer.probes.end(),
          [](const SizeProbe& a, const SizeProbe& b) { return a.tokens_per_second < b.tokens_per_second; });
      out += fmt::format("{}: misses the target {}: at most {} tokens/s.\n", answer.name,
                         all_that_was_tried(result, answer), rate_text(best->tokens_per_second));
    } else if (!answer.neighbour) {
      out += fmt::format("{}: reaches the target with {}.\n", answer.name, end_of_range(result, *answer.answer, true));
    }
  }
  return out;
}

std::string open_sentence(const SizeResult& result) {
  if (result.status == SizeStatus::kComplete) {
    return {};
  }
  const std::string why = result.status == SizeStatus::kTimeLimit ? "The time limit was reached" : "Interrupted";
  std::string open;
  for (const SizeAnswer& answer : result.answers) {
    open += answer.open ? (open.empty() ? "" : ", ") + answer.name : "";
  }
  return open.empty() ? why + ": the answers stand; what \"-\" stands for was not measured.\n"
                      : why + ": open for " + open + " is what lies between the two values of its row.\n";
}

std::string crossover_sentences(const SizeResult& result, std::size_t name_width) {
  const bool asked = result.crossover_range || result.all_near_batch > 0;
  if (!asked) {
    return {};
  }
  std::string out =
      fmt::format("\nall KV near: {} request{}, {} tokens/s", result.all_near_batch,
                  result.all_near_batch == 1 ? "" : "s", rate_text(result.all_near_batch_tokens_per_second));
  if (!result.crossover_range) {
    return out + "; there is no larger batch to try\n";
  }
  out += "; tiering is faster from\n";
  for (const SizeAnswer& answer : result.answers) {
    std::string from;
    if (answer.crossover) {
      from =
          fmt::format("a batch of {}: {} tokens/s{}{}", answer.crossover->batch, rate_text(answer, *answer.crossover),
                      answer.certified ? " at most, none tried below it can be" : "",
                      answer.crossover_open ? "; smaller ones are open" : "");
    } else if (answer.crossover_open || answer.crossover_probes.empty()) {
      from = "open: the search was cut short";
    } else {
      from = fmt::format("no batch that was tried, up to {:.0f}, {}", result.crossover_range->most,
                         why_not_more(result, result.crossover_range->end));
    }
    out += fmt::format("  {:<{}}  {}\n", answer.name, name_width, from);
  }
  return out;
}

}  // namespace kvplace::cli
