/// How calls fail: Result<T> holds a value or an Error with one clear sentence.
///
/// The library never prints, exits or throws for an expected failure.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace kvplace {

enum class ErrorKind {
  kFailed,       ///< could not be done: disk full, out of memory, a policy that broke a rule
  kBadInput,     ///< the user's input is wrong; the message names file, place and mend
  kInterrupted,  ///< stopped on request before anything useful was known
  kRejected,     ///< a certificate or a schedule does not prove what it claims
};

struct Error {
  ErrorKind kind = ErrorKind::kFailed;
  std::string message;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = tl::expected<void, Error>;

[[nodiscard]] inline tl::unexpected<Error> bad_input(std::string message) {
  return tl::unexpected(Error{ErrorKind::kBadInput, std::move(message)});
}
[[nodiscard]] inline tl::unexpected<Error> failed(std::string message) {
  return tl::unexpected(Error{ErrorKind::kFailed, std::move(message)});
}
[[nodiscard]] inline tl::unexpected<Error> rejected(std::string message) {
  return tl::unexpected(Error{ErrorKind::kRejected, std::move(message)});
}
[[nodiscard]] inline tl::unexpected<Error> interrupted(std::string message) {
  return tl::unexpected(Error{ErrorKind::kInterrupted, std::move(message)});
}

}  // namespace kvplace

/// Returns early with the error of `expression`, a Result or a Status.
#define KVPLACE_TRY(expression)                                 \
  do {                                                          \
    auto&& kvplace_status = (expression);                       \
    if (!kvplace_status) {                                      \
      return tl::unexpected(std::move(kvplace_status).error()); \
    }                                                           \
  } while (false)

/// Declares `variable` with the value of `expression`, or returns early with its error.
#define KVPLACE_ASSIGN(variable, expression)                     \
  auto variable##_result = (expression);                         \
  if (!variable##_result) {                                      \
    return tl::unexpected(std::move(variable##_result).error()); \
  }                                                              \
  auto variable = std::move(*variable##_result)
