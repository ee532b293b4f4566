#include "bindings/run.h"

#include <nanobind/stl/string.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kvplace/base/file_guard.h"

namespace nb = nanobind;

namespace kvplace::python {
namespace {

/// What the working thread has to say, kept until the calling one takes it.
class Relay final : public Progress {
 public:
  struct Event {
    enum class Kind { kStart, kUpdate, kFinish } kind;
    std::uint64_t number = 0;  ///< total or done
    std::string what = {};
    std::string unit = {};
  };

  void start(std::string_view what, std::uint64_t total, std::string_view unit) override {
    push({Event::Kind::kStart, total, std::string(what), std::string(unit)});
  }
  void update(std::uint64_t done) override { push({Event::Kind::kUpdate, done}); }
  void finish() override { push({Event::Kind::kFinish}); }

  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_one();
  }
  /// Waits for the end, at most until the next look at signals is due.
  bool wait_for_end() {
    constexpr auto kLookEvery = std::chrono::milliseconds(50);
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLookEvery, [this] { return ended_; });
  }
  [[nodiscard]] std::vector<Event> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }

 private:
  void push(Event event) {
    const std::lock_guard lock(mutex_);
    if (event.kind == Event::Kind::kUpdate && !events_.empty() && events_.back().kind == Event::Kind::kUpdate) {
      events_.back() = std::move(event);
    } else {
      events_.push_back(std::move(event));
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::vector<Event> events_;
};

void forward(Relay& relay, const nb::object& progress) {
  for (const Relay::Event& event : relay.take()) {
    switch (event.kind) {
      case Relay::Event::Kind::kStart:
        progress.attr("start")(event.what, event.number, event.unit);
        break;
      case Relay::Event::Kind::kUpdate:
        progress.attr("update")(event.number);
        break;
      case Relay::Event::Kind::kFinish:
        progress.attr("finish")();
        break;
    }
  }
}

}  // namespace

void run_work(const RunArguments& arguments, const std::function<void(const RunContext&)>& work) {
  const bool shows_progress = !arguments.progress.is_none();
  Relay relay;
  Interrupt stop;
  RunContext context;
  context.threads = arguments.threads;
  context.progress = shows_progress ? &relay : nullptr;
  context.interrupt = &stop;
  const auto heed_caller = [&] {
    if (arguments.interrupt != nullptr && arguments.interrupt->requested()) {
      stop.request();
    }
  };
  heed_caller();

  std::exception_ptr thrown_by_work;
  std::exception_ptr thrown_by_python;
  {
    const nb::gil_scoped_release released;
    const std::jthread worker([&] {
      try {
        const FileScope files;  // what the call reads and writes
        work(context);
      } catch (...) {
        thrown_by_work = std::current_exception();
      }
      relay.end();
    });
    const auto attend = [&] {
      const nb::gil_scoped_acquire acquired;
      try {
        if (PyErr_CheckSignals() != 0) {
          throw nb::python_error();
        }
        if (shows_progress) {
          forward(relay, arguments.progress);
        }
      } catch (...) {
        thrown_by_python = std::current_exception();
        stop.request();
      }
    };
    while (!relay.wait_for_end()) {
      heed_caller();
      if (!thrown_by_python) {
        attend();
      }
    }
    if (!thrown_by_python) {
      attend();
    }
  }
  if (thrown_by_python) {
    std::rethrow_exception(thrown_by_python);
  }
  if (thrown_by_work) {
    std::rethrow_exception(thrown_by_work);
  }
}

void bind_run(nb::module_& module) {
  nb::class_<Interrupt>(module, "Interrupt",
                        "A request to stop that another thread may set while a long call runs.\n\n"
                        "Pass it as ``interrupt=``. ``compare`` and ``replay`` then return what they have so far; "
                        "other calls raise ``Interrupted``.")
      .def(nb::init<>())
      .def("request", &Interrupt::request, "Asks for the end of every call this object was passed to.")
      .def_prop_ro("requested", &Interrupt::requested, "Whether request() was called.");
}

}  // namespace kvplace::python
