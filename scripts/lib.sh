# Shared by the scripts beside it; sourced, not run.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
jobs="${JOBS:-$(nproc 2>/dev/null || echo 2)}"

say() { printf '== %s\n' "$*" >&2; }

fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 2
}

# Where the Python environment of the tests lies; KVPLACE_TEST_ENV lets several checkouts share one.
test_env="${KVPLACE_TEST_ENV:-$root/build/test-env}"

# The interpreter the Python tests run under, and the package is built for.
test_python() {
  [ -x "$test_env/bin/python" ] && printf '%s\n' "$test_env/bin/python"
}

# stage PRESET: configures, builds and tests it; what ctest printed stays in build/test-logs/PRESET.txt.
stage() {
  local preset="$1" logs="$root/build/test-logs"
  mkdir -p "$logs"
  cd "$root"
  say "$preset: configure"
  cmake --preset "$preset" -DPython3_EXECUTABLE="$(test_python)"
  say "$preset: build"
  cmake --build --preset "$preset" --parallel "$jobs"
  say "$preset: test"
  ctest --preset "$preset" --parallel "$jobs" | tee "$logs/$preset.txt"
}

# "100% tests passed, 0 tests failed out of 195"; newer ctest leaves the part about failures out.
closing_line() { grep -E '^[0-9]+% tests passed' "$root/build/test-logs/$1.txt"; }
