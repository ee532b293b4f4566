// Sizing against a full grid of replays on small instances.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "kvplace/simulate/compare.h"
#include "kvplace/size/size.h"
#include "kvplace/solve/bound.h"
#include "size/bracket.h"
#include "support/paper_machine.h"
#include "support/random_instance.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

// RC_ASSERT evaluates both sides of || and && unless they stand in brackets of their own.

namespace kvplace {
namespace {

using testing::drawn;

/// Threads take longer to start than these instances take.
RunContext one_thread() {
  RunContext context;
  context.threads = 1;
  return context;
}

RC_GTEST_PROP(Bracket, FindsTheLeastOfAMonotoneRow, ()) {
  Bracket::Range range;
  range.least = static_cast<std::int64_t>(drawn(rc::gen::inRange(-20, 20)));
  range.most = range.least + drawn(rc::gen::inRange(0, 60));
  range.from = drawn(rc::gen::element(Bracket::From::kEnds, Bracket::From::kLeast, Bracket::From::kFirst));
  range.first = range.least + drawn(rc::gen::inRange<std::int64_t>(0, range.most - range.least + 1));
  range.stride = drawn(rc::gen::inRange(1, 10));
  const std::int64_t first = range.least + drawn(rc::gen::inRange(0, 62));  // may be behind the end: none reaches
  const double power = drawn(rc::gen::element(0.3, 1.0, 4.0));
  const auto any = [&] { return range.least + drawn(rc::gen::inRange(-2, 64)); };
  Bracket bracket(range);
  if (first <= range.most && drawn(rc::gen::arbitrary<bool>())) {
    bracket.know_reaches(std::min(range.most, first + drawn(rc::gen::inRange(0, 10))));
  }
  std::vector<std::int64_t> tried;
  while (const auto number = bracket.next()) {
    RC_ASSERT(*number >= range.least);
    RC_ASSERT(*number <= range.most);
    RC_ASSERT(std::find(tried.begin(), tried.end(), *number) == tried.end());
    tried.push_back(*number);
    const auto off = static_cast<double>(first - *number);
    bracket.tell(*number, *number >= first, std::copysign(std::pow(std::abs(off), power), off));
    if (drawn(rc::gen::arbitrary<bool>())) {
      bracket.know_fails(std::min(any(), first - 1));
      bracket.suggest_low(any());
    }
  }
  RC_ASSERT(tried.size() < 40u);
  if (first > range.most) {
    RC_ASSERT(!bracket.reaches().has_value());
  } else {
    RC_ASSERT(bracket.reaches() == first);
    RC_ASSERT((first == range.least || bracket.fails() == first - 1));
  }
}

TEST(Bracket, TakesFewStepsOnASmoothCurve) {
  for (const double root : {12.3, 777.7, 31234.5, 99999.5}) {
    Bracket bracket({0, 100000, Bracket::From::kEnds, 0});
    int steps = 0;
    while (const auto number = bracket.next()) {
      const double excess = std::log((root + 1) / (static_cast<double>(*number) + 1));
      bracket.tell(*number, excess <= 0, excess);
      ++steps;
    }
    EXPECT_EQ(bracket.reaches(), static_cast<std::int64_t>(std::ceil(root)));
    EXPECT_LT(steps, 19) << root;  // the ends, and what bisection would take
  }
}

struct SizeCase {
  std::unique_ptr<testing::TempDir> folder;
  TraceReader trace;
  InstanceSpec spec;

