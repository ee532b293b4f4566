/// Messages about the value of a flag.
#pragma once

#include <string>

#include "kvplace/base/result.h"

namespace kvplace::cli {

/// `value`; the message of an error begins with the flag.
template <class T>
[[nodiscard]] Result<T> of_flag(const std::string& flag, Result<T> value) {
  if (!value) {
    return bad_input(flag + ": " + value.error().message);
  }
  return value;
}

}  // namespace kvplace::cli
