// Certificates: a case worked out by hand, rounding, files that were tampered with, numbers at the edges of what fits.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "bound/fraction.h"
#include "kvplace/bound/verify.h"
#include "kvplace/simulate/replay.h"
#include "support/format_test.h"
#include "support/paper_machine.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"
#include "trace/byte_order.h"
#include "trace/kvt_format.h"

namespace kvplace {
namespace {

using testing::expect_part;

constexpr std::int64_t kMostInt64 = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kMostUint64 = std::numeric_limits<std::uint64_t>::max();

/// The worked example of docs/formulation.md, "A worked example".
class CertificateOfWorkedExample : public ::testing::Test {
 protected:
  CertificateOfWorkedExample() {
    TraceMeta meta;
    meta.layers = 1;
    meta.layout.prompt_tokens = 3;
    Segment segment(StepIndex(0), 1);
    const auto add = [&segment](std::vector<BlockId> reads, BlockId appended) {
      segment.add(reads, std::vector{appended}, {}, {});
    };
    add({BlockId(0), BlockId(1), BlockId(3)}, BlockId(3));
    add({BlockId(1), BlockId(2), BlockId(4)}, BlockId(4));
    add({BlockId(0), BlockId(1), BlockId(5)}, BlockId(5));
    trace_ = TraceReader::open(testing::write_trace(folder_.path("t.kvt"), meta, segment)).value();
    spec_.hardware = testing::paper_machine();
    spec_.options.block_bytes = Bytes(1'000'000);
    spec_.options.weight_bytes_per_step = Bytes(10'000'000);
    spec_.options.near_capacity = Bytes(3'000'000);
    spec_.options.start = Start::kEmpty;
    certificate_ = make();
  }

  /// Steps 0 and 1 priced by far memory alone, step 2 by near memory: 1 MB takes 98 and 10 ticks.
  Certificate make() {
    Certificate c;
    c.numbers = bound_numbers(instance(), *trace_).value();
    c.ticks_per_second = 49'000'000;
    c.unit_bytes = 1'000'000;
    c.channel_prices = {{0, 0, 0, 98}, {0, 0, 0, 98}, {10, 0, 0, 0}};
    c.row_prices = {0, 0, 0};
    c.made_by = "a test";
    return c;
  }
  Instance instance() { return Instance::make(spec_, trace_->meta(), trace_->totals()).value(); }
  Result<VerifiedBound> verified() { return verify(*trace_, certificate_, {}); }
  void expect_rejected(std::string_view part) {
    const Result<VerifiedBound> bound = verified();
    ASSERT_FALSE(bound) << bound->bound_exact;
    EXPECT_EQ(bound.error().kind, ErrorKind::kRejected);
    expect_part(bound.error().message, part);
  }
  std::string file() {
    EXPECT_TRUE(write_certificate(folder_.path("c.cert"), certificate_));
    return testing::TempDir::read(folder_.path("c.cert"));
  }
  Result<Certificate> read_back(std::string_view bytes) { return read_certificate(folder_.write("d.cert", bytes)); }

