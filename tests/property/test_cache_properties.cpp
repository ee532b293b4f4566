// The cache in two memories: what it computes is bit for bit that of one memory, whatever is near, moves and arrives
// when; its decisions are those of the replay; no frame is in two hands.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>

#include "kvplace/simulate/compare.h"
#include "support/cache_run.h"
#include "support/page_history.h"
#include "support/random_instance.h"
#include "support/shuffled_memory.h"

namespace kvplace {
namespace {

struct CacheCase {
  TieredCacheOptions options;
  std::uint32_t steps = 1;
  std::uint32_t prompt = 0;
  std::uint32_t alignment = 64;
  std::uint32_t seed = 0;
};

CacheCase drawn_cache() {
  testing::RandomCase random = testing::drawn_case({});
  CacheCase drawn;
  TieredCacheOptions& options = drawn.options;
  options.shape.kv_heads = random.one_of({1U, 2U});
  options.shape.query_heads = options.shape.kv_heads * random.one_of({1U, 3U});
  options.shape.head_dim = random.one_of({16U, 32U});
  options.shape.page_tokens = random.one_of({16U, 16U, 32U, 128U});
  options.shape.type = random.one_of({KvType::kFloat32, KvType::kBfloat16, KvType::kFloat16});
  options.layers = 1 + random.below(3);
  options.requests = 1 + random.below(3);
  drawn.steps = 1 + random.below(20);
  drawn.prompt = random.below(12) * options.shape.page_tokens;
  options.most_tokens = drawn.prompt + 2 * options.shape.page_tokens * drawn.steps + 1;
  options.near_pages_capacity = options.shape.page_bytes() * std::int64_t{random.below(40)};
  options.staging_pages = options.shape.pages_per_group() + random.below(40);
  options.mode = random.one_of({Mode::kInclusive, Mode::kExclusive});
  options.copies = random.one_of({Copies::kStep, Copies::kBackground});
  options.barrier = random.one_of({Barrier::kLayer, Barrier::kToken});
  options.threads = random.one_of({1U, 1U, 2U});
  options.hardware = testing::paper_machine();
  drawn.alignment = random.one_of({64U, 4096U});
  drawn.seed = random.below(1U << 30);
  return drawn;
}

/// Runs the case; requests grow by different numbers of tokens.
std::string run_case(const CacheCase& drawn, TieredCache& cache, testing::RandomDecisions* decisions = nullptr,
                     bool one_token = false) {
  testing::CacheRun run(drawn.options, drawn.seed);
  run.decisions = decisions;
  std::mt19937 random(drawn.seed);
  std::uint32_t pages = drawn.prompt / drawn.options.shape.page_tokens;
  for (std::uint32_t step = 0; step < drawn.steps; ++step) {
    std::vector<std::uint32_t> new_tokens;
    for (std::uint32_t request = 0; request < drawn.options.requests; ++request) {
      const std::uint32_t most = pages > 0 && step < pages ? drawn.options.shape.page_tokens : 2;
      new_tokens.push_back(one_token ? 1 : static_cast<std::uint32_t>(random() % (most + 1)));
    }
    if (std::string wrong = run.step(cache, new_tokens, random() % 3 == 0); !wrong.empty()) {
      return "step " + std::to_string(step) + ": " + wrong;
    }
  }
  return {};
}

std::unique_ptr<testing::ShuffledMemory> shuffled(const CacheCase& drawn) {
  return std::make_unique<testing::ShuffledMemory>(TieredCache::far_capacity(drawn.options, drawn.alignment),
                                                   drawn.alignment, drawn.seed);
}

RC_GTEST_PROP(CacheProperties, TwoMemoriesGiveTheBitsOfOneUnderRandomPlacements, ()) {
  CacheCase drawn = drawn_cache();
  const std::uint32_t pages =
      (drawn.options.most_tokens + drawn.options.shape.page_tokens - 1) / drawn.options.shape.page_tokens;
  const Bytes page = drawn.options.shape.page_bytes();
  testing::RandomDecisions decisions(pages * drawn.options.requests, drawn.options.layers,
                                     static_cast<std::size_t>(drawn.options.near_pages_capacity.value() / page.value()),
                                     drawn.seed);
  testing::PageHistory history;
  drawn.options.decisions = &decisions;
  drawn.options.watch = &history;
  TieredCache cache = TieredCache::make(drawn.options, shuffled(drawn)).value();
  RC_ASSERT(run_case(drawn, cache, &decisions) == "");
  RC_ASSERT(history.broken() == "");
  RC_ASSERT(cache.settle());
  RC_ASSERT(history.num_in_use() == 0U);
}

RC_GTEST_PROP(CacheProperties, TwoMemoriesGiveTheBitsOfOneUnderEveryPolicyThatRuns, ()) {
  CacheCase drawn = drawn_cache();
  std::size_t ran = 0;
  for (const PolicyInfo& info : PolicyRegistry::instance().policies()) {
    RC_LOG() << info.name;
    testing::PageHistory history;
    drawn.options.policy = PolicyRegistry::instance().parse(info.name).value();
    drawn.options.watch = &history;
    Result<TieredCache> cache = TieredCache::make(drawn.options, shuffled(drawn));
    const bool knows_enough = info.information == Information::kCausal ||
                              (info.information == Information::kRanked && !info.requires_ranking);
    RC_ASSERT(cache.has_value() == knows_enough);
    if (!cache) {
      RC_ASSERT(cache.error().kind == ErrorKind::kBadInput);
      continue;
    }
    RC_ASSERT(run_case(drawn, *cache) == "");
    RC_ASSERT(history.broken() == "");
    ++ran;
  }
  RC_ASSERT(ran > 10U);
}

/// The trace of what a cache read.
class RecordedSteps final : public CacheObserver {
 public:
  explicit RecordedSteps(std::uint32_t layers) : segment(StepIndex(0), layers) {}
  Status on_step(const StepView& record, const Decision& decision) override {
    segment.add(record.reads, record.appended, {}, {});
    decisions.push_back(decision);
    return {};
  }

