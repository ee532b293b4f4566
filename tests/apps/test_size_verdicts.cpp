// What is said of a sizing, against what its searches tried: there if and only if that holds, and both happens.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "size_sentences.h"
#include "support/random_case.h"
#include "support/sides.h"
#include "verdicts.h"

namespace kvplace {
namespace {

using testing::RandomCase;
using testing::says;
using testing::Sides;

/// Probes of ascending value; from `first_reached` on they reach the target.
std::vector<SizeProbe> probes_of(RandomCase& random, bool falling) {
  std::vector<SizeProbe> probes(random.below(4));
  const std::size_t first_reached = random.below(probes.size() + 1);
  for (std::size_t i = 0; i < probes.size(); ++i) {
    probes[i].value = 1 + static_cast<double>(i);
    probes[i].batch = 1 + static_cast<std::uint32_t>(i);
    probes[i].tokens_per_second = 100 * random.uniform();
    probes[i].reached = falling ? i < first_reached : i >= first_reached;
  }
  return probes;
}

/// The nearest pair of what reaches the target and what does not.
void set_answer(SizeAnswer& answer, bool falling) {
  for (const SizeProbe& probe : answer.probes) {
    std::optional<SizeProbe>& last = probe.reached ? answer.answer : answer.neighbour;
    if (!last || (falling == probe.reached)) {
      last = probe;
    }
  }
}

SizeResult random_sizing(RandomCase& random) {
  SizeResult result;
  result.find = random.one_of({Find::kNearCapacity, Find::kBuffer, Find::kLink, Find::kBatch});
  result.target.kind =
      random.one_of({SizeTarget::Kind::kTokensPerSecond, SizeTarget::Kind::kShareOfAllNear, SizeTarget::Kind::kCost});
  result.status = random.one_of({SizeStatus::kComplete, SizeStatus::kTimeLimit, SizeStatus::kInterrupted});
  result.range = SizeRange{1, 4, random.one_of({RangeEnd::kEverythingNear, RangeEnd::kFarMemory})};
  const bool falling = result.find == Find::kBatch && result.target.kind == SizeTarget::Kind::kShareOfAllNear;
  for (const char* name : {"lru", "clock", "(certified)"}) {
    SizeAnswer answer;
    answer.name = name;
    answer.certified = answer.name == "(certified)";
    answer.probes = probes_of(random, falling);
    set_answer(answer, falling);
    answer.open = answer.probes.empty() || (result.status != SizeStatus::kComplete && random.chance(0.5));
    answer.crossover_probes = probes_of(random, false);
    for (const SizeProbe& probe : answer.crossover_probes) {
      answer.crossover = !answer.crossover && probe.reached ? probe : answer.crossover;
    }
    answer.crossover_open = result.status != SizeStatus::kComplete && random.chance(0.5);
    result.answers.push_back(std::move(answer));
  }
  if (random.chance(0.7)) {
    result.all_near_batch = random.below(2);
    result.all_near_batch_tokens_per_second = 50;
    if (random.chance(0.7)) {
      result.crossover_range = SizeRange{1, 4, RangeEnd::kFarMemory};
    }
  }
  return result;
}

TEST(SizeVerdicts, WhatIsCertifiedOfASizing) {
  Sides sides;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    RandomCase random(seed);
    const SizeResult result = random_sizing(random);
    const SizeAnswer& bound = result.answers.back();
    const bool cost = result.target.kind == SizeTarget::Kind::kCost;
    const bool some_fail = std::any_of(bound.probes.begin(), bound.probes.end(), [](auto& p) { return !p.reached; });
    const bool some_reach = std::any_of(bound.probes.begin(), bound.probes.end(), [](auto& p) { return p.reached; });
    const std::string text = cli::proof_sentence(result);
    sides.expect(text, "no policy decodes more than", cost && some_reach);
    sides.expect(text, "no policy reaches the target", !cost && some_fail);
    sides.expect(text, "or less, whatever is near at the start",
                 !cost && some_fail && (some_reach || bound.open) && result.find != Find::kBatch);
    sides.expect(text, "the bound leaves open whether", !cost && !some_fail && some_reach && !bound.open);
    InstanceOptions options;
    options.batch = random.one_of({1U, 4U});
    options.barrier = random.one_of({Barrier::kLayer, Barrier::kToken});
    const std::string scope = cli::certified_scope(result, options);
    sides.expect(scope, "within one decode step", options.barrier == Barrier::kToken);
    sides.expect(scope, "whose requests are placed alike", options.batch > 1 || (result.find == Find::kBatch && !cost));
  }
  sides.both();
}

TEST(SizeVerdicts, WhatASearchMetAndWhatItLeftOpen) {
  Sides sides;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    RandomCase random(seed);
    const SizeResult result = random_sizing(random);
    const bool cost = result.target.kind == SizeTarget::Kind::kCost;
    const std::string range = cli::range_sentences(result);
    for (std::size_t i = 0; i < 2; ++i) {
      const SizeAnswer& answer = result.answers[i];
      const bool whole = !cost && !answer.open;
      sides.expect(range, answer.name + ": misses the target", whole && !answer.answer);
      sides.expect(range, answer.name + ": reaches the target with", whole && answer.answer && !answer.neighbour);
    }
    EXPECT_FALSE(says(range, "(certified)"));
    const std::string open = cli::open_sentence(result);
    const bool cut = result.status != SizeStatus::kComplete;
    const bool some = std::any_of(result.answers.begin(), result.answers.end(), [](auto& a) { return a.open; });
    sides.expect(open, "The time limit was reached", result.status == SizeStatus::kTimeLimit);
    sides.expect(open, "Interrupted", result.status == SizeStatus::kInterrupted);
    sides.expect(open, "the answers stand", cut && !some);
    sides.expect(open, "open for ", cut && some);
  }
  sides.both();
}

TEST(SizeVerdicts, FromWhichBatchOnTieringPays) {
  Sides sides;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    RandomCase random(seed);
    SizeResult result = random_sizing(random);
    result.answers = {result.answers[random.chance(0.5) ? 0 : 2]};
    const SizeAnswer& answer = result.answers.front();
    const std::string text = cli::crossover_sentences(result, 6);
    const bool searched = result.crossover_range.has_value();
    const bool none = searched && !answer.crossover;
    sides.expect(text, "all KV near:", searched || result.all_near_batch > 0);
    sides.expect(text, "there is no larger batch to try", !searched && result.all_near_batch > 0);
    sides.expect(text, "tiering is faster from", searched);
    sides.expect(text, "a batch of ", searched && answer.crossover);
    sides.expect(text, "none tried below it can be", searched && answer.crossover && answer.certified);
    sides.expect(text, "smaller ones are open", searched && answer.crossover && answer.crossover_open);
    const bool cut = answer.crossover_open || answer.crossover_probes.empty();
    sides.expect(text, "open: the search was cut short", none && cut);
    sides.expect(text, "no batch that was tried, up to 4, the most that far memory holds", none && !cut);
  }
  sides.both();
}

}  // namespace
}  // namespace kvplace