  testing::TempDir folder_;
  std::optional<TraceReader> trace_;
  InstanceSpec spec_;
  Certificate certificate_;
};

TEST_F(CertificateOfWorkedExample, ProvesWhatOneFindsByHand) {
  // Far memory: new KV in steps 0 and 1; blocks 0, 1 and 2, once each. Near memory in step 2: weights 10, the read of
  // block 5 and its new KV; 0 and 1 are free from far. 5 * 98 + 12 * 10 = 610 ticks.
  const VerifiedBound bound = verified().value();
  EXPECT_EQ(bound.bound_exact, "61/4900000");
  EXPECT_EQ(bound.bound_decimal, "0.0000124489795918367346");
  EXPECT_LE(bound.bound.value(), 61.0 / 4900000);
  // A row price that is at most what one more miss costs: three blocks near pay it, and nobody gains.
  certificate_.row_prices = {1, 0, 0};
  EXPECT_EQ(verified().value().bound_exact, "19/1531250");  // block 1 pays 1, capacity takes 3
}

TEST_F(CertificateOfWorkedExample, PricesThatClaimTooMuchAreRejected) {
  certificate_.channel_prices[2][0] = 11;
  expect_rejected("group 2 claim more");
  certificate_ = make();
  certificate_.channel_prices[0] = {1, 0, 0, 98};
  expect_rejected("group 0 claim more");
  spec_.hardware.interference = 0.5;
  certificate_ = make();
  certificate_.channel_prices[0] = {5, 0, 0, 98};  // half of near memory's time is allowed on top
  EXPECT_TRUE(verified());
  certificate_.channel_prices[0][0] = 6;
  expect_rejected("group 0 claim more");
  spec_.options.overlap = Overlap::kNone;  // all of it
  certificate_ = make();
  certificate_.channel_prices[0] = {10, 0, 0, 98};
  EXPECT_TRUE(verified());
  certificate_.channel_prices[0] = {10, 1, 0, 98};
  expect_rejected("group 0 claim more");
}

TEST_F(CertificateOfWorkedExample, FloorAndOverheadAreProvenWherePricesAreNot) {
  spec_.hardware.step_overhead = Seconds(0.25);
  certificate_ = make();
  EXPECT_EQ(verified().value().bound_exact, "3675061/4900000");  // 3/4 more
  certificate_.numbers.overhead_units = 0;
  certificate_.numbers.floor_units = std::int64_t{1} << 60;
  // Prices claim all of each step's time, but whole blocks cannot pay for it: a second per step is left, less what six
  // blocks over the link may pay, 98 or 10 ticks each, and what 0 and 1 save in step 2; 294 are paid for reads.
  EXPECT_EQ(verified().value().bound_exact, "73499519/24500000");  // 3 * 49e6 - 12 * 98 - 6 * 10 - 20 + 294 ticks
  certificate_.channel_prices = {{0, 0, 0, 0}, {0, 0, 0, 49}, {0, 0, 0, 0}};
  EXPECT_EQ(verified().value().bound_exact, "1499997/500000");  // 3 * 49e6 - 6 * 49 ticks; block 2 escapes to step 0
  // Where blocks are not whole for certain, only what prices leave is proven.
  spec_.options.mode = Mode::kExclusive;
  certificate_ = make();
  certificate_.numbers.overhead_units = 0;
  certificate_.numbers.floor_units = std::int64_t{1} << 60;
  // New KV may be written near in steps 0 and 1 and far in step 2; block 1 costs 98, and 10 when it is read near.
  EXPECT_EQ(verified().value().bound_exact, "207/24500000") << "prices claim all of each step's time";
  certificate_.channel_prices = {{0, 0, 0, 0}, {0, 0, 0, 49}, {0, 0, 0, 0}};
  EXPECT_EQ(verified().value().bound_exact, "5/2") << "all of two steps and half of one";
}

TEST(Certificate, CreditsWholeBlocks) {
  const testing::TempDir folder;
  TraceMeta meta;
  meta.layers = 1;
  meta.layout.prompt_tokens = 1;
  meta.block_bytes = Bytes(9'000'000);
  Segment segment(StepIndex(0), 1);
  segment.add(std::vector{BlockId(0)}, {}, {}, {});
  const TraceReader trace = TraceReader::open(testing::write_trace(folder.path("t.kvt"), meta, segment)).value();
  InstanceSpec spec;
  spec.hardware = testing::paper_machine();
  spec.hardware.near.bandwidth.spec = BytesPerSecond(4.5e12);
  spec.hardware.far.link_read.spec = BytesPerSecond(0.5e12);
  spec.options.near_blocks_per_layer = 0;
  spec.options.mirrored_reads = MirroredReads::kSplit;
  spec.options.start = Start::kEmpty;
  Certificate c;
  c.numbers = bound_numbers(Instance::make(spec, trace.meta(), trace.totals()).value(), trace).value();
  c.ticks_per_second = 10'000'000;
  c.unit_bytes = 1'000'000;
  // The block of 9 MB takes 20 ticks from near, 180 over the link and 18 split. At a price of p per unit of the link it
  // pays 9 p, and what the step takes beyond that is the lesser of 18 and 180 - 9 p.
  c.row_prices = {0};
  for (const auto& [price, ticks] : {std::pair{0, 18}, {9, 99}, {18, 180}, {20, 180}}) {
    c.channel_prices = {{0, static_cast<std::uint64_t>(price), 0, 0}};
    EXPECT_EQ(verify(trace, c, {}).value().bound_decimal, ticks == 180  ? "0.000018"
                                                          : ticks == 99 ? "0.0000099"
                                                                        : "0.0000018")
        << price;
  }
}

TEST_F(CertificateOfWorkedExample, EveryBitOfEveryPriceMayBeChanged) {
  const Instance instance = this->instance();
  const ReplayJob job{&instance, PolicyRegistry::instance().parse("belady").value()};
  const double replayed = replay(*trace_, std::span(&job, 1), {}).value().front().total.value();
  const auto flip_all = [&](std::uint64_t& price) {
    for (int bit = 0; bit < 64; ++bit) {
      price ^= std::uint64_t{1} << bit;
      const Result<VerifiedBound> bound = verified();
      EXPECT_TRUE(bound ? bound->bound.value() <= replayed : bound.error().kind == ErrorKind::kRejected);
      price ^= std::uint64_t{1} << bit;
    }
  };
  for (auto& prices : certificate_.channel_prices) {
    for (std::uint64_t& price : prices) {
      flip_all(price);
    }
  }
  for (std::uint64_t& price : certificate_.row_prices) {
    flip_all(price);
  }
  flip_all(certificate_.start_price);
  flip_all(certificate_.ticks_per_second);
}

TEST_F(CertificateOfWorkedExample, AnyDamageToTheFileIsRejected) {
  const std::string whole = file();
  ASSERT_EQ(read_back(whole).value(), certificate_);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    const Result<Certificate> read = read_back(damaged);
    ASSERT_FALSE(read) << "byte " << i;
    EXPECT_EQ(read.error().kind, ErrorKind::kRejected);
    const Result<Certificate> cut = read_back(whole.substr(0, i));
    ASSERT_FALSE(cut) << "cut at " << i;
    EXPECT_EQ(cut.error().kind, ErrorKind::kRejected);
  }
  expect_part(read_back(whole + "x").error().message, "goes on after its end");
  std::string newer = whole;
  for (const int version : {1, 4}) {
    newer[8] = static_cast<char>(version);
    expect_part(read_back(newer).error().message, "version " + std::to_string(version));
  }
  EXPECT_EQ(read_certificate(folder_.path("none")).error().kind, ErrorKind::kBadInput);
}

TEST_F(CertificateOfWorkedExample, PricesOfAnotherShapeAreRejected) {
  certificate_.row_prices.push_back(0);
  EXPECT_FALSE(write_certificate(folder_.path("c.cert"), certificate_));
  expect_rejected("not as many");
  certificate_ = make();
  certificate_.numbers.barrier = Barrier::kToken;
  EXPECT_TRUE(verified()) << "of one layer both barriers are the same";
  // A head that promises more than there is: no memory is taken for it.
  certificate_.numbers.steps = 0xffffffff;
  EXPECT_FALSE(write_certificate(folder_.path("c.cert"), certificate_));
  certificate_ = make();
  std::string bytes = file();
  const std::size_t at = bytes.find("\"steps\":3");
  bytes.replace(at, 9, "\"steps\":9");
  const std::size_t end = 16 + load_little_endian<std::uint32_t>(bytes.data() + 12);
  store_little_endian(bytes.data() + end, kvt::checksum(std::as_bytes(std::span(bytes.data(), end))));
  expect_part(read_back(bytes).error().message, "not as many");
}

TEST_F(CertificateOfWorkedExample, AnotherTraceIsRejected) {
  certificate_.numbers.trace_digest[0] = certificate_.numbers.trace_digest[0] == '0' ? '1' : '0';
  expect_rejected("another trace");
  // The same digest in the footer of a trace with other contents.
  std::string bytes = testing::TempDir::read(folder_.path("t.kvt"));
  const auto footer = load_little_endian<std::uint64_t>(bytes.data() + bytes.size() - 16);
  const std::size_t sum = bytes.size() - 24;
  const std::size_t digest = sum - 16;
  bytes[digest] = static_cast<char>(bytes[digest] ^ 1);
  store_little_endian(bytes.data() + sum, kvt::checksum(std::as_bytes(std::span(bytes.data() + footer, sum - footer))));
  trace_ = TraceReader::open(folder_.write("forged.kvt", bytes)).value();
  certificate_.numbers.trace_digest = trace_->totals().digest;
  expect_rejected("not those its digest names");
}

TEST_F(CertificateOfWorkedExample, NumbersAtTheEdgesNeverOverflow) {
  // `number` names a field of the certificate at hand.
  const auto try_all = [&](auto number, auto... values) {
    using Number = std::remove_reference_t<decltype(number())>;
    for (const auto value : {static_cast<Number>(values)...}) {
      certificate_ = make();
      number() = value;
      const Result<VerifiedBound> bound = verified();
      EXPECT_TRUE(bound || bound.error().kind == ErrorKind::kRejected);
    }
  };
  const auto try_signed = [&](auto number) {
    try_all(number, 0, 1, 2, 1'000'000, std::int64_t{1} << 32, std::int64_t{1} << 49, std::int64_t{1} << 50,
            std::int64_t{1} << 62, kMostInt64, -1, std::numeric_limits<std::int64_t>::min());
  };
  BoundNumbers& n = certificate_.numbers;
  for (const Mode mode : {Mode::kInclusive, Mode::kExclusive}) {
    spec_.options.mode = mode;
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      try_signed([&, c]() -> std::int64_t& { return n.fixed_bytes.front()[c].bytes; });
      try_signed([&, c]() -> std::int64_t& { return n.fixed_bytes.front()[c].per_token; });
      try_signed([&, c]() -> std::int64_t& { return n.bandwidth_bytes_per_second[c]; });
    }
    try_signed([&]() -> std::int64_t& { return n.kv_block_bytes.front(); });
    try_signed([&]() -> std::int64_t& { return n.new_kv_bytes.front(); });
    for (std::int64_t* number : {&n.batch, &n.expert_block_bytes, &n.capacity_bytes, &n.floor_units, &n.overhead_units,
                                 &certificate_.unit_bytes}) {
      try_signed([number]() -> std::int64_t& { return *number; });
    }
    try_all([&]() -> std::uint64_t& { return certificate_.ticks_per_second; }, 0u, 1u, std::uint64_t{1} << 40,
            std::uint64_t{1} << 63, kMostUint64);
    try_all([&]() -> std::uint64_t& { return certificate_.start_price; }, 1u, kMostUint64);
    try_all([&]() -> std::uint64_t& { return certificate_.row_prices[1]; }, std::uint64_t{1} << 61,
            std::uint64_t{1} << 62, kMostUint64);
    try_all([&]() -> std::uint64_t& { return certificate_.channel_prices[1][3]; }, std::uint64_t{1} << 61, kMostUint64);
    try_all([&]() -> std::uint32_t& { return n.interference_2_20; }, 1u, (1u << 20) - 1, 1u << 20, 0xffffffffu);
  }
  spec_.options.mode = Mode::kInclusive;
  certificate_ = make();
  certificate_.ticks_per_second = kMostUint64;
  certificate_.numbers.batch = std::int64_t{1} << 30;
  expect_rejected("2^100");
  certificate_ = make();
  certificate_.row_prices[1] = std::uint64_t{1} << 62;
  expect_rejected("may overflow");
  certificate_ = make();
  certificate_.numbers.fixed_bytes.front()[0].bytes = kMostInt64;
  expect_rejected("2^63 bytes");
  certificate_ = make();
  certificate_.numbers.floor_units = kMostInt64;
  EXPECT_TRUE(verified()) << "a floor of eight seconds";
}

