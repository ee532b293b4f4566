/// Random instances of rapidcheck, which makes those smaller that a test fails on.
#pragma once

#include <rapidcheck.h>

#include <string>
#include <utility>
#include <vector>

#include "kvplace/instance/instance.h"
#include "kvplace/trace/reader.h"
#include "support/random_case.h"
#include "support/temp_dir.h"

namespace kvplace::testing {

/// One value of a generator over all of its range, however few cases were drawn before.
template <class T>
T drawn(const rc::Gen<T>& generator) {
  return *rc::gen::resize(rc::kNominalSize, generator);
}

/// Choices of rapidcheck.
inline RandomCase drawn_case(const CaseLimits& most) {
  return {[](std::uint32_t bound) { return drawn(rc::gen::inRange(0u, bound)); }, most};
}

/// A random trace in a folder of its own, and what an instance for it is made of.
struct RandomInstance {
  explicit RandomInstance(const CaseLimits& most) : RandomInstance(drawn_case(most)) {}
  explicit RandomInstance(RandomCase&& random) : RandomInstance(random, random.shape()) {}
  RandomInstance(RandomCase& random, const RandomTraceShape& the_shape)
      : shape(the_shape), spec(random.spec(shape)), path(write_random_trace(folder.path("t.kvt"), shape)) {}

  [[nodiscard]] TraceReader trace() const { return TraceReader::open(path).value(); }
  [[nodiscard]] Instance instance() const {
    const TraceReader reader = trace();
    return Instance::make(spec, reader.meta(), reader.totals()).value();
  }

  TempDir folder;
  RandomTraceShape shape;
  InstanceSpec spec;
  std::string path;
};

/// All records of a small trace.
inline Segment all_records(const TraceReader& trace) {
  Segment all(StepIndex(0), trace.meta().layers);
  std::vector<std::uint32_t> written;
  for (std::size_t chunk = 0; chunk < trace.num_chunks(); ++chunk) {
    const Segment segment = trace.chunk(chunk).value();
    for (std::uint32_t step = segment.first_step(); step < segment.end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < segment.layers(); ++layer) {
        const StepView view = segment.view(step, layer);
        all.add(view.reads, view.appended, view.ranking, view.read_bytes);
        written.insert(written.end(), view.written_tokens.begin(), view.written_tokens.end());
      }
    }
  }
  if (trace.totals().step_tokens != nullptr) {
    all.set_tokens(*trace.totals().step_tokens, std::move(written));
  }
  return all;
}

}  // namespace kvplace::testing
