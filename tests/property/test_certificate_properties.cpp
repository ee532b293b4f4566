// What certificates prove: never more than any schedule takes, exactly what an enumeration of all residency paths
// gives, and the same to the digit as the verifier in Python.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <sstream>

#include "bound/int128.h"
#include "kvplace/bound/verify.h"
#include "kvplace/simulate/replay.h"
#include "support/random_bound_case.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

struct Case {
  Case(testing::RandomCase& random, const testing::TempDir& folder, std::uint32_t most_steps, std::uint32_t most_prompt)
      : Case(random, folder, random.shape(most_steps, most_prompt)) {}
  Case(testing::RandomCase& random, const testing::TempDir& folder, const testing::RandomTraceShape& the_shape)
      : shape(the_shape),
        path(testing::write_random_trace(folder.path("t.kvt"), shape)),
        trace(TraceReader::open(path).value()),
        spec(random.spec(shape)),
        instance(Instance::make(spec, trace.meta(), trace.totals()).value()),
        certificate(random.certificate(bound_numbers(instance, trace).value(), trace.meta())) {}

  testing::RandomTraceShape shape;
  std::string path;
  TraceReader trace;
  InstanceSpec spec;
  Instance instance;
  Certificate certificate;
};

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
double best_replayed(const Case& c) {
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
  testing::RandomCase random(*rc::gen::arbitrary<std::uint64_t>());
  Case c(random, folder, 12, 8);
  const double best = best_replayed(c);
  double bound = verified(c.trace, c.certificate).bound.value();
  RC_ASSERT(bound <= best * (1 + 1e-12));
  for (int i = 0; i < 150; ++i) {
    Certificate other = c.certificate;
    random.mutate(other);
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
  testing::RandomCase random(*rc::gen::arbitrary<std::uint64_t>());
  const Case c(random, folder, 40, 20);
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

RC_GTEST_PROP(Certificates, ReadBackAsWritten, ()) {
  const testing::TempDir folder;
  testing::RandomCase random(*rc::gen::arbitrary<std::uint64_t>());
  const Case c(random, folder, 20, 8);
  RC_ASSERT(write_certificate(folder.path("c.cert"), c.certificate).has_value());
  RC_ASSERT(read_certificate(folder.path("c.cert")).value() == c.certificate);
}

/// All residency paths of each block, one after the other, by the rules as docs/certificate.md states them.
class Enumeration {
 public:
  explicit Enumeration(const Case& c) : c_(c), n_(c.certificate.numbers), segment_(testing::random_segment(c.shape)) {}

  Int128 ticks() {
    Int128 total = 0;
    for (std::uint32_t step = 0; step < n_.steps; ++step) {
      for (std::uint32_t layer = 0; layer < n_.layers; ++layer) {
        total += fixed(segment_.view(step, layer));
        total -= Int128{mu(step, layer)} * (n_.capacity_bytes / unit());
      }
    }
    total -= Int128{c_.certificate.start_price} * (n_.capacity_bytes / unit());
    for (const auto& prices : c_.certificate.channel_prices) {
      total += group(prices);
    }
    for (std::uint32_t layer = 0; layer < n_.layers; ++layer) {
      for (std::uint32_t id = 0; id < n_.blocks_per_layer; ++id) {
        total += cheapest(layer, id);
      }
    }
    return total;
  }

 private:
  [[nodiscard]] std::int64_t unit() const { return c_.certificate.unit_bytes; }
  [[nodiscard]] std::uint64_t mu(std::uint32_t step, std::uint32_t layer) const {
    return c_.certificate.row_prices[step * n_.layers + layer];
  }
  [[nodiscard]] Int128 price(std::uint32_t step, std::uint32_t layer, std::size_t channel) const {
    const std::size_t group = n_.barrier == Barrier::kToken ? step : step * n_.layers + layer;
    return c_.certificate.channel_prices[group][channel];
  }
  static bool holds(std::span<const BlockId> ids, std::uint32_t id) {
    return std::find(ids.begin(), ids.end(), BlockId(id)) != ids.end();
  }
  [[nodiscard]] std::int64_t size(std::uint32_t id) const {
    return id < c_.shape.experts ? n_.expert_block_bytes : n_.kv_block_bytes;
  }
  /// Bytes read of the block in the record; 0 if it is not read.
  [[nodiscard]] std::int64_t bytes_read(const StepView& record, std::uint32_t id) const {
    for (std::size_t i = 0; i < record.reads.size(); ++i) {
      if (record.reads[i].value() == id) {
        const bool whole = record.read_bytes.empty() || record.read_bytes[i] == 0;
        return whole ? size(id) : std::min(size(id), std::int64_t{record.read_bytes[i]});
      }
    }
    return 0;
  }

  [[nodiscard]] Int128 group(const std::array<std::uint64_t, kNumChannels>& prices) const {
    const Int128 layers = n_.barrier == Barrier::kToken ? n_.layers : 1;
    const Int128 second = Int128{1} << 60;
    const Int128 whole = Int128{c_.certificate.ticks_per_second} * unit() * n_.batch;
    std::array<Int128, kNumChannels> m{};
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      m[c] = Int128{prices[c]} * n_.bandwidth_bytes_per_second[c];
    }
    Int128 claimed = std::max(m[0], m[1] + m[2] + m[3]);
    if (n_.overlap == Overlap::kFull) {
      const Int128 scaled = (m[0] + m[1] + m[2] + m[3]) * (1 << 20);
      const Int128 by = (1 << 20) + n_.interference_2_20;
      claimed = std::max({m[0], m[1], m[2], m[3], scaled / by + (scaled % by != 0 ? 1 : 0)});
    }
    const Int128 overhead = Int128{n_.overhead_units} * c_.certificate.ticks_per_second / second;
    const Int128 floor = Int128{n_.floor_units} * c_.certificate.ticks_per_second / second;
    return layers * overhead + (whole - claimed) * (layers * floor) / whole;
  }

  [[nodiscard]] Int128 fixed(const StepView& record) const {
    const std::uint32_t step = record.step.value();
    const std::uint32_t layer = record.layer.value();
    std::array<Int128, kNumChannels> bytes{};
    for (const BlockId id : record.appended) {
      bytes[0] += bytes_read(record, id.value());
      if (n_.mode == Mode::kInclusive) {
        bytes[0] += n_.new_kv_bytes;
        bytes[2] += n_.new_kv_bytes;
        bytes[3] += n_.new_kv_bytes;
      }
    }
    Int128 sum = 0;
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      sum += price(step, layer, c) * (n_.weight_bytes[c] + n_.batch * bytes[c]);
    }
    return sum / (Int128{unit()} * n_.batch);
  }

  /// From step k on, being on side x while it runs (if the block exists by then).
  Int128 from(std::uint32_t layer, std::uint32_t id, std::uint32_t k, bool exists, bool x) {
    if (k == n_.steps * n_.layers) {
      return 0;
    }
    const std::uint32_t step = k / n_.layers;
    const std::uint32_t of = k % n_.layers;
    const Int128 near = price(step, of, 0);
    const Int128 far_read = price(step, of, 1) + price(step, of, 3);
    const Int128 far_write = price(step, of, 2) + price(step, of, 3);
    const Int128 whole = size(id) / unit();
    const bool exclusive = n_.mode == Mode::kExclusive;
    const Int128 new_kv = exclusive ? n_.new_kv_bytes / unit() : 0;
    const StepView record = segment_.view(step, of);
    const bool appended = of == layer && holds(record.appended, id);
    const bool read = of == layer && holds(record.reads, id) && !appended;
    if (!exists && !appended) {
      return from(layer, id, k + 1, false, false);
    }
    std::optional<Int128> best;
    for (const bool next : {false, true}) {
      Int128 cost = next ? whole * mu(step, of) : 0;
      if (!exists) {
        cost += new_kv * (next ? near : far_write);
      } else {
        const Int128 units = read ? bytes_read(record, id) / unit() : 0;
        const bool split = n_.mirrored_reads == MirroredReads::kSplit;
        cost += x ? units * (split ? std::min(near, far_read) : near) : units * far_read;
        cost += appended ? new_kv * (x ? near : far_write) : 0;
        if (!x && next) {
          cost += units * near + (whole - units) * (near + far_read);  // no units are read: all is promoted actively
        }
        if (x && !next && exclusive) {
          cost += whole * (near + far_write);
        }
      }
      cost += from(layer, id, k + 1, true, next);
      best = best ? std::min(*best, cost) : cost;
    }
    return *best;
  }

  Int128 cheapest(std::uint32_t layer, std::uint32_t id) {
    const BlockLayout layout = testing::meta_of(c_.shape).layout;
    if (id >= layout.initial_blocks()) {
      return from(layer, id, 0, false, false);
    }
    const std::int64_t places = std::min(n_.capacity_bytes / (n_.kv_block_bytes * n_.layers),
                                         std::int64_t{layout.prompt_pages()} * layout.requests);
    switch (n_.start) {
      case Start::kEmpty:
        return from(layer, id, 0, true, false);
      case Start::kRecent:
        return from(layer, id, 0, true, std::int64_t{id} >= std::int64_t{layout.initial_blocks()} - places);
      case Start::kFree:
        break;
    }
    return std::min(from(layer, id, 0, true, false),
                    from(layer, id, 0, true, true) + Int128{c_.certificate.start_price} * (size(id) / unit()));
  }

  const Case& c_;
  const BoundNumbers& n_;
  Segment segment_;
};