TEST_F(CertificateOfWorkedExample, CapacityOfNothingAndOfEverything) {
  for (const std::int64_t capacity : {0, 6'000'000}) {
    for (const Start start : {Start::kRecent, Start::kFree}) {
      spec_.options.near_capacity = Bytes(capacity);
      spec_.options.start = start;
      certificate_ = make();
      const Instance instance = this->instance();
      const ReplayJob job{&instance, PolicyRegistry::instance().parse("belady-global").value()};
      const double replayed = replay(*trace_, std::span(&job, 1), {}).value().front().total.value();
      const double bound = verified().value().bound.value();
      EXPECT_LE(bound, replayed);
      // Only new KV, weights and reads by rule are certain if the prompt's blocks may be near at the start.
      const bool begins_far = capacity == 0 && start == Start::kRecent;
      EXPECT_EQ(verified().value().bound_exact, begins_far ? "61/4900000" : "79/12250000");
    }
  }
}

TEST(Certificate, OfOneStepAndOneBlock) {
  const testing::TempDir folder;
  TraceMeta meta;
  meta.layers = 1;
  meta.layout.prompt_tokens = 1;
  meta.block_bytes = Bytes(1000);
  Segment segment(StepIndex(0), 1);
  segment.add(std::vector{BlockId(0)}, {}, {}, {});
  const TraceReader trace = TraceReader::open(testing::write_trace(folder.path("t.kvt"), meta, segment)).value();
  InstanceSpec spec;
  spec.hardware = testing::paper_machine();
  for (const std::uint32_t places : {0u, 1u}) {
    spec.options.near_blocks_per_layer = places;
    Certificate c;
    c.numbers = bound_numbers(Instance::make(spec, trace.meta(), trace.totals()).value(), trace).value();
    c.ticks_per_second = 4'500'000'000;
    c.unit_bytes = 1000;
    c.channel_prices = {{0, 10, 0, 0}};
    c.row_prices = {3};
    const std::string exact = verify(trace, c, {}).value().bound_exact;
    // One read over the link, 10 ticks; or from near, where the row's price buys nothing and capacity costs 3.
    EXPECT_EQ(exact, places == 0 ? "1/450000000" : "0/1");
  }
}

