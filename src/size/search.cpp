#include "size/search.h"

#include <algorithm>

namespace kvplace {
namespace {

struct Tried {
  std::int64_t number = 0;
  SizeProbe probe;
};

std::optional<SizeProbe> find(std::span<const Tried> tried, std::optional<std::int64_t> number) {
  for (const Tried& t : tried) {
    if (number && t.number == *number) {
      return t.probe;
    }
  }
  return std::nullopt;
}

Search search_of(const Bracket& bracket, std::span<const Tried> tried) {
  Search search;
  for (const Tried& t : tried) {
    search.probes.push_back(t.probe);
  }
  std::sort(search.probes.begin(), search.probes.end(),
            [](const SizeProbe& a, const SizeProbe& b) { return a.value < b.value; });
  search.number = bracket.reaches();
  search.answer = find(tried, bracket.reaches());
  search.neighbour = find(tried, bracket.fails());
  return search;
}

}  // namespace

Result<std::vector<Search>> search_all(const Evaluator& evaluator, const Scale& scale,
                                       std::span<const Contender> contenders, const Prepare& prepare,
                                       const Reaches& reaches) {
  std::vector<Bracket> brackets(contenders.size(), Bracket(scale.least, scale.most, scale.from, scale.tolerance));
  std::vector<std::vector<Tried>> tried(contenders.size());
  while (true) {
    std::vector<std::size_t> active;
    std::vector<Instance> instances;
    instances.reserve(contenders.size());
    for (std::size_t c = 0; c < contenders.size(); ++c) {
      if (const std::optional<std::int64_t> number = brackets[c].next()) {
        KVPLACE_ASSIGN(instance, evaluator.make(scale.spec(*number)));
        instances.push_back(std::move(instance));
        active.push_back(c);
      }
    }
    if (active.empty()) {
      break;
    }
    std::vector<Evaluator::Trial> trials;
    std::vector<const Instance*> of_round;
    for (std::size_t i = 0; i < active.size(); ++i) {
      trials.push_back({&contenders[active[i]], &instances[i]});
      of_round.push_back(&instances[i]);
    }
    KVPLACE_TRY(prepare(of_round));
    KVPLACE_ASSIGN(times, evaluator.times(trials));
    for (std::size_t i = 0; i < active.size(); ++i) {
      const std::size_t c = active[i];
      const std::int64_t number = *brackets[c].next();
      const bool reached = reaches(instances[i], times[i]);
      tried[c].push_back({number, evaluator.probe(instances[i], scale.value(number), times[i], reached)});
      brackets[c].tell(number, reached);
    }
  }
  std::vector<Search> searches;
  for (std::size_t c = 0; c < contenders.size(); ++c) {
    searches.push_back(search_of(brackets[c], tried[c]));
  }
  return searches;
}

}  // namespace kvplace
