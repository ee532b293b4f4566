// Copies in the background, against numbers worked out by hand on the paper's machine; and the queue they wait in.
#include <gtest/gtest.h>

#include "kvplace/instance/background.h"
#include "simulate/copy_queue.h"
#include "support/paper_machine.h"

namespace kvplace {
namespace {

constexpr std::int64_t kKB = 1'000;
constexpr std::int64_t kMB = 1'000'000;

StepTime paper(Overlap overlap, Seconds floor = Seconds(0), Seconds overhead = Seconds(0), double interference = 0) {
  Hardware hardware = testing::paper_machine();
  hardware.interference = interference;
  return StepTime(hardware, overlap, floor, overhead);
}

/// So many bytes read from near, and new KV to both sides.
Loads demand(std::int64_t near, std::int64_t new_kv, std::int64_t read_far = 0) {
  Loads loads;
  loads.add(Transfer::kReadNear, Bytes(near), 1);
  loads.add(Transfer::kWriteNear, Bytes(new_kv), 1);
  loads.add(Transfer::kWriteFar, Bytes(new_kv), 1);
  loads.add(Transfer::kReadFar, Bytes(read_far), 1);
  return loads;
}

struct Outcome {
  Bytes copied;
  Seconds time;
  Channel bottleneck;
};

Outcome step_of(const StepTime& time, const Loads& demand, Bytes queued, std::uint32_t layers = 1) {
  const BackgroundStep step = background_step(time, demand, queued, layers);
  return {step.copied, time(step.charged, layers), time.bottleneck(step.waited_for)};
}

TEST(Background, TakesWhatDemandLeavesIdle) {
  // far.mem: 1 + x = 500 / 4900 (16.4 + x).
  const Outcome step = step_of(paper(Overlap::kFull), demand(15'400 * kKB, kMB), Bytes(2 * kMB));
  EXPECT_EQ(step.copied, Bytes(750 * kKB));
  EXPECT_NEAR(step.time.value(), 3.5e-6, 1e-18);
  EXPECT_EQ(step.bottleneck, Channel::kNearMem);
}

TEST(Background, MovesNothingWhereTheLinkIsWaitedFor) {
  const Outcome step = step_of(paper(Overlap::kFull), demand(16'400 * kKB, kMB, kMB), Bytes(kMB));
  EXPECT_EQ(step.copied, Bytes(0));
  EXPECT_NEAR(step.time.value(), 4e-6, 1e-18);
  EXPECT_EQ(step.bottleneck, Channel::kFarMem);
}

TEST(Background, FillsTheTimeOfAnotherFarChannelToTheByte) {
  // 9 MB written to far take 20 us of the link; far.mem has 10 MB of time in them, so 1 MB.
  const Outcome step = step_of(paper(Overlap::kFull), demand(0, 9 * kMB), Bytes(5 * kMB));
  EXPECT_EQ(step.copied, Bytes(kMB));
  EXPECT_NEAR(step.time.value(), 20e-6, 1e-17);
}

TEST(Background, IsNoMoreThanIsQueued) {
  const StepTime time = paper(Overlap::kFull);
  const Outcome step = step_of(time, demand(15'400 * kKB, kMB), Bytes(7));
  EXPECT_EQ(step.copied, Bytes(7));
  const Loads alone = demand(15'400 * kKB, kMB);
  EXPECT_EQ(step_of(time, alone, Bytes(0)).time, time(alone));
}

TEST(Background, TheArithmeticFloorIsIdleTimeOfTheLinkButTheOverheadIsNot) {
  // In 2 layers' floor of 5 us each far.mem moves 5 MB, less 1 MB of new KV; the link 4.5 MB.
  const StepTime time = paper(Overlap::kFull, Seconds(5e-6), Seconds(1e-3));
  const Outcome step = step_of(time, demand(0, kMB), Bytes(9 * kMB), 2);
  EXPECT_EQ(step.copied, Bytes(4 * kMB));
  EXPECT_NEAR(step.time.value(), 10e-6 + 2e-3, 1e-15);
}

TEST(Background, WithoutOverlapMovesWhileNearIsRead) {
  // link: x = 450 / 4900 (17.8 + x); near then takes 4 us, and far demand 2 MB / 450 GB/s before it.
  const Outcome step = step_of(paper(Overlap::kNone), demand(17'800 * kKB, 0, 2 * kMB), Bytes(9 * kMB));
  EXPECT_EQ(step.copied, Bytes(1'800 * kKB));
  EXPECT_NEAR(step.time.value(), 4e-6 + 2e6 / 450e9, 1e-17);
  EXPECT_EQ(step_of(paper(Overlap::kNone), demand(0, 0, kMB), Bytes(kMB)).copied, Bytes(0));
}

TEST(Background, InterferenceIsChargedForCopiesAndBuysNone) {
  const Outcome step =
      step_of(paper(Overlap::kFull, Seconds(0), Seconds(0), 0.5), demand(15'400 * kKB, kMB), Bytes(2 * kMB));
  EXPECT_EQ(step.copied, Bytes(750 * kKB));
  EXPECT_NEAR(step.time.value(), 1.5 * 3.5e-6, 1e-17);  // near.mem and far.mem take equally long
}

TEST(CopyQueue, MovesInOrderOfIssueAndForgetsWhatIsTaken) {
  CopyQueue queue(10);
  std::vector<BlockIndex> complete;
  queue.issue(BlockIndex(4), Bytes(10));
  queue.issue(BlockIndex(2), Bytes(10));
  queue.issue(BlockIndex(7), Bytes(10));
  EXPECT_EQ(queue.move(Bytes(15), complete), 2);
  EXPECT_EQ(complete, std::vector{BlockIndex(4)});
  queue.issue(BlockIndex(4), Bytes(3));
  EXPECT_EQ(queue.left(BlockIndex(7)), Bytes(10));
  queue.take(BlockIndex(7), Bytes(4));  // in the middle, in part
  queue.take(BlockIndex(7), Bytes(6));
  EXPECT_EQ(queue.queued(), Bytes(8));
  queue.take(BlockIndex(2), queue.left(BlockIndex(2)));  // the first, in part moved
  EXPECT_EQ(queue.queued(), Bytes(3));
  complete.clear();
  EXPECT_EQ(queue.move(Bytes(3), complete), 1);
  EXPECT_EQ(complete, std::vector{BlockIndex(4)});
  EXPECT_EQ(queue.queued(), Bytes(0));
}

}  // namespace
}  // namespace kvplace
