// The policies of the league against second implementations written from their papers (tests/support/naive_caches.h),
// near set by near set, and against what is known of them.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "kvplace/simulate/replay.h"
#include "support/naive_caches.h"
#include "support/paper_machine.h"
#include "support/random_instance.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

using testing::Id;
using testing::Ids;
using testing::NaiveCache;

/// What is near in each layer after each step, by id.
class NearSets final : public DecisionObserver {
 public:
  explicit NearSets(const Instance& instance) : instance_(instance), near_(instance.layers()) {}
  Status on_start(std::span<const BlockIndex> initial_near) override {
    for (const BlockIndex block : initial_near) {
      near_[instance_.layer_of(block).value()].insert(instance_.id_of(block).value());
    }
    start = near_;
    return {};
  }
  Status on_step(StepIndex, LayerIndex layer, const Decision& decision) override {
    for (const BlockIndex block : decision.evict) {
      near_[instance_.layer_of(block).value()].erase(instance_.id_of(block).value());
    }
    for (const BlockIndex block : decision.promote) {
      near_[instance_.layer_of(block).value()].insert(instance_.id_of(block).value());
    }
    after.push_back(near_[layer.value()]);
    decisions.push_back(decision);
    return {};
  }

  std::vector<std::set<Id>> start;  // by layer
  std::vector<std::set<Id>> after;  // by step: of its layer
  std::vector<Decision> decisions;  // by step

 private:
  const Instance& instance_;
  std::vector<std::set<Id>> near_;
};

/// A random trace of blocks of one token on a machine with room for some of them.
struct LeagueCase : testing::RandomInstance {
  explicit LeagueCase(bool ranking = false)
      : LeagueCase(testing::drawn_case({.steps = 50, .prompt_tokens = 60, .reads = 12}), ranking) {}
  LeagueCase(testing::RandomCase&& random, bool ranking) : RandomInstance(random, shape_of(random, ranking)) {
    spec.model.reset();
    spec.options = {};
    spec.options.near_blocks_per_layer = 1 + random.below(39);
    spec.options.start = random.one_of({Start::kRecent, Start::kEmpty});
  }
  static testing::RandomTraceShape shape_of(testing::RandomCase& random, bool ranking) {
    testing::RandomTraceShape tokens = random.plain_shape();
    tokens.steps = std::max(tokens.steps, 2u);
    tokens.block_tokens = 1;
    tokens.ranking = ranking;
    return tokens;
  }
  /// Blocks of each layer that near has room for.
  [[nodiscard]] std::size_t places() const {
    return static_cast<std::size_t>(instance().capacity().value() / 1000 / shape.layers);
  }
  NearSets run(const std::string& policy, const Instance& instance, ReplayResult* result = nullptr) const {
    NearSets sets(instance);
    const ReplayJob job{&instance, PolicyRegistry::instance().parse(policy).value(), nullptr, &sets};
    const std::vector<ReplayResult> results = replay(trace(), std::span(&job, 1), {}).value();
    if (result != nullptr) {
      *result = results.front();
    }
    return sets;
  }
};

Ids ids_of(std::span<const BlockId> blocks) {
  Ids ids;
  for (const BlockId block : blocks) {
    ids.push_back(block.value());
  }
  return ids;
}

/// What a step does to a set of near blocks: those hit, and those appended to or read from far, ascending.
struct Uses {
  Ids hits;
  Ids entering;
};

Uses uses_of(const StepView& record, const std::set<Id>& near) {
  Uses uses;
  const Ids appended = ids_of(record.appended);
  for (const Id id : ids_of(record.reads)) {
    if (near.count(id) != 0) {
      uses.hits.push_back(id);
    } else if (!testing::contains(appended, id)) {
      uses.entering.push_back(id);
    }
  }
  for (const Id id : appended) {
    if (near.count(id) == 0) {
      uses.entering.push_back(id);
    }
  }
  std::sort(uses.entering.begin(), uses.entering.end());
  return uses;
}

