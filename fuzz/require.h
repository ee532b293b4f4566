/// What a fuzz target states about a result; a trap is what libFuzzer reports with the input that led there.
#pragma once

#define REQUIRE(condition) \
  do {                     \
    if (!(condition)) {    \
      __builtin_trap();    \
    }                      \
  } while (false)
