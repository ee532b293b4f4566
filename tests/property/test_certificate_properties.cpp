// What certificates prove: never more than any schedule takes, exactly what an enumeration of all residency paths
// gives, and the same to the digit as the verifier in Python.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "bound/group_value.h"
#include "kvplace/bound/elementary.h"
#include "kvplace/bound/verify.h"
#include "kvplace/simulate/replay.h"
#include "support/path_enumeration.h"
#include "support/random_certificate.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

using testing::CertificateCase;
using testing::Enumeration;
using testing::exact_case;

VerifiedBound verified(const TraceReader& trace, const Certificate& certificate, unsigned threads = 1) {
  RunContext context;
  context.threads = threads;
  Result<VerifiedBound> bound = verify(trace, certificate, context);
  if (!bound) {
    RC_FAIL(bound.error().message);
  }
  return std::move(*bound);
}

/// The shortest time of all registered policies; figures of merit are no schedules.
double best_replayed(const CertificateCase& c) {
  std::vector<ReplayJob> jobs;
  for (const PolicyInfo& info : PolicyRegistry::instance().policies()) {
    const bool may_start = c.spec.options.start != Start::kFree || info.information == Information::kOracle;
    if (info.information != Information::kIdeal && may_start && !info.requires_ranking) {
      const std::string text = info.search != nullptr ? info.name + ":iterations=2" : info.name;
      jobs.push_back({&c.instance, PolicyRegistry::instance().parse(text).value()});
    }
  }
  double best = INFINITY;
  const std::vector<ReplayResult> results = replay(c.trace, jobs, {}).value();
  for (const ReplayResult& result : results) {
    best = std::min(best, result.total.value());
  }
  return best;
}

/// Prices climb at random, so that what is compared with the schedules is not far below them.
RC_GTEST_PROP(Certificates, NeverProveMoreThanAnyPolicyTakes, ()) {
  const testing::TempDir folder;
  testing::RandomCase random = exact_case(*rc::gen::arbitrary<std::uint64_t>(), 12, 8);
  CertificateCase c(random, folder);
  const double best = best_replayed(c);
  double bound = verified(c.trace, c.certificate).bound.value();
  RC_ASSERT(bound <= best * (1 + 1e-12));
  for (int i = 0; i < 150; ++i) {
    Certificate other = c.certificate;
    testing::RandomPrices(random).mutate(other);
    const double value = verified(c.trace, other).bound.value();
    RC_ASSERT(value <= best * (1 + 1e-12));
    if (value >= bound) {
      bound = value;
      c.certificate = std::move(other);
    }
  }
  RC_CLASSIFY(bound > 0.5 * best, "above half of the best schedule");
  RC_CLASSIFY(bound > 0.9 * best, "above nine tenths of the best schedule");
}

RC_GTEST_PROP(Certificates, ProveTheSameForAnyNumberOfThreadsAndAnyChunks, ()) {
  const testing::TempDir folder;
  testing::RandomCase random = exact_case(*rc::gen::arbitrary<std::uint64_t>(), 40, 20);
  const CertificateCase c(random, folder);
  const std::string exact = verified(c.trace, c.certificate).bound_exact;
  for (const std::size_t chunk_bytes : {std::size_t{1}, std::size_t{100}, std::size_t{1} << 20}) {
    const std::string path = testing::write_trace(folder.path("other.kvt"), testing::meta_of(c.shape),
                                                  testing::random_segment(c.shape), chunk_bytes);
    const TraceReader trace = TraceReader::open(path).value();
    for (unsigned threads = 1; threads <= 4; ++threads) {
      RC_ASSERT(verified(trace, c.certificate, threads).bound_exact == exact);
    }
  }
}

/// What all schedules obey, those of the claim about fewer do.
RC_GTEST_PROP(Certificates, ProveNoMoreOfMoreSchedules, ()) {
  const testing::TempDir folder;
  testing::RandomCase random = exact_case(*rc::gen::arbitrary<std::uint64_t>(), 20, 8);
  CertificateCase c(random, folder);
  c.vary(random);
  c.certificate.claim = Claim::kAny;
  const double any = verified(c.trace, c.certificate).bound.value();
  c.certificate.claim = Claim::kStep;
  const double step = verified(c.trace, c.certificate).bound.value();
  RC_ASSERT(any <= step);
  RC_CLASSIFY(any < step, "less");
}