  Segment segment;
  std::vector<Decision> decisions;
};

class Replayed final : public DecisionObserver {
 public:
  Status on_start(std::span<const BlockIndex>) override { return {}; }
  Status on_step(StepIndex, LayerIndex, const Decision& decision) override {
    decisions.push_back(decision);
    return {};
  }
  std::vector<Decision> decisions;
};

/// By (layer, id): the trace has fewer blocks than the cache was made for.
std::vector<std::pair<std::uint32_t, std::uint32_t>> named(const std::vector<BlockIndex>& blocks,
                                                           std::uint32_t per_layer) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> names;
  for (const BlockIndex block : blocks) {
    names.emplace_back(block.value() / per_layer, block.value() % per_layer);
  }
  return names;
}

RC_GTEST_PROP(CacheProperties, DecidesAsTheReplayOfWhatItRead, ()) {
  CacheCase drawn = drawn_cache();
  drawn.options.requests = 1;
  drawn.steps = 40;
  drawn.options.most_tokens = 80;
  const testing::TempDir folder;
  for (const char* policy : {"kvplace", "lru", "clock", "static", "s3-fifo", "layer-importance"}) {
    RC_LOG() << policy;
    RecordedSteps recorded(drawn.options.layers);
    drawn.options.policy = PolicyRegistry::instance().parse(policy).value();
    drawn.options.observer = &recorded;
    TieredCache cache = TieredCache::make(drawn.options, shuffled(drawn)).value();
    RC_ASSERT(run_case(drawn, cache, nullptr, true) == "");

    TraceMeta meta;
    meta.layers = drawn.options.layers;
    meta.layout = {0, 1, drawn.options.shape.page_tokens, 0};
    meta.source = "cache";
    const TraceReader trace =
        TraceReader::open(testing::write_trace(folder.path("t.kvt"), meta, recorded.segment)).value();
    InstanceSpec spec;
    spec.hardware = drawn.options.hardware;
    spec.options.near_capacity = drawn.options.near_pages_capacity;
    spec.options.mode = drawn.options.mode;
    spec.options.barrier = drawn.options.barrier;
    spec.options.copies = drawn.options.copies;
    spec.options.start = Start::kEmpty;
    spec.options.block_bytes = drawn.options.shape.page_bytes();
    const Instance instance = Instance::make(spec, trace.meta(), trace.totals()).value();
    Replayed replayed;
    const ReplayJob job{&instance, drawn.options.policy, nullptr, &replayed};
    const ReplayResult result = replay(trace, std::span(&job, 1), {}).value().front();

    const std::uint32_t per_layer =
        (drawn.options.most_tokens + drawn.options.shape.page_tokens - 1) / drawn.options.shape.page_tokens;
    RC_ASSERT(replayed.decisions.size() == recorded.decisions.size());
    for (std::size_t i = 0; i < replayed.decisions.size(); ++i) {
      RC_ASSERT(named(replayed.decisions[i].promote, instance.blocks_per_layer()) ==
                named(recorded.decisions[i].promote, per_layer));
      RC_ASSERT(named(replayed.decisions[i].evict, instance.blocks_per_layer()) ==
                named(recorded.decisions[i].evict, per_layer));
    }
    RC_ASSERT(cache.predicted().far_reads == result.far_reads);
    RC_ASSERT(cache.predicted().total == result.total);
  }
}

/// A device that fails in mid-step: an error, the same ever after, and nothing wrong before it.
RC_GTEST_PROP(CacheProperties, AFailedDeviceIsAnErrorAndNoWrongResult, ()) {
  CacheCase drawn = drawn_cache();
  drawn.options.near_pages_capacity = Bytes(0);
  drawn.steps = 30;
  drawn.options.most_tokens = 2 * drawn.options.shape.page_tokens * drawn.steps;
  drawn.options.policy = PolicyRegistry::instance().parse("lru").value();
  std::unique_ptr<testing::ShuffledMemory> far = shuffled(drawn);
  far->fail_after(testing::drawn(rc::gen::inRange<std::size_t>(0, 60)));
  TieredCache cache = TieredCache::make(drawn.options, std::move(far)).value();
  const std::string wrong = run_case(drawn, cache);
  if (wrong != "") {
    RC_LOG() << wrong;
    RC_ASSERT(wrong.find("the device is gone") != std::string::npos);
    const Status again = cache.attend(LayerIndex(0), {}, {}, {});
    RC_ASSERT(!again.has_value());
    RC_ASSERT(again.error().message == "shuffled: the device is gone");
  }
}

}  // namespace
}  // namespace kvplace
