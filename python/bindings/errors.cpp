#include "bindings/errors.h"

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace kvplace::python {
namespace {

/// The class of kvplace._errors that stands for a kind of error.
const char* class_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kFailed:
      return "Failed";
    case ErrorKind::kBadInput:
      return "BadInput";
    case ErrorKind::kInterrupted:
      return "Interrupted";
    case ErrorKind::kRejected:
      return "Rejected";
  }
  return "Failed";
}

void translate(const std::exception_ptr& exception, void*) {
  try {
    std::rethrow_exception(exception);
  } catch (const ErrorException& thrown) {
    const nb::object type = nb::module_::import_("kvplace._errors").attr(class_of(thrown.error().kind));
    // A file's name may hold bytes that are no UTF-8.
    PyObject* text =
        PyUnicode_DecodeUTF8(thrown.what(), static_cast<Py_ssize_t>(thrown.error().message.size()), "backslashreplace");
    PyErr_SetObject(type.ptr(), text);
    Py_XDECREF(text);
  }
}

}  // namespace

void bind_errors(nb::module_& module) {
  nb::register_exception_translator(translate);
  nb::class_<Outputs>(module, "Outputs")
      .def("check", [](const Outputs& outputs) { unwrap(outputs.status); }, "Raises what kept one from being written.");
}

}  // namespace kvplace::python
