#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/measure.h"
#include "kvplace/base/parse.h"

namespace kvplace {
namespace {

/// The message of a call that has to fail because of its input; empty text if it did not.
template <class T>
std::string why(const Result<T>& result) {
  if (result.has_value()) {
    return "";
  }
  EXPECT_EQ(result.error().kind, ErrorKind::kBadInput);
  return result.error().message;
}

#define EXPECT_MESSAGE(result, part) EXPECT_NE(why(result).find(part), std::string::npos) << why(result)

TEST(ParseBytes, KnowsEveryUnit) {
  EXPECT_EQ(parse_bytes("0B"), Bytes(0));
  EXPECT_EQ(parse_bytes("1152B"), Bytes(1152));
  EXPECT_EQ(parse_bytes("2kB"), Bytes(2000));
  EXPECT_EQ(parse_bytes("512MB"), Bytes(512'000'000));
  EXPECT_EQ(parse_bytes("3GB"), Bytes(3'000'000'000));
  EXPECT_EQ(parse_bytes("1TB"), Bytes(1'000'000'000'000));
  EXPECT_EQ(parse_bytes("2KiB"), Bytes(2048));
  EXPECT_EQ(parse_bytes("1MiB"), Bytes(1 << 20));
  EXPECT_EQ(parse_bytes("16GiB"), Bytes(std::int64_t{16} << 30));
  EXPECT_EQ(parse_bytes("1TiB"), Bytes(std::int64_t{1} << 40));
}

TEST(ParseBytes, TakesOneSpaceAndFractionsOfWholeBytes) {
  EXPECT_EQ(parse_bytes("16 GiB"), Bytes(std::int64_t{16} << 30));
  EXPECT_EQ(parse_bytes("1.5KiB"), Bytes(1536));
  EXPECT_EQ(parse_bytes("0.5kB"), Bytes(500));
  EXPECT_EQ(parse_bytes("5.38GiB"), Bytes(5'776'731'013));  // of ...013.12
  EXPECT_EQ(parse_bytes("74.3 GiB"), Bytes(79'779'017'523));
  EXPECT_EQ(parse_bytes("0.29GB"), Bytes(290'000'000));  // as a double 289999999.99999994
  EXPECT_EQ(parse_bytes("0.0000000000009094947017729282379150390625TiB"), Bytes(1));
  EXPECT_MESSAGE(parse_bytes("0.0000000000009094947017729282379150390624TiB"), "less than one byte");
  EXPECT_MESSAGE(parse_bytes("0.3B"), "whole number of bytes");
  EXPECT_MESSAGE(parse_bytes("0.0001KiB"), "less than one byte");
}

TEST(ParseBytes, IsExactUpToTheLimit) {
  EXPECT_EQ(parse_bytes("9007199254740993B"), Bytes(9'007'199'254'740'993));  // 2^53 + 1, no double
  EXPECT_EQ(parse_bytes("8388607TiB"), Bytes(std::int64_t{8388607} << 40));
  EXPECT_MESSAGE(parse_bytes("8388608TiB"), "2^63");
  EXPECT_MESSAGE(parse_bytes("9223372036854775807.9kB"), "2^63");
  EXPECT_MESSAGE(parse_bytes("99999999999999999999B"), "2^63");
}

TEST(ParseBytes, GuessesNothing) {
  const std::vector<std::string_view> not_sizes = {"",
                                                   " ",
                                                   "GiB",
                                                   "-1",
                                                   "+1",
                                                   "-0B",
                                                   " 1GiB",
                                                   "1GiB ",
                                                   "1  GiB",
                                                   "1 ",
                                                   "1gib",
                                                   "1Gib",
                                                   "1GIB",
                                                   "1G",
                                                   "1K",
                                                   "1GiBB",
                                                   "1GiB1",
                                                   "0x10",
                                                   "1e3",
                                                   "1e3B",
                                                   "1,5MB",
                                                   "inf",
                                                   "nan",
                                                   "1GiB/s",
                                                   ".5kB",
                                                   "1..5kB",
                                                   "1\tGiB",
                                                   "1\nB",
                                                   std::string_view("1\0B", 3),
                                                   std::string_view("\0", 1)};
  for (const std::string_view text : not_sizes) {
    EXPECT_FALSE(parse_bytes(text).has_value()) << kvplace::in_quotes(text);
  }
}

TEST(ParseBytes, MessagesSayWhatWouldBeRight) {
  EXPECT_MESSAGE(parse_bytes("much"), "16GiB");
  EXPECT_MESSAGE(parse_bytes("16gb"), "unknown unit \"gb\": write 16GB (known are B, kB");
  EXPECT_MESSAGE(parse_bytes("16 gib"), "write 16GiB (");
  EXPECT_MESSAGE(parse_bytes("16  GiB"), "write 16GiB (");
  EXPECT_MESSAGE(parse_bytes("1.5KB"), "write 1.5kB (");
  EXPECT_MESSAGE(parse_bytes("16G"), "write 16GB or 16GiB (");
  EXPECT_MESSAGE(parse_bytes("16Gi"), "write 16GiB (");
  EXPECT_MESSAGE(parse_bytes("16Gb"), "write 16GB, or if bits are meant 2GB (");
  EXPECT_MESSAGE(parse_bytes("3000 bytes"), "write 3000B (");
  EXPECT_MESSAGE(parse_bytes("16xyz"), "unknown unit \"xyz\" (known are");
  EXPECT_MESSAGE(parse_bytes("1e3GiB"), "has an exponent: write its digits out, 1000GiB");
  EXPECT_MESSAGE(parse_bytes("1,5MB"), "before a fraction stands a point");
  EXPECT_MESSAGE(parse_bytes("-1GiB"), "is below 0");
  EXPECT_MESSAGE(parse_bytes("16\u00a0GiB"), "outside ASCII: write it like 16GiB");
}

TEST(ParseBytes, NeedTheirUnit) {
  for (const char* text : {"0", "16", "1152", "16.5", "1,000"}) {
    EXPECT_MESSAGE(parse_bytes(text), "needs a unit: write it like 16GiB, or ");
  }
  EXPECT_MESSAGE(parse_bytes("1,000"), "or 1000B if bytes are meant");
}

TEST(ParseBytes, NeedNoneWhereTheNameSaysBytes) {
  for (const char* name : {"block_bytes", "--block-bytes", "experts.bytes_per_expert", "weight_bytes"}) {
    EXPECT_EQ(parse_bytes_of(name, "1152"), Bytes(1152)) << name;
    EXPECT_EQ(parse_bytes_of(name, "4KiB"), Bytes(4096)) << name;
    EXPECT_MESSAGE(parse_bytes_of(name, "1152.5"), "not a whole number of bytes");
  }
  for (const char* name : {"near_capacity", "near.capacity", "--total"}) {
    EXPECT_MESSAGE(parse_bytes_of(name, "1152"), "needs a unit");
    EXPECT_EQ(parse_bytes_of(name, "1152B"), Bytes(1152)) << name;
  }
}

TEST(Parse, CommasGroupThousands) {
  EXPECT_EQ(parse_bytes("1,000 GiB"), Bytes(std::int64_t{1000} << 30));
  EXPECT_EQ(parse_bandwidth("12,345.5MB/s"), BytesPerSecond(12'345.5e6));
  EXPECT_EQ(parse_count("1,234,567"), 1'234'567u);
  EXPECT_EQ(parse_amount("227,215"), 227'215.0);
  for (const char* text : {"1,00", "1,0000", ",100", "1,,000", "1000,000", "1,000,00", "1,000,"}) {
    EXPECT_FALSE(parse_count(text).has_value()) << text;
    EXPECT_FALSE(parse_bytes(std::string(text) + "B").has_value()) << text;
  }
}

TEST(ParsePercent, IsAShare) {
  EXPECT_EQ(parse_percent("90%"), 0.9);
  EXPECT_EQ(parse_percent("0.027 %"), 0.00027);
  EXPECT_MESSAGE(parse_percent("90"), "not a percentage, like 90%");
  EXPECT_FALSE(parse_percent("-1%").has_value());
  EXPECT_EQ(format_percent(0.29), "29%");
  EXPECT_EQ(format_percent(0), "0%");
}

TEST(ParseMeasures, KnowTheirUnits) {
  EXPECT_EQ(parse_bandwidth("450GB/s"), BytesPerSecond(450e9));
  EXPECT_EQ(parse_bandwidth("3.35 TB/s"), BytesPerSecond(3.35e12));
  EXPECT_EQ(parse_bandwidth("1MiB/s"), BytesPerSecond(1048576));
  EXPECT_EQ(parse_seconds("1s"), Seconds(1));
  EXPECT_EQ(parse_seconds("0.5ms"), Seconds(0.5e-3));
  EXPECT_EQ(parse_seconds("3us"), Seconds(3e-6));
  EXPECT_EQ(parse_seconds("20ns"), Seconds(20e-9));
  EXPECT_EQ(parse_seconds("30 ns"), Seconds(30e-9));  // 30 * 1e-9 is another double
  EXPECT_EQ(parse_flops_rate("990TFLOP/s"), FlopsPerSecond(990e12));
  EXPECT_EQ(parse_flops("2.5GFLOP"), Flops(2.5e9));
}

TEST(ParseMeasures, NeedTheirUnit) {
  EXPECT_MESSAGE(parse_bandwidth("450"), "needs a unit");
  EXPECT_MESSAGE(parse_seconds("3"), "needs a unit");
  EXPECT_MESSAGE(parse_flops_rate("990"), "needs a unit");
  EXPECT_MESSAGE(parse_flops("2"), "needs a unit");
}

TEST(ParseMeasures, DoNotTakeEachOthersUnits) {
  EXPECT_MESSAGE(parse_bandwidth("450GB"), "unknown unit");
  EXPECT_MESSAGE(parse_bandwidth("450Gb/s"), "write 450GB/s, or if bits are meant 56.25GB/s");
  EXPECT_MESSAGE(parse_bandwidth("450GB"), "write 450GB/s (");
  EXPECT_MESSAGE(parse_bandwidth("450GBps"), "write 450GB/s (");
  EXPECT_MESSAGE(parse_seconds("3m"), "unknown unit");
  EXPECT_MESSAGE(parse_flops("2GFLOP/s"), "unknown unit");
  EXPECT_MESSAGE(parse_flops_rate("2GFLOPS"), "unknown unit");
}

TEST(ParseMeasures, RefuseSignsAndWhatIsNotFinite) {
  for (const std::string_view text : {"-1s", "+1s", "infs", "nans", "1e400s", "s", ""}) {
    EXPECT_FALSE(parse_seconds(text).has_value()) << text;
  }
}

TEST(ParseCount, TakesWholeNumbersOnly) {
  EXPECT_EQ(parse_count("0"), 0u);
  EXPECT_EQ(parse_count("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_MESSAGE(parse_count("18446744073709551616"), "2^64");
  for (const std::string_view text : {"", "-1", "+1", "1.0", "1e3", " 1", "1 ", "0x1", "one"}) {
    EXPECT_FALSE(parse_count(text).has_value()) << text;
  }
}

TEST(ParseNumber, TakesFiniteNumbersOnly) {
  EXPECT_EQ(parse_number("0.25"), 0.25);
  EXPECT_EQ(parse_number("-3e-2"), -0.03);
  for (const std::string_view text : {"", "inf", "nan", "1e999", "1,5", "0.5x", " 1"}) {
    EXPECT_FALSE(parse_number(text).has_value()) << text;
  }
}

TEST(ParseBool, TakesTwoWordsOnly) {
  EXPECT_EQ(parse_bool("true"), true);
  EXPECT_EQ(parse_bool("false"), false);
  for (const std::string_view text : {"", "True", "1", "yes", "true "}) {
    EXPECT_FALSE(parse_bool(text).has_value()) << text;
  }
}

TEST(Format, IsTheShortestExactText) {
  EXPECT_EQ(format_bytes(Bytes(0)), "0B");
  EXPECT_EQ(format_bytes(Bytes(1152)), "1152B");
  EXPECT_EQ(format_bytes(Bytes(2000)), "2kB");
  EXPECT_EQ(format_bytes(Bytes(2048)), "2KiB");
  EXPECT_EQ(format_bytes(Bytes(std::int64_t{16} << 30)), "16GiB");
  EXPECT_EQ(format_bytes(Bytes(141'000'000'000)), "141GB");
  EXPECT_EQ(format_bytes(Bytes(std::int64_t{328'320} << 20)), "320.625GiB");
  EXPECT_EQ(format_bytes(Bytes(16'060'522'496)), "16.060522496GB");
  EXPECT_EQ(format_bytes(Bytes(std::numeric_limits<std::int64_t>::max())), "9223.372036854775807PB");
  EXPECT_EQ(format_bandwidth(BytesPerSecond(450e9)), "450GB/s");
  EXPECT_EQ(format_bandwidth(BytesPerSecond(std::numeric_limits<double>::infinity())), "infinite");
  EXPECT_EQ(format_bandwidth(BytesPerSecond(3.35e12)), "3.35TB/s");
  EXPECT_EQ(format_bandwidth(BytesPerSecond(4900e9)), "4.9TB/s");
  EXPECT_EQ(format_bandwidth(BytesPerSecond(2039e9)), "2039GB/s");
  EXPECT_EQ(format_bandwidth(BytesPerSecond(0.001)), "0.001B/s");
  EXPECT_EQ(format_bandwidth(BytesPerSecond(1e17)), "100000TB/s");
  EXPECT_EQ(format_seconds(Seconds(3e-6)), "3us");
  EXPECT_EQ(format_seconds(Seconds(0)), "0s");
  EXPECT_EQ(format_flops_rate(FlopsPerSecond(990e12)), "990TFLOP/s");
  EXPECT_EQ(format_flops(Flops(2.5e9)), "2.5GFLOP");
}

TEST(Format, ReadsBackTheSame) {
  for (const std::int64_t size : {std::int64_t{0}, std::int64_t{1}, std::int64_t{999}, std::int64_t{1} << 53,
                                  (std::int64_t{1} << 53) + 1, std::int64_t{123'456'789'000}}) {
    EXPECT_EQ(parse_bytes(format_bytes(Bytes(size))), Bytes(size)) << format_bytes(Bytes(size));
  }
  for (const double value : {0.0, 1e-9, 3e-6, 2.5e-3, 0.1, 1.0, 1.0 / 3, 86400.0, 1e9, 1.1e12, 1e20}) {
    EXPECT_EQ(parse_seconds(format_seconds(Seconds(value))), Seconds(value)) << format_seconds(Seconds(value));
    EXPECT_EQ(parse_bandwidth(format_bandwidth(BytesPerSecond(value))), BytesPerSecond(value))
        << format_bandwidth(BytesPerSecond(value));
    EXPECT_EQ(parse_flops(format_flops(Flops(value))), Flops(value)) << format_flops(Flops(value));
    EXPECT_EQ(parse_flops_rate(format_flops_rate(FlopsPerSecond(value))), FlopsPerSecond(value));
    EXPECT_EQ(parse_number(format_number(value)), value);
  }
}

TEST(NearestName, HasTheLeastEditDistance) {
  const std::vector<std::string> known = {"lru", "clock", "belady", "static"};
  EXPECT_EQ(nearest_name("clok", known), "clock");
  EXPECT_EQ(nearest_name("beladi", known), "belady");
  EXPECT_EQ(nearest_name("lru", known), "lru");
  EXPECT_EQ(nearest_name("lur", std::vector<std::string>{"lirs", "lru"}), "lru");  // letters swapped
  EXPECT_EQ(nearest_name("", known), "lru");
  EXPECT_EQ(nearest_name("LRU", std::vector<std::string>{"2q", "lru"}), "lru");  // capitals are no difference
  EXPECT_EQ(nearest_name("Bela", known), "belady");
  EXPECT_EQ(nearest_name("mixtral", std::vector<std::string>{"2q", "Mixtral-8x7B"}), "Mixtral-8x7B");
  EXPECT_EQ(nearest_name("rtx-5090", std::vector<std::string>{"8xb200", "rtx5090-pcie5"}), "rtx5090-pcie5");
  EXPECT_EQ(nearest_name("x", std::vector<std::string>{}), "");
}

TEST(InQuotes, EscapesAndCuts) {
  EXPECT_EQ(kvplace::in_quotes("plain"), "\"plain\"");
  EXPECT_EQ(kvplace::in_quotes(std::string_view("a\0\n\x7f\xff", 5)), "\"a\\x00\\x0a\\x7f\\xff\"");
  const std::string cut = kvplace::in_quotes(std::string(1000, 'a'));
  EXPECT_LT(cut.size(), 100u);
  EXPECT_TRUE(cut.ends_with("...\""));
}

}  // namespace
}  // namespace kvplace