TEST(BoundNumbers, AreRoundedSoThatTheBoundCanOnlyFall) {
  const testing::TempDir folder;
  const testing::RandomTraceShape shape;
  const std::string path = testing::write_random_trace(folder.path("t.kvt"), shape);
  const TraceReader trace = TraceReader::open(path).value();
  InstanceSpec spec;
  spec.hardware = testing::paper_machine();
  spec.hardware.far.bandwidth.spec = BytesPerSecond(500e9 + 0.25);
  spec.hardware.interference = 0.3;
  spec.hardware.step_overhead = Seconds(1e-7);
  spec.options.near_blocks_per_layer = 4;
  const auto numbers = [&] { return bound_numbers(Instance::make(spec, trace.meta(), trace.totals()).value(), trace); };
  const BoundNumbers n = numbers().value();
  EXPECT_EQ(n.bandwidth_bytes_per_second[3], 500'000'000'001);
  EXPECT_EQ(n.bandwidth_bytes_per_second[0], 4'900'000'000'000);
  EXPECT_EQ(n.interference_2_20, 314572u);       // of 314572.8
  EXPECT_EQ(n.overhead_units, 115'292'150'460);  // of ...460.68
  EXPECT_EQ(n.capacity_bytes, 4 * 3 * 1000);
  EXPECT_EQ(n.trace_digest, trace.totals().digest);
  spec.hardware.near.bandwidth.spec = BytesPerSecond(0x1p50);
  expect_part(numbers().error().message, "2^50");
  // A file without its end has no digest.
  const std::string whole = testing::TempDir::read(path);
  TraceReaderOptions options;
  options.recover = true;
  const TraceReader cut =
      TraceReader::open(folder.write("cut.kvt", whole.substr(0, whole.size() - 30)), options).value();
  spec.hardware.near.bandwidth.spec = BytesPerSecond(4900e9);
  const Instance instance = Instance::make(spec, cut.meta(), cut.totals()).value();
  expect_part(bound_numbers(instance, cut).error().message, "digest");
}

TEST(Fraction, IsPrintedExactlyAndRoundedDown) {
  EXPECT_EQ(exact_text({0, 7}), "0/1");
  EXPECT_EQ(decimal_rounded_down({0, 7}), "0");
  EXPECT_EQ(exact_text({10, 5}), "2/1");
  EXPECT_EQ(decimal_rounded_down({10, 5}), "2");
  EXPECT_EQ(exact_text({6, 4}), "3/2");
  EXPECT_EQ(decimal_rounded_down({6, 4}), "1.5");
  EXPECT_EQ(decimal_rounded_down({2, 3}), "0.666666666666666666");
  EXPECT_EQ(decimal_rounded_down({200, 3}), "66.6666666666666666");
  EXPECT_EQ(decimal_rounded_down({1, kMostUint64}), "0.0000000000000000000542101086242752217");
  const UInt128 large = (UInt128{1} << 126) + 1;
  EXPECT_EQ(exact_text({large, 2}), "85070591730234615865843651857942052865/2");
  EXPECT_EQ(decimal_rounded_down({large, 2}), "42535295865117307932921825928971026432");
  EXPECT_EQ(double_rounded_down({large, 2}), 0x1p125);
  std::mt19937_64 random(1);
  for (int i = 0; i < 10000; ++i) {
    const std::uint64_t p = random() >> (12 + random() % 50);
    const std::uint64_t q = (random() >> (12 + random() % 50)) + 1;
    const double down = double_rounded_down({p, q});
    const double next = std::nextafter(down, INFINITY);
    // p, q and the products' signs are exact.
    EXPECT_LE(std::fma(down, static_cast<double>(q), -static_cast<double>(p)), 0);
    EXPECT_GT(std::fma(next, static_cast<double>(q), -static_cast<double>(p)), 0);
  }
}

}  // namespace
}  // namespace kvplace