/// Runs `policy` and, layer by layer, the cache that `make` gives for so many places; both hold the same all the time.
void expect_same(const LeagueCase& c, const std::string& policy,
                 const std::function<std::unique_ptr<NaiveCache>(std::size_t)>& make) {
  RC_LOG() << policy;
  const Instance instance = c.instance();
  const NearSets sets = c.run(policy, instance);
  std::vector<std::unique_ptr<NaiveCache>> naive;
  for (std::uint32_t layer = 0; layer < c.shape.layers; ++layer) {
    naive.push_back(make(c.places()));
    for (const Id id : sets.start[layer]) {
      naive.back()->enter(id);
    }
  }
  const Segment all = testing::all_records(c.trace());
  std::size_t i = 0;
  for (std::uint32_t step = 0; step < c.shape.steps; ++step) {
    for (std::uint32_t layer = 0; layer < c.shape.layers; ++layer, ++i) {
      const Uses uses = uses_of(all.view(step, layer), naive[layer]->near());
      naive[layer]->set_time(step);
      for (const Id id : uses.hits) {
        naive[layer]->hit(id);
      }
      for (const Id id : uses.entering) {
        naive[layer]->enter(id);
      }
      RC_ASSERT(sets.after[i] == naive[layer]->near());
    }
  }
}

RC_GTEST_PROP(League, CachesAreThoseOfTheirPapers, ()) {
  const LeagueCase c;
  const auto text = [](double x) { return rc::toString(x); };
  const double share = testing::drawn(rc::gen::element(0.0, 0.25, 0.5, 0.8, 1.0));
  expect_same(c, "slru:protected=" + text(share),
              [&](std::size_t n) { return std::make_unique<testing::NaiveSlru>(n, share); });
  const double history = testing::drawn(rc::gen::element(0.0, 0.5, 1.0, 3.0));
  const double hir = testing::drawn(rc::gen::element(0.0, 0.01, 0.25, 0.5));
  expect_same(c, "lirs:hir=" + text(hir) + ",history=" + text(history),
              [&](std::size_t n) { return std::make_unique<testing::NaiveLirs>(n, hir, history); });
  for (const bool aging : {false, true}) {
    expect_same(c, aging ? "lfu-aging" : "lfu-aging:aging=0",
                [&](std::size_t n) { return std::make_unique<testing::NaiveAgingLfu>(n, aging); });
  }
  const double lambda = testing::drawn(rc::gen::element(0.0, 0.1, 0.5, 1.0));
  expect_same(c, "lrfu:lambda=" + text(lambda),
              [&](std::size_t n) { return std::make_unique<testing::NaiveLrfu>(n, lambda); });
  const auto buckets = testing::drawn(rc::gen::inRange(2u, 6u));
  const auto width = testing::drawn(rc::gen::inRange(1u, 4u));
  expect_same(c, "bucketed-lru:buckets=" + std::to_string(buckets) + ",width=" + std::to_string(width),
              [&](std::size_t n) { return std::make_unique<testing::NaiveBucketedLru>(n, buckets, width); });
}

RC_GTEST_PROP(League, HiSparseIsItsKernel, ()) {
  LeagueCase c;
  c.spec.options.start = Start::kRecent;
  const Instance instance = c.instance();
  const NearSets sets = c.run("hisparse", instance);
  const std::size_t slots = c.places() - 1;
  const Segment all = testing::all_records(c.trace());
  std::vector<testing::NaiveHiSparse> naive(c.shape.layers, testing::NaiveHiSparse(slots));
  std::size_t i = 0;
  for (std::uint32_t step = 0; step < c.shape.steps; ++step) {
    for (std::uint32_t layer = 0; layer < c.shape.layers; ++layer, ++i) {
      const Ids reads = ids_of(all.view(step, layer).reads);
      if (step == 0) {
        // The prompt's newest blocks in order, less the oldest not read if they fill the place of the newest block too.
        Ids initial(sets.start[layer].begin(), sets.start[layer].end());
        if (initial.size() > slots) {
          const auto unread =
              std::find_if(initial.begin(), initial.end(), [&](Id id) { return !testing::contains(reads, id); });
          initial.erase(unread == initial.end() ? initial.end() - 1 : unread);
        }
        for (std::size_t slot = 0; slot < initial.size(); ++slot) {
          naive[layer].put(slot, initial[slot]);
        }
      }
      naive[layer].step(c.shape.prompt_tokens + step + 1, reads);
      RC_ASSERT(sets.after[i] == naive[layer].near());
    }
  }
}

