/// Small random instances with every feature of the formulation, on random machines whose channels are about equal, so
/// that none of them decides alone.
#pragma once

#include <rapidcheck.h>

#include <string>

#include "kvplace/instance/instance.h"
#include "kvplace/trace/reader.h"
#include "support/paper_machine.h"
#include "support/random_trace.h"
#include "support/temp_dir.h"

namespace kvplace::testing {

/// One value of a generator over all of its range, however few cases were drawn before.
template <class T>
T drawn(const rc::Gen<T>& generator) {
  return *rc::gen::resize(rc::kNominalSize, generator);
}

/// What a random instance may be at most.
struct SmallShape {
  std::uint32_t layers = 2;
  std::uint32_t steps = 4;
  std::uint32_t prompt_tokens = 4;
  std::uint32_t reads = 3;
  std::uint32_t near_pages = 3;
};

class RandomInstance {
 public:
  explicit RandomInstance(const SmallShape& most) {
    RandomTraceShape shape;
    shape.seed = drawn(rc::gen::arbitrary<std::uint64_t>());
    shape.layers = drawn(rc::gen::inRange(1u, most.layers + 1));
    shape.steps = drawn(rc::gen::inRange(1u, most.steps + 1));
    shape.prompt_tokens = drawn(rc::gen::inRange(0u, most.prompt_tokens + 1));
    shape.block_tokens = drawn(rc::gen::element(1u, 1u, 2u, 3u));
    shape.experts = drawn(rc::gen::element(0u, 0u, 0u, 2u));
    shape.requests = drawn(rc::gen::element(1u, 1u, 1u, 2u));
    shape.reads = drawn(rc::gen::inRange(1u, most.reads + 1));
    shape.read_bytes = drawn(rc::gen::element(false, false, true));
    path_ = write_random_trace(folder_.path("t.kvt"), shape);

    spec.hardware = paper_machine();
    const auto rate = [] { return BytesPerSecond(1e6 * drawn(rc::gen::inRange(300, 1000))); };
    // Promotion makes near slower than far if it is not much faster.
    spec.hardware.near.bandwidth.spec = rate() * drawn(rc::gen::element(1.0, 3.0, 10.0));
    spec.hardware.far.bandwidth.spec = rate();
    spec.hardware.far.link_read.spec = rate();
    spec.hardware.far.link_write.spec = rate();
    spec.hardware.interference = drawn(rc::gen::element(0.0, 0.0, 0.1, 0.5));
    spec.hardware.step_overhead = Seconds(drawn(rc::gen::element(0.0, 0.0, 1e-6)));
    InstanceOptions& options = spec.options;
    const std::int64_t page = 1000 * std::int64_t{shape.block_tokens};
    options.block_bytes = Bytes(page);
    if (shape.experts > 0 || drawn(rc::gen::inRange(0, 4)) == 0) {
      Model model;
      model.layers = shape.layers;
      model.kv_bytes_per_token_per_layer = Bytes(1000);
      model.experts.bytes_per_expert = Bytes(drawn(rc::gen::element(page / 2, 2 * page, std::int64_t{1700})));
      model.flops_per_layer_per_step = Flops(drawn(rc::gen::element(0.0, 500.0, 3000.0)));
      spec.hardware.peak_flops = FlopsPerSecond(1e9);
      spec.model = model;
    }
    options.batch = shape.experts > 0 ? 1 : drawn(rc::gen::inRange(1u, 4u));
    // Also what no number of pages fills.
    options.near_capacity = Bytes(page * drawn(rc::gen::inRange(2u, 4 * most.near_pages)) / 4 * options.batch);
    options.mode = drawn(rc::gen::element(Mode::kInclusive, Mode::kExclusive));
    options.barrier = drawn(rc::gen::element(Barrier::kLayer, Barrier::kToken));
    options.overlap = drawn(rc::gen::element(Overlap::kFull, Overlap::kFull, Overlap::kNone));
    options.start = drawn(rc::gen::element(Start::kRecent, Start::kEmpty, Start::kFree));
    if (options.mode == Mode::kInclusive) {
      options.mirrored_reads = drawn(rc::gen::element(MirroredReads::kNear, MirroredReads::kSplit));
    }
    options.weight_bytes_per_step = Bytes(drawn(rc::gen::element(0, 0, 500, 3000)));
    options.weights_near = drawn(rc::gen::element(1.0, 0.5));
    options.new_kv = drawn(rc::gen::element(true, true, false));
  }

  [[nodiscard]] TraceReader trace() const { return TraceReader::open(path_).value(); }
  [[nodiscard]] Instance instance() const {
    const TraceReader reader = trace();
    return Instance::make(spec, reader.meta(), reader.totals()).value();
  }

  InstanceSpec spec;

 private:
  TempDir folder_;
  std::string path_;
};

/// All records of a small trace.
inline Segment all_records(const TraceReader& trace) {
  Segment all(StepIndex(0), trace.meta().layers);
  for (std::size_t chunk = 0; chunk < trace.num_chunks(); ++chunk) {
    const Segment segment = trace.chunk(chunk).value();
    for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
        const StepView view = segment.view(step, layer);
        all.add(view.reads, view.appended, view.ranking, view.read_bytes);
      }
    }
  }
  return all;
}

}  // namespace kvplace::testing