  [[nodiscard]] Instance make(const InstanceSpec& changed) const {
    return Instance::make(changed, trace.meta(), trace.totals()).value();
  }
  [[nodiscard]] Seconds time(const InstanceSpec& changed, const PolicySpec& policy) const {
    const Instance instance = make(changed);
    const ReplayJob job{&instance, policy};
    return replay(trace, std::span(&job, 1), one_thread()).value().front().total;
  }
};

SizeCase random_size_case(std::uint32_t experts = 0) {
  testing::RandomCase random = testing::drawn_case({.prompt_tokens = 14});
  testing::RandomTraceShape shape = random.plain_shape();
  shape.experts = experts;
  shape.steps = 8;
  shape.block_tokens = 1;
  shape.prompt_tokens += 5;
  shape.reads = 2 + random.below(4);
  auto folder = std::make_unique<testing::TempDir>();
  TraceReader trace = TraceReader::open(testing::write_random_trace(folder->path("t.kvt"), shape)).value();
  InstanceSpec spec = random.spec(shape);
  InstanceOptions options;  // the others as they are by default
  options.start = random.one_of({Start::kRecent, Start::kEmpty});
  options.weight_bytes_per_step = spec.options.weight_bytes_per_step;
  options.near_blocks_per_layer = 1 + random.below(7);
  spec.options = options;
  return {std::move(folder), std::move(trace), std::move(spec)};
}

SizeOptions options_for(const SizeCase& c, const std::string& policy, Find find) {
  SizeOptions options;
  options.find = find;
  options.tolerance = 1e-6;
  options.policies = {PolicyRegistry::instance().parse(policy).value()};
  // A target between what is slow and what is fast, so that both sides of it are there.
  const Instance instance = c.make(c.spec);
  const Bounds bounds = compare(c.trace, instance, {}, one_thread()).value().bounds;
  const double all_near = static_cast<double>(instance.steps()) / bounds.all_near.value();
  const double share = drawn(rc::gen::element(0.3, 0.6, 0.8, 0.9, 1.0));
  options.target = drawn(rc::gen::inRange(0, 2)) == 0
                       ? SizeTarget{SizeTarget::Kind::kShareOfAllNear, share}
                       : SizeTarget{SizeTarget::Kind::kTokensPerSecond, share * all_near};
  return options;
}

/// The same definition, by a grid: time at most the target's.
bool reaches(const SizeCase& c, const InstanceSpec& changed, Seconds total, const SizeTarget& target,
             Seconds all_near) {
  const double tokens = static_cast<double>(c.trace.totals().steps) * changed.options.batch;
  return target.kind == SizeTarget::Kind::kTokensPerSecond ? total.value() <= tokens / target.value
                                                           : total.value() <= all_near.value() / target.value;
}

RC_GTEST_PROP(Size, BufferAgainstAllReplays, ()) {
  const SizeCase c = random_size_case();
  const std::string policy = drawn(rc::gen::element<std::string>("lru", "belady", "fifo"));
  const SizeOptions options = options_for(c, policy, Find::kBuffer);
  const Instance instance = c.make(c.spec);
  const SizeResult result = find_size(c.trace, instance, options, one_thread()).value();
  const Seconds all_near = compare(c.trace, instance, {}, one_thread()).value().bounds.all_near;
  std::vector<bool> grid;
  for (std::uint32_t blocks = 0; blocks <= instance.blocks_per_layer(); ++blocks) {
    InstanceSpec changed = c.spec;
    changed.options.near_blocks_per_layer = blocks;
    grid.push_back(reaches(c, changed, c.time(changed, options.policies.front()), options.target, all_near));
  }
  const SizeAnswer& answer = result.answers.front();
  RC_ASSERT(answer.answer.has_value() == grid.back());
  if (!answer.answer) {
    return;
  }
  const auto found = static_cast<std::size_t>(answer.answer->value);
  RC_ASSERT(grid[found]);
  RC_ASSERT((found == 0 || !grid[found - 1]));
  const auto first = static_cast<std::size_t>(std::find(grid.begin(), grid.end(), true) - grid.begin());
  if (std::find(grid.begin() + static_cast<std::ptrdiff_t>(first), grid.end(), false) == grid.end()) {
    RC_ASSERT(found == first);  // monotone: the least of all
  }
  for (const SizeProbe& probe : answer.probes) {
    RC_ASSERT(probe.reached == grid[static_cast<std::size_t>(probe.value)]);
  }
}

RC_GTEST_PROP(Size, NearCapacityAgainstAllReplays, ()) {
  const SizeCase c = random_size_case();
  const SizeOptions options = options_for(c, "belady-global", Find::kNearCapacity);
  const Instance instance = c.make(c.spec);
  const SizeResult result = find_size(c.trace, instance, options, one_thread()).value();
  const Seconds all_near = compare(c.trace, instance, {}, one_thread()).value().bounds.all_near;
  const std::int64_t block = instance.kv_block_bytes(LayerIndex(0)).value();
  const std::int64_t all = std::int64_t{instance.blocks_per_layer()} * instance.layers();
  const auto reached = [&](std::int64_t blocks) {
    InstanceSpec changed = c.spec;
    changed.options.near_blocks_per_layer.reset();
    changed.options.near_capacity = Bytes(blocks * block);
    return reaches(c, changed, c.time(changed, options.policies.front()), options.target, all_near);
  };
  const SizeAnswer& answer = result.answers.front();
  RC_ASSERT(answer.answer.has_value() == reached(all));
  // No policy, so neither this one, reaches the target with less than the bound's answer.
  const SizeAnswer& bound = result.answers.back();
  RC_ASSERT(bound.certified);
  const std::int64_t proven = bound.answer ? bound.answer->near_bytes / block : all + 1;
  for (std::int64_t blocks = 0; blocks < proven; ++blocks) {
    RC_ASSERT(!reached(blocks));
  }
  if (answer.answer) {
    RC_ASSERT(answer.answer->near_bytes / block >= proven);
    RC_ASSERT(reached(answer.answer->near_bytes / block));
    RC_ASSERT((!answer.neighbour || !reached(answer.neighbour->near_bytes / block)));
  }
}

/// What competes for near memory are KV and experts: with all of them near nothing is read over the link but what no
/// placement spares, and what the bound excludes there no policy reaches anywhere.
RC_GTEST_PROP(Size, ExpertsAgainstAllReplays, ()) {
  const SizeCase c = random_size_case(drawn(rc::gen::inRange(1u, 5u)));
  const Find find = drawn(rc::gen::element(Find::kNearCapacity, Find::kBuffer));
  SizeOptions options = options_for(c, "lru", find);
  options.target.value *= drawn(rc::gen::element(0.5, 1.0, 1.3));
  const Instance instance = c.make(c.spec);
  const SizeResult result = find_size(c.trace, instance, options, one_thread()).value();
  const Seconds all_near = compare(c.trace, instance, {}, one_thread()).value().bounds.all_near;
  InstanceSpec everything = c.spec;
  everything.options.near_blocks_per_layer.reset();
  everything.options.near_fraction = 1;
  const std::int64_t all = c.make(everything).capacity().value();
  const std::int64_t unit = find == Find::kBuffer ? 1000ll * instance.layers() : 1000;
  const std::int64_t most = (all + unit - 1) / unit;
  const auto reached = [&](std::int64_t units, const PolicySpec& policy) {
    InstanceSpec changed = c.spec;
    changed.options.near_blocks_per_layer.reset();
    changed.options.near_capacity = Bytes(units * unit);
    return reaches(c, changed, c.time(changed, policy), options.target, all_near);
  };
  RC_ASSERT(result.range->end == RangeEnd::kEverythingNear);
  RC_ASSERT(result.range->most == static_cast<double>(find == Find::kBuffer ? most : most * unit));
  const SizeAnswer& answer = result.answers.front();
  RC_ASSERT(answer.answer.has_value() == reached(most, options.policies.front()));
  if (answer.answer) {
    RC_ASSERT(reached(answer.answer->near_bytes / unit, options.policies.front()));
    RC_ASSERT((!answer.neighbour || !reached(answer.neighbour->near_bytes / unit, options.policies.front())));
  }
  const SizeAnswer& bound = result.answers.back();
  RC_ASSERT((bound.answer || bound.neighbour));
  RC_ASSERT((bound.answer || bound.neighbour->near_bytes >= all));  // "no policy": with everything near
  RC_ASSERT((!answer.answer || bound.answer));
  for (const char* name : {"lru", "belady", "belady-global"}) {
    const PolicySpec policy = PolicyRegistry::instance().parse(name).value();
    const std::int64_t proven = bound.answer ? bound.answer->near_bytes / unit : most + 1;
    for (std::int64_t units = 0; units < proven; ++units) {
      RC_ASSERT(!reached(units, policy));
    }
  }
}

/// Asks to stop when it has been told of progress so many times.
class StopAfter final : public Progress {
 public:
  StopAfter(Interrupt& interrupt, int updates) : interrupt_(interrupt), left_(updates) {}
  void start(std::string_view, std::uint64_t total, std::string_view) override { total_ = total; }
  void update(std::uint64_t done) override {
    RC_ASSERT((done >= done_ && done <= total_));
    done_ = done;
    if (left_-- == 0) {
      interrupt_.request();
    }
  }
  void finish() override {}