/// If a request has more blocks than slots and not more reads than slots, all that a step read is near after it, but
/// for the block written.
RC_GTEST_PROP(League, HiSparseKeepsWhatWasRead, ()) {
  const LeagueCase c;
  RC_PRE(c.places() > c.shape.reads);
  const Instance instance = c.instance();
  const NearSets sets = c.run("hisparse", instance);
  const Segment all = testing::all_records(c.trace());
  std::size_t i = 0;
  for (std::uint32_t step = 0; step < c.shape.steps; ++step) {
    for (std::uint32_t layer = 0; layer < c.shape.layers; ++layer, ++i) {
      RC_ASSERT(sets.after[i].size() < c.places());
      for (const Id id : ids_of(all.view(step, layer).reads)) {
        RC_ASSERT(sets.after[i].count(id) == 1u || id == c.shape.prompt_tokens + step);
      }
    }
  }
}

/// Blocks by what is known of them: the step that told it, then read without being ranked, then by rank.
RC_GTEST_PROP(League, ScoreRankKeepsWhatIsRankedHighest, ()) {
  LeagueCase c(true);
  const double depth = testing::drawn(rc::gen::element(1.0, 1.5, 4.0));
  const Instance instance = c.instance();
  const NearSets sets = c.run("score-rank:depth=" + rc::toString(depth), instance);
  const Segment all = testing::all_records(c.trace());
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t>;  // step, unranked, order
  std::vector<std::map<Id, Key>> known(c.shape.layers);
  for (std::uint32_t layer = 0; layer < c.shape.layers; ++layer) {
    for (const Id id : sets.start[layer]) {
      known[layer][id] = {-1, 0, id};
    }
  }
  std::size_t i = 0;
  for (std::uint32_t step = 0; step < c.shape.steps; ++step) {
    for (std::uint32_t layer = 0; layer < c.shape.layers; ++layer, ++i) {
      std::map<Id, Key>& near = known[layer];
      const StepView record = all.view(step, layer);
      std::set<Id> before;
      for (const auto& [id, key] : near) {
        before.insert(id);
      }
      const Uses uses = uses_of(record, before);
      std::int64_t order = 0;
      for (const Ids& ids : {uses.hits, uses.entering}) {
        for (const Id id : ids) {
          near[id] = {step, 1, ++order};
        }
      }
      const auto told = std::min(record.ranking.size(),
                                 static_cast<std::size_t>(std::ceil(depth * static_cast<double>(record.reads.size()))));
      for (std::size_t rank = 0; rank < told; ++rank) {
        const auto ranked = near.find(record.ranking[rank].value());
        if (ranked != near.end()) {
          ranked->second = {step, 0, -static_cast<std::int64_t>(rank)};
        }
      }
      while (near.size() > c.places()) {
        near.erase(std::min_element(near.begin(), near.end(),
                                    [](const auto& a, const auto& b) { return a.second < b.second; }));
      }
      std::set<Id> after;
      for (const auto& [id, key] : near) {
        after.insert(id);
      }
      RC_ASSERT(sets.after[i] == after);
    }
  }
}