RC_GTEST_PROP(Certificates, ReadBackAsWritten, ()) {
  const testing::TempDir folder;
  testing::RandomCase random = exact_case(*rc::gen::arbitrary<std::uint64_t>(), 20, 8);
  const CertificateCase c(random, folder);
  RC_ASSERT(write_certificate(folder.path("c.cert"), c.certificate).has_value());
  RC_ASSERT(read_certificate(folder.path("c.cert")).value() == c.certificate);
}

RC_GTEST_PROP(Certificates, ProveWhatAnEnumerationOfAllPathsGives, ()) {
  const testing::TempDir folder;
  testing::RandomCase random = exact_case(*rc::gen::arbitrary<std::uint64_t>(), 5, 3);
  testing::RandomTraceShape shape = random.shape();
  shape.layers = std::min(shape.layers, 2u);
  shape.reads = std::min(shape.reads, 4u);
  CertificateCase c(random, folder, shape);
  c.vary(random);
  const Int128 ticks = std::max<Int128>(0, Enumeration(c).ticks());
  RC_CLASSIFY(ticks > 0, "more than 0");
  RC_CLASSIFY(ticks > 0 && c.certificate.claim == Claim::kAny, "more than 0, claim any");
  std::istringstream exact(verified(c.trace, c.certificate).bound_exact);
  std::int64_t p = 0;
  std::int64_t q = 1;
  char slash = 0;
  exact >> p >> slash >> q;
  RC_ASSERT(slash == '/');
  RC_ASSERT(Int128{p} * static_cast<std::int64_t>(c.certificate.ticks_per_second) == ticks * q);
}

/// A group's credit against the step time itself, for any numbers of blocks missed and promoted, split as is best.
RC_GTEST_PROP(Certificates, CreditNoMoreThanWholeBlocksTake, ()) {
  const testing::TempDir folder;
  testing::RandomCase random = exact_case(*rc::gen::arbitrary<std::uint64_t>(), 4, 4);
  testing::RandomTraceShape shape = random.shape();
  shape.experts = 0;
  CertificateCase c(random, folder, shape);
  const BoundNumbers& n = c.certificate.numbers;
  RC_PRE(n.mode == Mode::kInclusive);
  c.certificate.claim = Claim::kStep;
  for (std::uint64_t& price : c.certificate.channel_prices[0]) {
    price /= random.one_of({1u, 1u, 2u, 1000000u});
  }
  const std::int64_t batch = n.batch;
  const std::int64_t block = n.kv_block_bytes.front();
  const std::uint32_t layers = n.barrier == Barrier::kToken ? n.layers : 1;
  Loads fixed;
  for (std::int64_t& bytes : fixed.bytes) {
    bytes = random.below(3) * batch * random.below(4000);
  }
  const std::int64_t reads = random.below(9);
  StepLoads loads;
  std::copy(fixed.bytes.begin(), fixed.bytes.end(), loads.fixed_bytes.begin());
  loads.units_read = reads * (block / c.certificate.unit_bytes);
  const Int128 beside = GroupValue(PathCosts(c.certificate)).ticks(0, loads, 0).value();
  const auto& a = c.certificate.channel_prices[0];
  const std::uint64_t far = a[1] + a[3];
  const bool split = n.mirrored_reads == MirroredReads::kSplit;
  double tightest = INFINITY;
  const auto most = std::min<std::int64_t>(8, std::int64_t{layers} * n.layers * n.blocks_per_layer);
  for (std::int64_t missed = 0; missed <= std::min(reads, most); ++missed) {
    for (std::int64_t passive = 0; passive <= missed; ++passive) {
      for (std::int64_t active = 0; missed + active <= most; ++active) {
        Loads all = fixed;
        const std::int64_t from_near = reads - missed;
        all.add(Transfer::kReadNear, Bytes(batch * block * from_near), batch * from_near);
        all.add(Transfer::kReadFar, Bytes(batch * block * missed), batch * missed);
        all.add(Transfer::kPromotePassive, Bytes(batch * block * passive), batch * passive);
        all.add(Transfer::kPromote, Bytes(batch * block * active), batch * active);
        const Movable movable{MovableBytes{Bytes(block), 1} * (split ? batch * from_near : 0), {}};
        const double overhead = c.instance.step_time().overhead().value() * layers;
        const double time = best_split(c.instance.step_time(), all, movable, layers).time.value() - overhead;
        const Int128 paid = Int128{static_cast<std::int64_t>(split ? std::min(a[0], far) : a[0])} * from_near +
                            Int128{static_cast<std::int64_t>(far)} * (missed + active) +
                            Int128{static_cast<std::int64_t>(a[0])} * (passive + active);
        const double proven = static_cast<double>(beside + paid * (block / c.certificate.unit_bytes)) /
                              static_cast<double>(c.certificate.ticks_per_second);
        RC_ASSERT(proven <= time * (1 + 1e-12));
        tightest = std::min(tightest, time - proven);
      }
    }
  }
  RC_CLASSIFY(tightest < 1e-4 * c.instance.step_time()(fixed, layers).value(), "none could be more");
}

