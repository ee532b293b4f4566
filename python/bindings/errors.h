/// From Result<T> to values and Python exceptions.
#pragma once

#include <exception>
#include <utility>

#include "kvplace/base/result.h"

namespace kvplace::python {

/// An Error on its way to Python, where it becomes kvplace.BadInput, Failed, Rejected or Interrupted with the same
/// sentence.
class ErrorException : public std::exception {
 public:
  explicit ErrorException(Error error) : error_(std::move(error)) {}
  [[nodiscard]] const Error& error() const { return error_; }
  [[nodiscard]] const char* what() const noexcept override { return error_.message.c_str(); }

 private:
  Error error_;
};

/// Whether a result's files could be written; the result stands if they could not.
struct Outputs {
  Status status;
};

/// The value; throws ErrorException if there is none.
template <class T>
T unwrap(Result<T> result) {
  if (!result) {
    throw ErrorException(std::move(result).error());
  }
  if constexpr (!std::is_void_v<T>) {
    return std::move(*result);
  }
}

}  // namespace kvplace::python