/// One buffer for all layers: the layer with the fewest uses per distinct block gives up its least recently used one.
RC_GTEST_PROP(League, LayerImportanceTakesFromTheLeastImportant, ()) {
  const LeagueCase c;
  const Instance instance = c.instance();
  const NearSets sets = c.run("layer-importance", instance);
  const std::size_t places = static_cast<std::size_t>(instance.capacity().value() / 1000);
  std::vector<Ids> near(c.shape.layers);  // least recently used first
  std::vector<std::set<Id>> seen(c.shape.layers);
  std::vector<double> uses(c.shape.layers);
  std::size_t held = 0;
  const auto use = [&](std::uint32_t layer, Id id) {
    near[layer].push_back(id);
    seen[layer].insert(id);
    uses[layer] += 1;
  };
  for (std::uint32_t layer = 0; layer < c.shape.layers; ++layer) {
    for (const Id id : sets.start[layer]) {
      use(layer, id);
      ++held;
    }
  }
  const Segment all = testing::all_records(c.trace());
  std::vector<std::pair<double, std::uint32_t>> ranked(c.shape.layers);
  std::size_t i = 0;
  for (std::uint32_t step = 0; step < c.shape.steps; ++step) {
    for (std::uint32_t layer = 0; layer < c.shape.layers; ++layer) {
      ranked[layer] = {step == 0 || seen[layer].empty() ? 0 : uses[layer] / static_cast<double>(seen[layer].size()),
                       layer};
    }
    std::sort(ranked.begin(), ranked.end());
    for (std::uint32_t layer = 0; layer < c.shape.layers; ++layer, ++i) {
      const Uses now = uses_of(all.view(step, layer), std::set<Id>(near[layer].begin(), near[layer].end()));
      for (const Id id : now.hits) {
        testing::take_out(near[layer], id);
        use(layer, id);
      }
      for (const Id id : now.entering) {
        if (held == places) {
          const auto least =
              std::find_if(ranked.begin(), ranked.end(), [&](const auto& r) { return !near[r.second].empty(); });
          testing::take_first(near[least->second]);
          --held;
        }
        use(layer, id);
        ++held;
      }
      RC_ASSERT(sets.after[i] == std::set<Id>(near[layer].begin(), near[layer].end()));
    }
  }
}

RC_GTEST_PROP(League, PrefetchOfNothingIsLru, ()) {
  const LeagueCase c;
  const Instance instance = c.instance();
  RC_ASSERT(c.run("layer-prefetch:limit=0", instance).after == c.run("lru", instance).after);
}

/// What comes in ahead was read by the layer before in this step, and is not more than the limit.
RC_GTEST_PROP(League, PrefetchTakesWhatTheLayerBeforeRead, ()) {
  const LeagueCase c;
  const auto limit = testing::drawn(rc::gen::inRange(0u, 5u));
  const Instance instance = c.instance();
  const NearSets sets = c.run("layer-prefetch:limit=" + std::to_string(limit), instance);
  const Segment all = testing::all_records(c.trace());
  for (std::size_t i = 0; i < sets.decisions.size(); ++i) {
    const auto step = static_cast<std::uint32_t>(i / c.shape.layers);
    const auto layer = static_cast<std::uint32_t>(i % c.shape.layers);
    const Ids reads = ids_of(all.view(step, layer).reads);
    std::size_t ahead = 0;
    for (const BlockIndex block : sets.decisions[i].promote) {
      const std::uint32_t of = instance.layer_of(block).value();
      RC_ASSERT(of == layer || of == layer + 1);
      if (of == layer + 1) {
        ++ahead;
        RC_ASSERT(testing::contains(reads, instance.id_of(block).value()));
      }
    }
    RC_ASSERT(ahead <= limit);
  }
}

RC_GTEST_PROP(League, WarmStartFillsWithTheBestCandidates, ()) {
  LeagueCase c(true);
  const Instance instance = c.instance();
  const NearSets sets = c.run("lru-warm", instance);
  const Segment all = testing::all_records(c.trace());
  for (std::uint32_t layer = 0; layer < c.shape.layers; ++layer) {
    const StepView record = all.view(0, layer);
    const Uses uses = uses_of(record, sets.start[layer]);
    // Hits and what enters come before all; then the ranking.
    std::set<Id> wanted(uses.hits.begin(), uses.hits.end());
    wanted.insert(uses.entering.begin(), uses.entering.end());
    if (wanted.size() > c.places()) {
      continue;
    }
    for (const BlockId id : record.ranking) {
      if (wanted.size() < c.places()) {
        wanted.insert(id.value());
      }
    }
    RC_ASSERT(std::includes(sets.after[layer].begin(), sets.after[layer].end(), wanted.begin(), wanted.end()));
  }
}

