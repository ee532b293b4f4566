// The channel arithmetic in closed form, against numbers worked out by hand on the paper's machine.
#include <gtest/gtest.h>

#include "kvplace/instance/step_time.h"
#include "support/paper_machine.h"

namespace kvplace {
namespace {

constexpr std::int64_t kMB = 1'000'000;

StepTime paper(Overlap overlap = Overlap::kFull, double interference = 0) {
  Hardware hardware = testing::paper_machine();
  hardware.interference = interference;
  return StepTime(hardware, overlap, Seconds(0), Seconds(0));
}

Loads loads(std::initializer_list<std::pair<Transfer, std::int64_t>> transfers) {
  Loads sum;
  for (const auto& [transfer, bytes] : transfers) {
    sum.add(transfer, Bytes(bytes), 1);
  }
  return sum;
}

TEST(StepTime, EachTransferLoadsItsChannels) {
  const auto on = [](Transfer transfer) { return loads({{transfer, 1}}).bytes; };
  using L = std::array<std::int64_t, kNumChannels>;  // near.mem, far.link_read, far.link_write, far.mem
  EXPECT_EQ(on(Transfer::kReadNear), (L{1, 0, 0, 0}));
  EXPECT_EQ(on(Transfer::kWriteNear), (L{1, 0, 0, 0}));
  EXPECT_EQ(on(Transfer::kReadFar), (L{0, 1, 0, 1}));
  EXPECT_EQ(on(Transfer::kWriteFar), (L{0, 0, 1, 1}));
  EXPECT_EQ(on(Transfer::kPromote), (L{1, 1, 0, 1}));
  EXPECT_EQ(on(Transfer::kPromotePassive), (L{1, 0, 0, 0}));
  EXPECT_EQ(on(Transfer::kDemote), (L{1, 0, 1, 1}));
}

TEST(StepTime, TransfersAreCountedOnTheChannelsTheyLoad) {
  Loads sum;
  sum.add(Transfer::kReadNear, Bytes(500), 5);
  sum.add(Transfer::kReadFar, Bytes(200), 2);
  sum.add_promotion(Bytes(100), Bytes(60));  // passive in part
  sum.add_promotion(Bytes(100), Bytes(100));
  sum.add_promotion(Bytes(100), Bytes(0));
  using L = std::array<std::int64_t, kNumChannels>;
  EXPECT_EQ(sum.bytes, (L{800, 340, 0, 340}));
  EXPECT_EQ(sum.transfers, (L{9, 4, 0, 4}));
  EXPECT_EQ((sum * 3).transfers, (L{27, 12, 0, 12}));
  sum.add(Transfer::kReadFar, Bytes(-200), -2);
  EXPECT_EQ(sum.transfers, (L{9, 2, 0, 2}));
}

TEST(StepTime, ATransferCostsWhatTheChannelsItLoadsCost) {
  constexpr std::array<double, kNumChannels> kPrices{1, 2, 4, 8};
  EXPECT_EQ(price_of(Transfer::kReadNear, kPrices), 1);
  EXPECT_EQ(price_of(Transfer::kWriteNear, kPrices), 1);
  EXPECT_EQ(price_of(Transfer::kReadFar, kPrices), 10);
  EXPECT_EQ(price_of(Transfer::kWriteFar, kPrices), 12);
  EXPECT_EQ(price_of(Transfer::kPromote, kPrices), 11);
  EXPECT_EQ(price_of(Transfer::kPromotePassive, kPrices), 1);
  EXPECT_EQ(price_of(Transfer::kDemote, kPrices), 13);
}

TEST(StepTime, AllNearIsNearMemoryAlone) {
  // 10 MB of weights and 39 MB of KV at 4900 GB/s.
  EXPECT_DOUBLE_EQ(paper()(loads({{Transfer::kReadNear, 49 * kMB}})).value(), 10e-6);
}

TEST(StepTime, AllFarIsTheLinkOrTheMemory) {
  // The link of 450 GB/s is slower than the memory of 500 GB/s; with writes besides, the memory is.
  EXPECT_DOUBLE_EQ(paper()(loads({{Transfer::kReadFar, 9 * kMB}})).value(), 20e-6);
  EXPECT_DOUBLE_EQ(paper()(loads({{Transfer::kReadFar, 9 * kMB}, {Transfer::kWriteFar, 6 * kMB}})).value(), 30e-6);
}

TEST(StepTime, PassivePromotionLoadsOnlyNearMemory) {
  const Loads read = loads({{Transfer::kReadNear, 40 * kMB}, {Transfer::kReadFar, 3 * kMB}});
  Loads passive = read;
  passive.add(Transfer::kPromotePassive, Bytes(9 * kMB), 1);
  EXPECT_DOUBLE_EQ(paper()(passive).value(), 10e-6);
  Loads active = read;
  active.add(Transfer::kPromote, Bytes(9 * kMB), 1);
  EXPECT_DOUBLE_EQ(paper()(active).value(), 12e6 / 450e9);
}

TEST(StepTime, DemotionLoadsTheWriteLink) {
  EXPECT_DOUBLE_EQ(paper()(loads({{Transfer::kDemote, 9 * kMB}})).value(), 20e-6);
}

TEST(StepTime, InterferenceAddsAShareOfTheSecondLargest) {
  // Near takes 10 us, the link 20 us, far memory 18 us: the second largest is far memory's.
  const Loads both = loads({{Transfer::kReadNear, 49 * kMB}, {Transfer::kReadFar, 9 * kMB}});
  EXPECT_NEAR(paper(Overlap::kFull, 0.1)(both).value(), 20e-6 + 0.1 * 18e-6, 1e-18);
}

TEST(StepTime, WithoutOverlapTheSidesAddUp) {
  const Loads both = loads({{Transfer::kReadNear, 49 * kMB}, {Transfer::kReadFar, 9 * kMB}});
  EXPECT_DOUBLE_EQ(paper(Overlap::kNone)(both).value(), 30e-6);
}

TEST(StepTime, FloorAndOverheadCountPerLayer) {
  const StepTime step_time(testing::paper_machine(), Overlap::kFull, Seconds(50e-6), Seconds(1e-6));
  const Loads near = loads({{Transfer::kReadNear, 49 * kMB}});
  EXPECT_DOUBLE_EQ(step_time(near).value(), 51e-6);
  EXPECT_DOUBLE_EQ(step_time(near * 20, 3).value(), 203e-6);
}

TEST(StepTime, BottleneckIsTheLongestChannel) {
  EXPECT_EQ(paper().bottleneck(loads({{Transfer::kReadNear, 49 * kMB}})), Channel::kNearMem);
  EXPECT_EQ(paper().bottleneck(loads({{Transfer::kReadFar, kMB}})), Channel::kFarLinkRead);
  EXPECT_EQ(paper().bottleneck(loads({{Transfer::kReadFar, kMB}, {Transfer::kWriteFar, kMB}})), Channel::kFarMem);
  EXPECT_EQ(paper().bottleneck(loads({{Transfer::kDemote, kMB}})), Channel::kFarLinkWrite);
}

TEST(StepTime, FarReadBandwidthIsTheLesser) { EXPECT_EQ(paper().far_read_bandwidth(), BytesPerSecond(450e9)); }

TEST(BestSplit, BothSidesFinishTogetherAtTheClosedForm) {
  // f* = (W + K) B_far / (K (B_near + B_far)) of the KV bytes K is read from far.
  const double weights = 100e6;
  const double kv = 435e6;
  const Split split = best_split(paper(), loads({{Transfer::kReadNear, 535 * kMB}}), {{Bytes(435 * kMB), 435}, {}});
  const double share = (weights + kv) * 450e9 / (kv * (4900e9 + 450e9));
  EXPECT_NEAR(split.far_read_bytes, share * kv, 1);
  EXPECT_NEAR(split.time.value(), 535e6 / 5350e9, 1e-15);
}

TEST(BestSplit, NothingIsMovedThatCannotBe) {
  const Loads near = loads({{Transfer::kReadNear, 535 * kMB}});
  EXPECT_EQ(best_split(paper(), near, {}).far_read_bytes, 0);
  EXPECT_DOUBLE_EQ(best_split(paper(), near, {}).time.value(), 535e6 / 4900e9);
  EXPECT_DOUBLE_EQ(best_split(paper(), near, {{Bytes(5 * kMB), 5}, {}}).far_read_bytes, 5e6);
}

TEST(BestSplit, WithoutOverlapNearServesAll) {
  const Split split =
      best_split(paper(Overlap::kNone), loads({{Transfer::kReadNear, 535 * kMB}}), {{Bytes(435 * kMB), 435}, {}});
  EXPECT_EQ(split.far_read_bytes, 0);
}

}  // namespace
}  // namespace kvplace
