// Served batches: the table of requests against brute force, its trace through a file, and what a merge makes of single
// requests.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "kvplace/generate/merge.h"
#include "kvplace/simulate/compare.h"
#include "support/random_served.h"

namespace kvplace {
namespace {

using testing::RandomServed;

/// A page and when it is born: the decode step (-1: it is there at the start), then whether it arrives with its prompt.
struct BornPage {
  std::int64_t step = 0;
  std::int64_t order = 0;
  std::uint32_t request = 0;
  std::uint32_t page = 0;

  auto operator<=>(const BornPage&) const = default;
};

/// All pages in order of birth, each from its own definition.
std::vector<BornPage> pages_by_birth(const RandomServed& served) {
  std::vector<BornPage> pages;
  for (std::uint32_t r = 0; r < served.requests.size(); ++r) {
    const ServedRequest& request = served.requests[r];
    std::int64_t of_prompt = 0;
    while (of_prompt * served.block_tokens < request.prompt_tokens) {
      ++of_prompt;
    }
    const std::int64_t tokens = std::int64_t{request.prompt_tokens} + request.end_step - request.first_step;
    for (std::int64_t page = 0; page * served.block_tokens < tokens; ++page) {
      const std::int64_t written = page * served.block_tokens - request.prompt_tokens + request.first_step;
      const bool at_start = page < of_prompt && request.first_step == 0;
      const std::int64_t step = at_start ? -1 : page < of_prompt ? request.first_step - std::int64_t{1} : written;
      const std::int64_t order = at_start ? page - of_prompt : page < of_prompt ? 1 : 0;
      pages.push_back({step, order, r, static_cast<std::uint32_t>(page)});
    }
  }
  std::sort(pages.begin(), pages.end());
  return pages;
}

RandomServed any_served() {
  testing::RandomCase random = testing::drawn_case({});
  return testing::random_served(random);
}

RC_GTEST_PROP(Served, IdsAreGivenInOrderOfBirth, ()) {
  const RandomServed served = any_served();
  const auto table = served.table();
  const std::vector<BornPage> pages = pages_by_birth(served);
  RC_ASSERT(table->num_blocks() == served.experts + pages.size());
  for (std::size_t i = 0; i < pages.size(); ++i) {
    const BlockId id(served.experts + static_cast<std::uint32_t>(i));
    RC_ASSERT(table->request(id) == pages[i].request && table->page(id) == pages[i].page);
    RC_ASSERT(table->blocks_of(pages[i].request)[pages[i].page] == id);
  }
  const auto at_start = std::count_if(pages.begin(), pages.end(), [](const BornPage& p) { return p.step < 0; });
  RC_ASSERT(table->initial_blocks() == served.experts + static_cast<std::uint32_t>(at_start));
}

RC_GTEST_PROP(Served, EveryStepKnowsWhoRunsAndWhatThereIs, ()) {
  const RandomServed served = any_served();
  const auto table = served.table();
  const std::vector<BornPage> pages = pages_by_birth(served);
  std::uint32_t steps = 0;
  for (const ServedRequest& request : served.requests) {
    steps = std::max(steps, request.end_step);
  }
  RC_ASSERT(table->steps() == steps);
  std::uint64_t most_running = 0;
  std::uint64_t most_tokens = 0;
  std::uint64_t most_pages = 0;
  double contexts = 0;
  std::uint64_t decoded = 0;
  for (std::uint32_t step = 0; step < steps; ++step) {
    std::vector<std::uint32_t> running;
    std::vector<std::uint32_t> arriving;
    std::vector<std::uint32_t> ending;
    std::map<BlockId, std::uint32_t> appended;
    std::uint64_t context = 0;
    std::uint64_t there = 0;
    for (std::uint32_t r = 0; r < served.requests.size(); ++r) {
      const ServedRequest& request = served.requests[r];
      const bool runs = request.first_step <= step && step < request.end_step;
      const std::uint64_t before = request.prompt_tokens + (runs ? step - request.first_step : 0);
      if (runs) {
        running.push_back(r);
        context += before;
        there += before / served.block_tokens + 1;
      }
      if (request.first_step == step + 1) {
        arriving.push_back(r);
      }
      if (request.end_step == step + 1) {
        ending.push_back(r);
      }
    }
    for (std::size_t i = 0; i < pages.size(); ++i) {
      const BlockId id(served.experts + static_cast<std::uint32_t>(i));
      const ServedRequest& request = served.requests[pages[i].request];
      const bool runs = request.first_step <= step && step < request.end_step;
      const std::int64_t token = std::int64_t{request.prompt_tokens} + step - request.first_step;
      if (runs && token / served.block_tokens == pages[i].page) {
        appended[id] = 1;
      } else if (!runs && pages[i].step == step) {
        appended[id] = 0;
      }
      const bool may = runs && pages[i].step <= step;
      RC_ASSERT(table->first_unreadable(step, std::span(&id, 1)).has_value() == !may);
    }
    RC_ASSERT(std::ranges::equal(table->running(step), running));
    RC_ASSERT(std::ranges::equal(table->arriving(step), arriving));
    RC_ASSERT(std::ranges::equal(table->ending(step), ending));
    RC_ASSERT(table->context_tokens(step) == context);
    std::vector<BlockId> blocks;
    std::vector<std::uint32_t> written;
    table->appended(step, blocks, written);
    RC_ASSERT(blocks.size() == appended.size() && written.size() == appended.size());
    std::size_t i = 0;
    for (const auto& [id, tokens] : appended) {
      RC_ASSERT(blocks[i] == id && written[i] == tokens);
      ++i;
    }
    most_running = std::max<std::uint64_t>(most_running, running.size());
    most_tokens = std::max(most_tokens, context + running.size());
    most_pages = std::max(most_pages, there);
    contexts += static_cast<double>(context);
    decoded += running.size();
  }
  RC_ASSERT(table->most_running() == most_running && table->most_tokens() == most_tokens);
  RC_ASSERT(table->most_pages() == most_pages);
  RC_ASSERT(std::abs(table->mean_context() - contexts / static_cast<double>(decoded)) <= 1e-9 * (1 + contexts));
}

RC_GTEST_PROP(Served, ATraceIsReadAsItWasWritten, ()) {
  const RandomServed served = any_served();
  const testing::TempDir folder;
  const Segment segment = testing::random_segment(served);
  const TraceReader small =
      TraceReader::open(testing::write_trace(folder.path("a.kvt"), served.meta(), segment, 1)).value();
  const TraceReader large =
      TraceReader::open(testing::write_trace(folder.path("b.kvt"), served.meta(), segment, 1 << 20)).value();
  RC_ASSERT(small.totals().digest == large.totals().digest);
  RC_ASSERT(small.meta().layout.served->all() == served.requests);
  const auto table = served.table();
  const Segment read = testing::all_records(small);
  RC_ASSERT(read.num_steps() == table->steps() && small.totals().blocks_per_layer == table->num_blocks());
  std::vector<BlockId> blocks;
  std::vector<std::uint32_t> written;
  for (std::uint32_t step = 0; step < read.num_steps(); ++step) {
    table->appended(step, blocks, written);
    for (std::uint32_t layer = 0; layer < served.layers; ++layer) {
      const StepView got = read.view(step, layer);
      const StepView put = segment.view(step, layer);
      RC_ASSERT(std::ranges::equal(got.reads, put.reads) && std::ranges::equal(got.read_bytes, put.read_bytes));
      RC_ASSERT(std::ranges::equal(got.appended, blocks) && std::ranges::equal(got.written_tokens, written));
      RC_ASSERT(got.tokens.decoded == table->running(step).size() && got.tokens.verified == got.tokens.decoded);
    }
  }
}

RC_GTEST_PROP(Served, AStepReadsNothingOfRequestsThatDoNotRun, ()) {
  const RandomServed served = any_served();
  const auto table = served.table();
  const std::uint32_t step = testing::drawn(rc::gen::inRange(0u, table->steps()));
  const BlockId id(testing::drawn(rc::gen::inRange(0u, table->num_blocks())));
  const std::vector<BlockId> may = testing::readable_blocks(served, *table, step);
  const bool allowed = std::find(may.begin(), may.end(), id) != may.end();
  const testing::TempDir folder;
  TraceWriter writer = TraceWriter::create(folder.path("t.kvt"), served.meta(), {}).value();
  for (std::uint32_t at = 0; at <= step; ++at) {
    for (std::uint32_t layer = 0; layer < served.layers; ++layer) {
      StepView record;
      record.step = StepIndex(at);
      record.layer = LayerIndex(layer);
      record.reads = at == step ? std::span(&id, 1) : std::span<const BlockId>();
      const std::uint32_t whole = 0;
      record.read_bytes = served.read_bytes && at == step ? std::span(&whole, 1) : std::span<const std::uint32_t>();
      RC_ASSERT(writer.add(record).has_value() == (at < step || allowed));
      if (at == step && !allowed) {
        return;
      }
    }
  }
}

TEST(Served, TheDigestIsOfTheTableToo) {
  const testing::TempDir folder;
  const auto digest = [&](std::vector<ServedRequest> requests) {
    RandomServed served;
    served.requests = std::move(requests);
    served.block_tokens = 4;
    Segment nothing(StepIndex(0), 1);
    for (std::uint32_t step = 0; step < served.table()->steps(); ++step) {
      nothing.add({}, {}, {}, {});
    }
    return TraceReader::open(testing::write_trace(folder.path("t.kvt"), served.meta(), nothing))
        .value()
        .totals()
        .digest;
  };
  // The same pages in the same steps.
  EXPECT_NE(digest({{2, 0, 2}, {4, 0, 2}}), digest({{1, 0, 2}, {4, 0, 2}}));
  EXPECT_EQ(digest({{2, 0, 2}, {4, 0, 2}}), digest({{2, 0, 2}, {4, 0, 2}}));
}

TEST(Served, TablesThatAreNoneAreRefused) {
  const auto refused = [](std::vector<ServedRequest> requests, const std::string& words) {
    const auto made = ServedRequests::make(std::move(requests), 1, 0, true);
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().kind, ErrorKind::kBadInput);
    EXPECT_NE(made.error().message.find(words), std::string::npos) << made.error().message;
  };
  refused({}, "needs one");
  refused({{1, 2, 2}}, "one token");
  refused({{1, 3, 2}}, "one token");
  refused({{1, 0, 2}, {1, 3, 4}}, "no request runs in decode step 2");
  refused({{1, 1, 2}}, "no request runs in decode step 0");
  refused({{std::uint32_t(-1), 0, 1}}, "2^26");
  refused({{0, 0, std::uint32_t(-1)}}, "2^26");
  refused({{0, 0, 1}, {0, std::uint32_t(-2), std::uint32_t(-1)}}, "2^26");
}

InstanceSpec with_room_for_all(Mode mode, Start start) {
  InstanceSpec spec;
  spec.hardware = testing::paper_machine();
  spec.options.mode = mode;
  spec.options.start = start;
  spec.options.block_bytes = Bytes(1000);
  spec.options.weight_bytes_per_step = Bytes(0);
  spec.options.near_capacity = Bytes(std::int64_t{1} << 40);
  return spec;
}

ReplayResult replayed_alone(const TraceReader& trace, const InstanceSpec& spec, const std::string& policy) {
  const Instance instance = Instance::make(spec, trace.meta(), trace.totals()).value();
  const ReplayJob job{&instance, PolicyRegistry::instance().parse(policy).value()};
  RunContext context;
  context.threads = 1;
  return replay(trace, std::span(&job, 1), context).value().front();
}

/// With room for all, what a request does says nothing to others: a batch reads near and far what its requests read
/// by themselves. One that arrives has its prompt near, as with start `recent`, where a policy takes in what is
/// written; `reactive` takes in nothing but misses.
RC_GTEST_PROP(Served, WithRoomForAllABatchIsTheSumOfItsRequests, ()) {
  const testing::TempDir folder;
  testing::RandomCase random = testing::drawn_case({.steps = 20, .prompt_tokens = 20});
  testing::RandomTraceShape shape = random.plain_shape();
  const std::uint32_t count = 1 + random.below(4);
  std::vector<std::string> paths;
  for (std::uint32_t i = 0; i < count; ++i) {
    shape.seed = random.below(1u << 30);
    shape.steps = 1 + random.below(20);
    shape.prompt_tokens = random.below(20);
    paths.push_back(testing::write_random_trace(folder.path(std::to_string(i) + ".kvt"), shape));
  }
  MergeOptions options;
  options.slots = 1 + random.below(4);
  if (random.chance(0.5)) {
    options.arrivals.poisson_per_second = random.one_of({5.0, 20.0, 100.0});
  }
  RunContext context;
  RC_ASSERT(merge_traces(paths, folder.path("m.kvt"), options, context).has_value());
  const TraceReader merged = TraceReader::open(folder.path("m.kvt")).value();
  const auto& requests = merged.meta().layout.served->all();
  const Mode mode = random.one_of({Mode::kInclusive, Mode::kExclusive});
  for (const std::string policy :
       {"static", "lru", "lru-global", "fifo", "clock", "reactive", "belady", "belady-global"}) {
    for (const Start start : {Start::kRecent, Start::kEmpty}) {
      RC_LOG() << policy << (start == Start::kEmpty ? " empty" : " recent");
      const ReplayResult all = replayed_alone(merged, with_room_for_all(mode, start), policy);
      std::uint64_t near = 0;
      std::uint64_t far = 0;
      for (std::uint32_t i = 0; i < count; ++i) {
        const bool is_near = start == Start::kRecent && requests[i].first_step == 0;
        const bool arrives_near = requests[i].first_step > 0 && policy != std::string("reactive");
        const Start own = is_near || arrives_near ? Start::kRecent : Start::kEmpty;
        const ReplayResult one =
            replayed_alone(TraceReader::open(paths[i]).value(), with_room_for_all(mode, own), policy);
        near += one.near_reads;
        far += one.far_reads;
      }
      RC_ASSERT(all.near_reads == near && all.far_reads == far);
      RC_ASSERT(all.evictions == 0u && all.demotions == 0u);
    }
  }
}

}  // namespace
}  // namespace kvplace
