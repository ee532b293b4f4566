/// Long work called from Python: without the GIL, with progress, ended by Ctrl-C.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include "bindings/errors.h"
#include "kvplace/base/run_context.h"

namespace kvplace::python {

/// The arguments every long call has in Python.
struct RunArguments {
  unsigned threads = 0;
  nanobind::object progress;             ///< None, or an object with start(what, total, unit), update(done), finish()
  const Interrupt* interrupt = nullptr;  ///< a stop request of the caller's, or null
};

/// Calls `work` on a thread of its own while this one, with the GIL released, waits: it forwards progress and sees to
/// signals and to the caller's stop request a few times a second. If a signal handler or a progress method raises, the
/// work is asked to stop, and the Python exception is thrown when it has. REQUIRES: the GIL is held.
void run_work(const RunArguments& arguments, const std::function<void(const RunContext&)>& work);

/// The value of `work`, a function of RunContext that returns a Result<T> or a Status.
template <class Work>
auto run(const RunArguments& arguments, Work&& work) {
  std::optional<std::invoke_result_t<Work, const RunContext&>> result;
  run_work(arguments, [&](const RunContext& context) { result.emplace(work(context)); });
  return unwrap(std::move(*result));
}

}  // namespace kvplace::python