RC_GTEST_PROP(Certificates, ProveWhatAnEnumerationOfAllPathsGives, ()) {
  const testing::TempDir folder;
  testing::RandomCase random(*rc::gen::arbitrary<std::uint64_t>());
  testing::RandomTraceShape shape = random.shape(5, 3);
  shape.layers = std::min(shape.layers, 2u);
  shape.reads = std::min(shape.reads, 4u);
  const Case c(random, folder, shape);
  const Int128 ticks = std::max<Int128>(0, Enumeration(c).ticks());
  RC_CLASSIFY(ticks > 0, "more than 0");
  std::istringstream exact(verified(c.trace, c.certificate).bound_exact);
  std::int64_t p = 0;
  std::int64_t q = 1;
  char slash = 0;
  exact >> p >> slash >> q;
  RC_ASSERT(slash == '/');
  RC_ASSERT(Int128{p} * static_cast<std::int64_t>(c.certificate.ticks_per_second) == ticks * q);
}

/// One process of Python for all cases; it prints three lines for each.
TEST(CertificatesInPython, AgreeDigitForDigit) {
  constexpr int kCases = 80;
  const testing::TempDir folder;
  std::ostringstream expected;
  for (int i = 0; i < kCases; ++i) {
    testing::RandomCase random(static_cast<std::uint64_t>(i));
    Case c(random, folder, 12, 10);
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
  const std::string command = "PYTHONDONTWRITEBYTECODE=1 python3 " + script + " > " + out + " 2> " + out + ".err";
  ASSERT_EQ(std::system(command.c_str()), 0) << testing::TempDir::read(out + ".err");
  EXPECT_EQ(testing::TempDir::read(out), expected.str());
}

}  // namespace
}  // namespace kvplace
