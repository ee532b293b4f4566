// Certificates are rejected or prove something true: whole files as they come, files whose checksums are right, and
// prices drawn from the bytes for an instance whose schedules are known.
#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "import_fuzz.h"
#include "kvplace/bound/verify.h"
#include "kvplace/simulate/replay.h"
#include "kvplace/trace/writer.h"
#include "trace/byte_order.h"
#include "trace/kvt_format.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kSteps = 6;
constexpr std::uint32_t kLayers = 2;

/// A trace of pages, the instance it makes and the shortest time among some schedules.
class Fixture {
 public:
  Fixture() {
    const std::string path = fuzz::output_path("certificate.kvt");
    TraceMeta meta;
    meta.layers = kLayers;
    meta.layout.block_tokens = 2;
    meta.layout.prompt_tokens = 8;
    meta.block_bytes = Bytes(1000);
    TraceWriter writer = TraceWriter::create(path, meta).value();
    for (std::uint32_t step = 0; step < kSteps; ++step) {
      for (std::uint32_t layer = 0; layer < kLayers; ++layer) {
        const std::vector reads{BlockId((step + layer) % 3), BlockId(3), BlockId(4 + step / 2)};
        const std::vector appended{BlockId(4 + step / 2)};
        StepView record;
        record.step = StepIndex(step);
        record.layer = LayerIndex(layer);
        record.reads = reads;
        record.appended = appended;
        REQUIRE(writer.add(record).has_value());
      }
    }
    REQUIRE(writer.finish().has_value());
    trace = TraceReader::open(path).value();
    std::filesystem::remove(path);
    InstanceSpec spec;
    spec.hardware.name = "fuzz";
    spec.hardware.interference = 0.25;
    spec.hardware.near.capacity = Bytes(1'000'000);
    spec.hardware.near.bandwidth.spec = BytesPerSecond(4e12);
    spec.hardware.far.capacity = Bytes(1'000'000);
    spec.hardware.far.bandwidth.spec = BytesPerSecond(5e11);
    spec.hardware.far.link_read.spec = BytesPerSecond(4e11);
    spec.hardware.far.link_write.spec = BytesPerSecond(4e11);
    spec.options.near_blocks_per_layer = 2;
    const Instance instance = Instance::make(spec, trace->meta(), trace->totals()).value();
    certificate.numbers = bound_numbers(instance, *trace).value();
    certificate.ticks_per_second = 1'000'000'000'000;
    certificate.unit_bytes = 1000;
    certificate.channel_prices.assign(num_groups(certificate.numbers), {100, 0, 0, 1000});
    certificate.row_prices.assign(kSteps * kLayers, 10);
    std::vector<ReplayJob> jobs;
    for (const char* policy : {"lru", "belady-global", "belady-balanced", "static"}) {
      jobs.push_back({&instance, PolicyRegistry::instance().parse(policy).value()});
    }
    const std::vector<ReplayResult> results = replay(*trace, jobs, {}).value();
    for (const ReplayResult& result : results) {
      shortest = std::min(shortest, result.total.value());
    }
  }

  std::optional<TraceReader> trace;
  Certificate certificate;
  double shortest = INFINITY;
};

void check(const Fixture& fixture, const Certificate& certificate) {
  RunContext context;
  context.threads = 1;
  const Result<VerifiedBound> bound = verify(*fixture.trace, certificate, context);
  if (!bound) {
    REQUIRE(bound.error().kind == ErrorKind::kRejected);
  } else if (certificate.numbers == fixture.certificate.numbers) {
    REQUIRE(bound->bound.value() <= fixture.shortest * (1 + 1e-12));
  }
}

void read(const Fixture& fixture, const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFile file(data, size);
  const Result<Certificate> certificate = read_certificate(file.path());
  if (!certificate) {
    REQUIRE(certificate.error().kind == ErrorKind::kRejected);
    return;
  }
  check(fixture, *certificate);
}

/// The bytes with the sizes and checksums that a certificate of their length has.
std::vector<std::uint8_t> sealed(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kPreamble = 16;
  std::vector<std::uint8_t> bytes(data, data + size);
  const std::size_t head = size < kPreamble ? 0 : kPreamble + load_little_endian<std::uint32_t>(data + 12);
  if (head == 0 || head + 24 > size) {
    return bytes;
  }
  const auto sum = [&bytes](std::size_t begin, std::size_t end) {
    return kvt::checksum(std::as_bytes(std::span(bytes.data() + begin, end - begin)));
  };
  store_little_endian(bytes.data() + head, sum(0, head));
  store_little_endian(bytes.data() + head + 8, std::uint64_t{size - head - 24});
  store_little_endian(bytes.data() + size - 8, sum(head + 8, size - 8));
  return bytes;
}

/// Every word of the input replaces or shifts one number.
void draw(const Fixture& fixture, const std::uint8_t* data, std::size_t size) {
  Certificate c = fixture.certificate;
  constexpr std::size_t kWord = 1 + sizeof(std::uint64_t);
  for (std::size_t at = 0; at + kWord <= size; at += kWord) {
    const std::size_t place = data[at];
    const auto value = load_little_endian<std::uint64_t>(data + at + 1) >> (data[at + 1] % 64);
    if (place < 128) {
      c.channel_prices[place / 4 % c.channel_prices.size()][place % 4] = value;
    } else if (place < 200) {
      c.row_prices[place % c.row_prices.size()] = value;
    } else if (place < 210) {
      c.ticks_per_second = value;
    } else if (place < 215) {
      c.unit_bytes = static_cast<std::int64_t>(value);
    } else if (place < 220) {
      c.start_price = value;
    } else if (place < 225) {
      c.claim = place % 2 == 0 ? Claim::kAny : Claim::kStep;
      c.numbers.fixed_bytes.front()[place % 4].per_token = static_cast<std::int64_t>(value);
    } else if (place < 230) {
      c.numbers.fixed_bytes.front()[place % 4].bytes = static_cast<std::int64_t>(value);
    } else if (place < 240) {
      c.numbers.bandwidth_bytes_per_second[place % 4] = static_cast<std::int64_t>(value);
    } else {
      BoundNumbers& n = c.numbers;
      std::int64_t* const numbers[] = {
          &n.batch,       &n.kv_block_bytes.front(), &n.new_kv_bytes.front(), &n.capacity_bytes,
          &n.floor_units, &n.overhead_units};
      *numbers[place % 6] = static_cast<std::int64_t>(value);
    }
  }
  check(fixture, c);
}

}  // namespace
}  // namespace kvplace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const kvplace::Fixture fixture;
  kvplace::read(fixture, data, size);
  const std::vector<std::uint8_t> sealed = kvplace::sealed(data, size);
  kvplace::read(fixture, sealed.data(), sealed.size());
  kvplace::draw(fixture, data, size);
  return 0;
}
