#include <gtest/gtest.h>

#include <concepts>
#include <cstdint>

#include "kvplace/base/units.h"

namespace kvplace {
namespace {

template <class A, class B>
concept Multiplies = requires(A a, B b) { a* b; };
template <class A, class B>
concept Divides = requires(A a, B b) { a / b; };

TEST(Units, QuantitiesOfOneUnitAddAndCompare) {
  EXPECT_EQ(Bytes(3) + Bytes(4), Bytes(7));
  EXPECT_EQ(Bytes(3) - Bytes(4), Bytes(-1));
  EXPECT_LT(Seconds(1.5), Seconds(2));
  Bytes sum;
  EXPECT_EQ(sum.value(), 0);
  sum += Bytes(5);
  sum -= Bytes(2);
  EXPECT_EQ(sum, Bytes(3));
}

TEST(Units, PlainNumbersScale) {
  EXPECT_EQ(Bytes(3) * 4, Bytes(12));
  EXPECT_EQ(4 * Bytes(3), Bytes(12));
  EXPECT_EQ(Seconds(0.5) * 3.0, Seconds(1.5));
}

TEST(Units, RatioOfOneUnitIsAPlainNumber) {
  static_assert(std::same_as<decltype(Bytes(1) / Bytes(2)), double>);
  EXPECT_EQ(Bytes(1) / Bytes(2), 0.5);
  EXPECT_EQ(Seconds(3) / Seconds(2), 1.5);
}

TEST(Units, SizeByBandwidthIsTime) {
  static_assert(std::same_as<decltype(Bytes(1) / BytesPerSecond(2)), Seconds>);
  static_assert(std::same_as<decltype(Bytes(1) / Seconds(2)), BytesPerSecond>);
  static_assert(std::same_as<decltype(Flops(1) / FlopsPerSecond(2)), Seconds>);
  EXPECT_EQ(Bytes(900) / BytesPerSecond(450), Seconds(2));
  EXPECT_EQ(Bytes(900) / Seconds(2), BytesPerSecond(450));
  EXPECT_EQ(Flops(10) / FlopsPerSecond(4), Seconds(2.5));
}

TEST(Units, WhatHasNoMeaningDoesNotBuild) {
  static_assert(!Multiplies<Bytes, Bytes>);
  static_assert(!Multiplies<Seconds, Seconds>);
  static_assert(!Divides<Seconds, Bytes>);
  static_assert(!Divides<Flops, BytesPerSecond>);
  static_assert(!std::convertible_to<std::int64_t, Bytes>);
  static_assert(!std::convertible_to<Bytes, std::int64_t>);
  static_assert(!std::convertible_to<BlockId, BlockIndex>);
  static_assert(!std::equality_comparable_with<StepIndex, LayerIndex>);
}

TEST(Units, TypesAreNoLargerThanTheirNumbers) {
  static_assert(sizeof(Bytes) == sizeof(std::int64_t));
  static_assert(sizeof(Seconds) == sizeof(double));
  static_assert(sizeof(BlockId) == sizeof(std::uint32_t));
}

TEST(Units, IndicesCompare) {
  EXPECT_EQ(BlockId(), BlockId(0));
  EXPECT_LT(StepIndex(1), StepIndex(2));
  EXPECT_EQ(LayerIndex(7).value(), 7u);
}

}  // namespace
}  // namespace kvplace