/// Chosen by position and layer alone: nothing enters that is not, and what entered stays.
RC_GTEST_PROP(League, PlacedBlocksStay, ()) {
  const LeagueCase c;
  const Instance instance = c.instance();
  const double share = testing::drawn(rc::gen::element(0.25, 0.5, 0.75, 1.0));
  const std::string text = "share=" + rc::toString(share);
  const std::map<std::string, std::function<bool(std::uint32_t, Id)>> rules{
      {"static-ratio:" + text,
       [&](std::uint32_t, Id id) { return std::floor((id + 1) * share) > std::floor(id * share); }},
      {"token-ratio:group=8," + text, [&](std::uint32_t, Id id) { return id % 8 < 8 * share; }},
      {"layer-split:" + text, [&](std::uint32_t layer, Id) { return layer < share * c.shape.layers; }},
      {"static-oldest", [&](std::uint32_t, Id id) { return id < c.places(); }}};
  for (const auto& [policy, chosen] : rules) {
    RC_LOG() << policy;
    ReplayResult result;
    const NearSets sets = c.run(policy, instance, &result);
    std::uint64_t guests = 0;
    for (std::uint32_t layer = 0; layer < c.shape.layers; ++layer) {
      for (const Id id : sets.start[layer]) {
        guests += chosen(layer, id) ? 0u : 1u;
      }
    }
    RC_ASSERT(result.evictions <= guests);
    for (const Decision& decision : sets.decisions) {
      for (const BlockIndex block : decision.promote) {
        RC_ASSERT(chosen(instance.layer_of(block).value(), instance.id_of(block).value()));
      }
      for (const BlockIndex block : decision.evict) {
        RC_ASSERT(!chosen(instance.layer_of(block).value(), instance.id_of(block).value()));
      }
    }
  }
}

/// Only blocks unread for the window leave, only new blocks enter; above the threshold none unread for it stays.
RC_GTEST_PROP(League, UnreadBlocksLeave, ()) {
  const LeagueCase c;
  const auto window = testing::drawn(rc::gen::inRange(1u, 8u));
  const Instance instance = c.instance();
  const std::string policy =
      window == 1 ? "skipped-token:threshold=0.5" : "past-window:threshold=0.5,window=" + std::to_string(window);
  const NearSets sets = c.run(policy, instance);
  const Segment all = testing::all_records(c.trace());
  std::int64_t near = 0;
  std::map<BlockIndex, std::int64_t> read_in;
  for (const std::set<Id>& layer : sets.start) {
    near += static_cast<std::int64_t>(layer.size());
  }
  for (std::size_t i = 0; i < sets.decisions.size(); ++i) {
    const auto step = static_cast<std::int64_t>(i / c.shape.layers);
    const LayerIndex layer(static_cast<std::uint32_t>(i % c.shape.layers));
    const StepView record = all.view(static_cast<std::uint32_t>(step), layer.value());
    for (const BlockId id : record.reads) {
      read_in[instance.index(layer, id)] = step;
    }
    const auto unread = [&](BlockIndex block) {
      const auto found = read_in.find(block);
      return found == read_in.end() ? step + 1 : step - found->second;
    };
    for (const BlockIndex block : sets.decisions[i].promote) {
      RC_ASSERT(instance.id_of(block) == record.appended.front());
    }
    for (const BlockIndex block : sets.decisions[i].evict) {
      RC_ASSERT(unread(block) >= window);
    }
    near += static_cast<std::int64_t>(sets.decisions[i].promote.size());
    near -= static_cast<std::int64_t>(sets.decisions[i].evict.size());
    if (Bytes(1000 * near * 2) > instance.capacity()) {
      for (const Id id : sets.after[i]) {
        const bool born_now = BlockId(id) == record.appended.front();
        RC_ASSERT(born_now || unread(instance.index(layer, BlockId(id))) < window);
      }
    }
  }
}

/// Told right and with room for two decode steps' reads, look-ahead reads nothing from far but in the first decode
/// step.
RC_GTEST_PROP(League, LookAheadWithRoomHasNoMisses, ()) {
  LeagueCase c;
  c.spec.options.near_blocks_per_layer = 2 * (c.shape.reads + 1);
  const Instance instance = c.instance();
  ReplayResult result;
  const NearSets sets = c.run("look-ahead", instance, &result);
  std::uint64_t first_misses = 0;
  const Segment all = testing::all_records(c.trace());
  for (std::uint32_t layer = 0; layer < c.shape.layers; ++layer) {
    for (const Id id : uses_of(all.view(0, layer), sets.start[layer]).entering) {
      first_misses += id == c.shape.prompt_tokens ? 0u : 1u;
    }
  }
  RC_ASSERT(result.far_reads == first_misses);
}

}  // namespace
}  // namespace kvplace