/// Where reads may be split, without any prices, too.
RC_GTEST_PROP(Certificates, WithoutPricesProveThePerfectSplit, ()) {
  const testing::TempDir folder;
  testing::RandomCase random = exact_case(*rc::gen::arbitrary<std::uint64_t>(), 12, 8);
  testing::RandomTraceShape shape = random.shape();
  shape.read_bytes = false;
  CertificateCase c(random, folder, shape);
  c.spec.options.mode = Mode::kInclusive;
  c.spec.options.mirrored_reads = MirroredReads::kSplit;
  c.spec.options.overlap = Overlap::kFull;
  c.spec.hardware.interference = 0;
  c.instance = Instance::make(c.spec, c.trace.meta(), c.trace.totals()).value();
  c.certificate = testing::RandomPrices(random).certificate(bound_numbers(c.instance, c.trace).value(), c.trace.meta());
  c.certificate.claim = Claim::kStep;
  c.certificate.channel_prices.assign(c.certificate.channel_prices.size(), {});
  c.certificate.row_prices.assign(c.certificate.row_prices.size(), 0);
  c.certificate.start_price = 0;
  c.certificate.ticks_per_second = std::uint64_t{1} << 54;
  ElementaryBounds elementary(c.instance);
  const Segment records = testing::random_segment(c.shape);
  for (std::uint32_t step = 0; step < c.instance.steps(); ++step) {
    for (std::uint32_t layer = 0; layer < c.instance.layers(); ++layer) {
      elementary.add(records.view(step, layer));
    }
  }
  const double split = elementary.perfect_split().value();
  const double bound = verified(c.trace, c.certificate).bound.value();
  RC_ASSERT(bound <= split * (1 + 1e-12));
  // Times of a unit and of a step are whole ticks.
  const BoundNumbers& n = c.certificate.numbers;
  const double fastest =
      static_cast<double>(*std::max_element(n.bandwidth_bytes_per_second.begin(), n.bandwidth_bytes_per_second.end()));
  const double ticks_of_unit = 0x1p54 * static_cast<double>(c.certificate.unit_bytes * n.batch) / fastest;
  RC_ASSERT(bound >= split * (1 - 1e-6 - 1 / ticks_of_unit));
}

/// One process of Python for all cases; it prints three lines for each.
TEST(CertificatesInPython, AgreeDigitForDigit) {
  constexpr int kCases = 80;
  const testing::TempDir folder;
  std::ostringstream expected;
  for (int i = 0; i < kCases; ++i) {
    testing::RandomCase random = exact_case(static_cast<std::uint64_t>(i), 12, 10);
    CertificateCase c(random, folder);
    c.vary(random);
    if (i % 8 == 7) {  // not valid: the first group claims too much
      c.certificate.channel_prices[0][0] += c.certificate.ticks_per_second;
    }
    const std::string name = folder.path(std::to_string(i));
    std::filesystem::rename(c.path, name + ".kvt");
    ASSERT_TRUE(write_certificate(name + ".cert", c.certificate));
    const Result<VerifiedBound> bound = verify(c.trace, c.certificate, {});
    if (bound) {
      expected << bound->bound_exact << "\n" << bound->bound_decimal << "\n0\n";
    } else {
      ASSERT_EQ(bound.error().kind, ErrorKind::kRejected);
      expected << "4\n";
    }
  }
  const std::string script = folder.write("all.py", "import sys\nsys.path.insert(0, '" KVPLACE_SOURCE_DIR
                                                    "/tools')\nimport verify_certificate\nfor i in range(" +
                                                        std::to_string(kCases) + "):\n    name = '" + folder.path("") +
                                                        "' + str(i)\n    print(verify_certificate.main("
                                                        "[name + '.kvt', name + '.cert']))\n");
  const std::string out = folder.path("out.txt");
  const std::string command =
      "PYTHONDONTWRITEBYTECODE=1 " KVPLACE_PYTHON " " + script + " > " + out + " 2> " + out + ".err";
  ASSERT_EQ(std::system(command.c_str()), 0) << testing::TempDir::read(out + ".err");
  EXPECT_EQ(testing::TempDir::read(out), expected.str());
}

}  // namespace
}  // namespace kvplace
