/// A benchmark without its input has nothing to say: it ends with the error.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "kvplace/base/result.h"

namespace kvplace {

template <class T>
T checked(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) {
    return std::move(*result);
  }
}

}  // namespace kvplace
