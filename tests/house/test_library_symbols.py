"""The library neither prints nor ends the program: its objects do not even refer to what could."""

import os
import re
import shutil
import subprocess
import unittest

LIBRARY = os.environ["KVPLACE_LIBRARY"]
CACHE = os.path.join(os.environ["KVPLACE_BUILD_DIR"], "CMakeCache.txt")

# fputs, fwrite and the like are not here: they write to any file, and it is `stdout` and `stderr` that they would need.
ENDS = r"exit|_exit|_Exit|quick_exit|abort|raise|kill|__assert_fail|__assert|std::terminate\(\)|std::exit|std::abort"
PRINTS = (
    r"(?:__)?v?printf(?:_chk)?|puts|putchar|putchar_unlocked|perror|psignal|stdout|stderr|std::(?:cout|cerr|clog|wcout|wcerr|wclog)"
    r"|std::ios_base::Init::\w+\(\)"
)
READS = r"stdin|std::w?cin|getchar|gets"
FORBIDDEN = re.compile(rf"^(?:{ENDS}|{PRINTS}|{READS})$")

# The compiler itself calls std::terminate where an exception would leave a noexcept function or a destructor.
ALLOWED = {"std::terminate()"}

# The headers of COIN-OR and of LEMON include <iostream>, which sets the streams up in every object (g++ before 13). Using
# one is another symbol, and is not allowed there either.
STREAMS = {"std::ios_base::Init::Init()", "std::ios_base::Init::~Init()"}
ALLOWED_IN = {"coin.cpp.o": STREAMS, "min_cost_flow.cpp.o": STREAMS}


def sanitized():
    with open(CACHE, encoding="utf-8") as cache:
        return any(line.startswith("CMAKE_CXX_FLAGS:") and "-fsanitize" in line for line in cache)


def undefined_symbols(library):
    """(object, symbol) of each undefined symbol, demangled and without its version."""
    listing = subprocess.run(["nm", "-C", "--undefined-only", library], check=True, capture_output=True, text=True).stdout
    current = "?"
    for line in listing.splitlines():
        if line.endswith(":"):
            current = line[:-1]
        elif match := re.match(r"\s*[Uw] (.*)", line):
            yield current, match[1].split("@")[0]


class LibrarySymbols(unittest.TestCase):
    def setUp(self):
        if not shutil.which("nm"):
            self.skipTest("no nm")

    def test_neither_prints_nor_exits(self):
        found = [f"{obj}: {name}" for obj, name in undefined_symbols(LIBRARY)
                 if FORBIDDEN.match(name) and name not in ALLOWED | ALLOWED_IN.get(obj, set())]
        self.assertEqual(found, [])

    def test_the_listing_is_not_empty(self):
        """Or the test above would hold for no reason."""
        names = {name for _, name in undefined_symbols(LIBRARY)}
        self.assertTrue(any("operator new" in name for name in names), sorted(names)[:20])


if __name__ == "__main__":
    if sanitized():
        print("skipped: sanitizers add their own symbols")
    else:
        unittest.main()
