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
