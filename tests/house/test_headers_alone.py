"""Each header compiles by itself: it includes what it uses.

One compilation checks several: behind headers that include no more than itself, a header is as good as alone. So they
are sorted into chains, each header of which includes (what it includes, directly or not) all that those before it do. A
chain whose first header includes one of PRECOMPILED begins with the first of them, which is compiled once.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCE = Path(os.environ["KVPLACE_SOURCE_DIR"])
BUILD = Path(os.environ["KVPLACE_BUILD_DIR"])
FOLDERS = ("include", "src", "apps/kvplace", "tests", "fuzz", "bench", "python")  # where headers and includes are found
# The largest first.
PRECOMPILED = ("CLI/CLI.hpp", "kvplace/policy/policy.h", "kvplace/instance/instance.h", "kvplace/trace/reader.h",
               "gtest/gtest.h", "kvplace/base/measure.h", "kvplace/base/result.h", "kvplace/base/units.h", "algorithm",
               "functional", "string", "vector", "span", "array")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def cached(name):
    """The value of a variable in the cache of the build under test."""
    match = re.search(rf"^{name}:\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match else ""


def find(name, beside):
    """The project's file that an #include means, or None."""
    for folder in (beside, *(SOURCE / folder for folder in FOLDERS)):
        if (folder / name).is_file():
            return (folder / name).resolve()
    return None


def everything_included(headers):
    """Header -> what it includes, directly or not, itself too: files of the project, names of others."""
    direct = {}
    for header in headers:
        names = INCLUDE.findall(header.read_text(encoding="utf-8"))
        direct[header] = {find(name, header.parent) or name for name in names}
    closed = {header: {header} | direct[header] for header in headers}
    grows = True
    while grows:
        grows = False
        for header, included in closed.items():
            more = set().union(*(closed.get(name, set()) for name in included)) - included
            if more:
                included |= more
                grows = True
    return closed


def chains(included):
    """The headers, each in one list; in a list each includes all that those before it do."""
    found = []
    for header in sorted(included, key=lambda header: (len(included[header]), header)):
        behind = [chain for chain in found if included[chain[-1]] <= included[header]]
        if behind:
            max(behind, key=lambda chain: len(included[chain[-1]])).append(header)
        else:
            found.append([header])
    return found


class Headers(unittest.TestCase):
    maxDiff = None

    def test_each_compiles_alone(self):
        headers = [header.resolve() for folder in FOLDERS for header in sorted((SOURCE / folder).rglob("*.h"))
                   if not header.stem.endswith("_body")]  # these are pasted into several sources
        self.assertGreater(len(headers), 100)
        included = everything_included(headers)
        # clang reads twice as fast as g++.
        options = [shutil.which("clang++-19") or cached("CMAKE_CXX_COMPILER"), "-std=c++20", *self.include_options()]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)

            def compiled(output, *more):
                return subprocess.run([*options, *map(str, more), "-o", str(output)], capture_output=True,
                                      text=True).stderr

            def precompiled(name):
                return folder / f"{Path(name).stem}.h"

            def precompile(name):
                precompiled(name).write_text(f"#include <{name}>\n", encoding="utf-8")
                return compiled(f"{precompiled(name)}.gch", "-x", "c++-header", precompiled(name))

            def check(numbered):
                number, chain = numbered
                source = folder / f"{number}.cpp"
                source.write_text("".join(f'#include "{header}"\n' for header in chain), encoding="utf-8")
                shared = [precompiled(name) for name in PRECOMPILED
                          if (find(name, SOURCE) or name) in included[chain[0]]][:1]
                return compiled(os.devnull, "-fsyntax-only", "-w", *(part for name in shared for part in ("-include", name)),
                                source)

            with ThreadPoolExecutor(int(os.environ.get("CTEST_PARALLEL_LEVEL") or 2)) as pool:
                self.assertEqual("".join(pool.map(precompile, PRECOMPILED)), "")
                self.assertEqual("".join(pool.map(check, enumerate(chains(included)))), "")

    @staticmethod
    def include_options():
        """The folders of headers that some file of the build is compiled with."""
        commands = json.loads((BUILD / "compile_commands.json").read_text(encoding="utf-8"))
        text = " ".join(sorted({entry["command"] for entry in commands}))
        return [*(f"-I{SOURCE / folder}" for folder in FOLDERS),
                *(f"-isystem{path}" for path in sorted(set(re.findall(r"-(?:I|isystem) ?(\S+)", text))))]


if __name__ == "__main__":
    unittest.main()