 private:
  Interrupt& interrupt_;
  int left_;
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
};

RC_GTEST_PROP(Size, WhereverItIsStoppedItsBracketsHold, ()) {
  const SizeCase c = random_size_case();
  SizeOptions options = options_for(c, "lru", drawn(rc::gen::element(Find::kNearCapacity, Find::kLink)));
  const Instance instance = c.make(c.spec);
  const SizeResult whole = find_size(c.trace, instance, options, one_thread()).value();
  RC_ASSERT(whole.status == SizeStatus::kComplete);
  Interrupt interrupt;
  StopAfter progress(interrupt, drawn(rc::gen::inRange(0, 200)));
  RunContext context = one_thread();
  context.progress = &progress;
  context.interrupt = &interrupt;
  const Result<SizeResult> stopped = find_size(c.trace, instance, options, context);
  if (!stopped) {
    RC_ASSERT(stopped.error().kind == ErrorKind::kInterrupted);
    return;
  }
  RC_ASSERT((stopped->status == SizeStatus::kInterrupted || stopped->status == SizeStatus::kComplete));
  RC_ASSERT(stopped->answers.size() == whole.answers.size());
  for (std::size_t i = 0; i < whole.answers.size(); ++i) {
    const SizeAnswer& part = stopped->answers[i];
    const SizeAnswer& all = whole.answers[i];
    RC_ASSERT((!part.open || stopped->status == SizeStatus::kInterrupted));
    RC_ASSERT(part.probes.size() <= all.probes.size());
    for (const SizeProbe& probe : part.probes) {  // each was tried by the whole search as well
      RC_ASSERT(std::any_of(all.probes.begin(), all.probes.end(), [&](const SizeProbe& other) {
        return other.value == probe.value && other.total == probe.total && other.reached == probe.reached;
      }));
    }
    RC_ASSERT((!part.answer || part.answer->reached));
    RC_ASSERT((!part.neighbour || !part.neighbour->reached));
    if (!part.open) {
      RC_ASSERT(part.answer.has_value() == all.answer.has_value());
      RC_ASSERT((!part.answer || part.answer->value == all.answer->value));
    }
  }
}

TEST(Size, TimeThatIsUpAtOnceLeavesNoBracket) {
  testing::TempDir folder;
  const TraceReader trace = TraceReader::open(testing::write_random_trace(folder.path("t.kvt"), {})).value();
  InstanceSpec spec;
  spec.hardware = testing::paper_machine();
  const Instance instance = Instance::make(spec, trace.meta(), trace.totals()).value();
  SizeOptions options;
  options.policies = default_size_policies(options.find);
  options.time_limit = Seconds(1e-9);
  const Result<SizeResult> result = find_size(trace, instance, options, one_thread());
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind, ErrorKind::kInterrupted);
  EXPECT_NE(result.error().message.find("time limit"), std::string::npos) << result.error().message;
}

RC_GTEST_PROP(Size, LinkAgainstReplaysOnBothSides, ()) {
  const SizeCase c = random_size_case();
  SizeOptions options = options_for(c, drawn(rc::gen::element<std::string>("lru", "lru-global")), Find::kLink);
  options.tolerance = 0.01;
  const Instance instance = c.make(c.spec);
  const Seconds all_near = compare(c.trace, instance, {}, one_thread()).value().bounds.all_near;
  const SizeResult result = find_size(c.trace, instance, options, one_thread()).value();
  const SizeAnswer& answer = result.answers.front();
  const double given = c.spec.hardware.far.link_read.spec.value();
  const auto reached = [&](double factor) {
    InstanceSpec changed = c.spec;
    for (Rate* rate : {&changed.hardware.far.link_read, &changed.hardware.far.link_write}) {
      rate->spec = rate->spec * factor;
    }
    return reaches(c, changed, c.time(changed, options.policies.front()), options.target, all_near);
  };
  if (!answer.answer) {
    RC_ASSERT(!reached(1e6));
    return;
  }
  const double factor = answer.answer->value / given;
  RC_ASSERT(reached(factor * 1.0001));
  if (answer.neighbour) {
    RC_ASSERT(!reached(factor / 1.011));
    RC_ASSERT(answer.answer->value <= answer.neighbour->value * 1.011);
  }
  const SizeAnswer& bound = result.answers.back();
  RC_ASSERT((bound.answer && bound.answer->value <= answer.answer->value * 1.0001));
}

RC_GTEST_PROP(Size, BatchAgainstAllReplays, ()) {
  SizeCase c = random_size_case();
  c.spec.options.near_blocks_per_layer.reset();
  const std::int64_t request = 1000ll * c.trace.totals().blocks_per_layer * c.trace.meta().layers;
  c.spec.options.near_capacity = Bytes(request);  // one request is near; more share it
  c.spec.hardware.far.capacity = Bytes(request * 12);
  SizeOptions options = options_for(c, "lru", Find::kBatch);
  options.target.value *= drawn(rc::gen::element(1.0, 1.5));
  options.crossover = true;
  const Instance instance = c.make(c.spec);
  const SizeResult result = find_size(c.trace, instance, options, one_thread()).value();
  std::vector<bool> grid;
  std::vector<double> speed;
  for (std::uint32_t batch = 1; batch <= 12; ++batch) {
    InstanceSpec changed = c.spec;
    changed.options.batch = batch;
    const Seconds all_near = compare(c.trace, c.make(changed), {}, one_thread()).value().bounds.all_near;
    const Seconds total = c.time(changed, options.policies.front());
    grid.push_back(reaches(c, changed, total, options.target, all_near));
    speed.push_back(c.trace.totals().steps * batch / total.value());
  }
  RC_ASSERT((result.range->most == 12 && result.range->end == RangeEnd::kFarMemory));
  const SizeAnswer& answer = result.answers.front();
  const bool largest = options.target.kind == SizeTarget::Kind::kShareOfAllNear;
  if (answer.answer) {
    const auto batch = static_cast<std::size_t>(answer.answer->value);
    RC_ASSERT(grid[batch - 1]);
    const std::size_t next = largest ? batch : batch - 2;  // index of the neighbour
    RC_ASSERT((next >= grid.size() || !grid[next]));
  } else if (largest) {
    RC_ASSERT(!grid.front());
  } else {
    for (const std::size_t tried : {0u, 1u, 3u, 7u, 11u}) {  // by doubling
      RC_ASSERT(!grid[tried]);
    }
  }
  RC_ASSERT(result.all_near_batch == 1u);
  if (answer.crossover) {
    RC_ASSERT(speed[answer.crossover->batch - 1] > result.all_near_batch_tokens_per_second);
    RC_ASSERT((answer.crossover->batch == 2u ||
               speed[answer.crossover->batch - 2] <= result.all_near_batch_tokens_per_second));
  }
}

RC_GTEST_PROP(Size, ForACostNothingOnAFineGridIsFasterThanTheBound, ()) {
  const SizeCase c = random_size_case();
  SizeOptions options = options_for(c, "belady-global", Find::kNearCapacity);
  options.target = {SizeTarget::Kind::kCost, drawn(rc::gen::element(0.5, 1.0, 3.0))};
  options.price_near_per_gib = 1e4;
  options.price_link_per_gb_s = 1;
  options.policies.push_back(PolicyRegistry::instance().parse("lru").value());
  const Instance instance = c.make(c.spec);
  const SizeResult result = find_size(c.trace, instance, options, one_thread()).value();
  const SizeAnswer& bound = result.answers.back();
  RC_ASSERT(bound.answer.has_value());
  const auto cost_of = [&](double near, double link) {
    return near / 0x1p30 * options.price_near_per_gib + link / 1e9 * options.price_link_per_gb_s;
  };
  const std::int64_t all = 1000ll * c.trace.totals().blocks_per_layer * c.trace.meta().layers;
  for (std::size_t p = 0; p < options.policies.size(); ++p) {
    const SizeAnswer& answer = result.answers[p];
    RC_ASSERT(answer.answer.has_value());
    RC_ASSERT(cost_of(static_cast<double>(answer.answer->near_bytes), answer.answer->link_bytes_per_second) <=
              options.target.value * (1 + 1e-9));
    Seconds best(INFINITY);
    for (std::int64_t near = 0; near <= all; near += 1000) {
      const double left = options.target.value - cost_of(static_cast<double>(near), 0);
      const double factor = left * 1e9 / options.price_link_per_gb_s / c.spec.hardware.far.link_read.spec.value();
      if (factor <= 1e-6) {
        break;
      }
      InstanceSpec changed = c.spec;
      changed.options.near_blocks_per_layer.reset();
      changed.options.near_capacity = Bytes(near);
      for (Rate* rate : {&changed.hardware.far.link_read, &changed.hardware.far.link_write}) {
        rate->spec = rate->spec * factor;
      }
      best = std::min(best, c.time(changed, options.policies[p]));
    }
    RC_ASSERT(best.value() >= bound.answer->total.value() * (1 - 1e-9));
    RC_ASSERT(answer.answer->total.value() >= best.value() * (1 - 1e-9));
    RC_ASSERT(answer.answer->total.value() <= best.value() * 1.25);  // a grid of shares comes near the best
  }
}

TEST(Size, Targets) {
  for (const char* text : {"120tokens/s", "120 tokens/s", "0.5tokens/s"}) {
    EXPECT_EQ(parse_target(text).value().kind, SizeTarget::Kind::kTokensPerSecond) << text;
  }
  EXPECT_EQ(parse_target("90%").value().value, 0.9);
  EXPECT_EQ(parse_target("90% of all-near").value().kind, SizeTarget::Kind::kShareOfAllNear);
  EXPECT_EQ(parse_target("cost=500").value().value, 500);
  for (const char* text : {"", "120", "90 percent", "0%", "-5%", "tokens/s", "1e999tokens/s", "cost=", "cost=x", "500$",
                           "2000%", "90%%", "120tokens", "nan%"}) {
    ASSERT_FALSE(parse_target(text).has_value()) << text;
    EXPECT_EQ(parse_target(text).error().kind, ErrorKind::kBadInput);
  }
  EXPECT_FALSE(parse_find("links").has_value());
  EXPECT_EQ(parse_find("link").value(), Find::kLink);
}

}  // namespace
}  // namespace kvplace
