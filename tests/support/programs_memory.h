/// Whether the memory of a test's process is what the library takes.
#pragma once

namespace kvplace::testing {

/// Sanitizers and emulators take memory of their own.
inline constexpr bool kMemoryIsTheProgramsOwn =
#if defined(__SANITIZE_ADDRESS__) || !defined(__x86_64__)
    false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    false;
#else
    true;
#endif
#else
    true;
#endif

}  // namespace kvplace::testing
