"""Includes point one way, and the sources keep the manners a machine can check."""

import os
import re
import subprocess
import unittest
from pathlib import Path

SOURCE = Path(os.environ.get("KVPLACE_SOURCE_DIR", Path(__file__).resolve().parents[2]))

# Folder -> folders it may include besides itself.
MAY_INCLUDE = {
    "base": set(),
    "hardware": {"base"},
    "model": {"base"},
}
MAY_INCLUDE["trace"] = {"base", "hardware", "model"}
MAY_INCLUDE["generate"] = MAY_INCLUDE["trace"] | {"trace"}
MAY_INCLUDE["record"] = MAY_INCLUDE["trace"] | {"trace"}
MAY_INCLUDE["select"] = {"base", "hardware", "model"}
MAY_INCLUDE["instance"] = {"base", "hardware", "model", "trace", "select"}
MAY_INCLUDE["bound"] = MAY_INCLUDE["instance"] | {"instance"}  # never solve: the checker shares no code with it
MAY_INCLUDE["solve"] = MAY_INCLUDE["bound"] | {"bound"}
MAY_INCLUDE["policy"] = MAY_INCLUDE["bound"] | {"bound"}
MAY_INCLUDE["simulate"] = MAY_INCLUDE["bound"] | {"bound", "solve", "policy", "generate"}
MAY_INCLUDE["size"] = MAY_INCLUDE["simulate"] | {"simulate"}
MAY_INCLUDE["advise"] = MAY_INCLUDE["size"] | {"size"}
MAY_INCLUDE["report"] = MAY_INCLUDE["advise"] | {"advise"}
MAY_INCLUDE["sweep"] = MAY_INCLUDE["report"] | {"report"}
MAY_INCLUDE["runtime"] = MAY_INCLUDE["simulate"] | {"simulate"}
SHARED_WITH_BINDINGS = {"tables.h", "size_text.h", "advise_text.h", "page_words.h", "sweep_text.h",
                        "http/http_client.h"}  # of the command
APPS_MAY_INCLUDE = set(MAY_INCLUDE)

STANDARD_HEADERS = set(
    """algorithm any array atomic barrier bit bitset cassert cctype cerrno cfenv cfloat charconv chrono cinttypes climits
    clocale cmath compare complex concepts condition_variable coroutine csetjmp csignal cstdarg cstddef cstdint cstdio
    cstdlib cstring ctime cuchar cwchar cwctype deque exception execution filesystem forward_list fstream functional
    future initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map memory
    memory_resource mutex new numbers numeric optional ostream queue random ranges ratio regex scoped_allocator
    semaphore set shared_mutex source_location span sstream stack stdexcept stop_token streambuf string string_view
    syncstream system_error thread tuple type_traits typeindex typeinfo unordered_map unordered_set utility valarray
    variant vector version""".split()
)
PUBLIC_EXTRA = {"tl/expected.hpp"}
X86_HEADER = re.compile(r"(?:[a-z]*mmintrin|[a-z0-9]*intrin|cpuid)\.h$")
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')

CODE = {".h", ".cpp", ".cu", ".cuh", ".py", ".cmake", ".toml", ".in"}
CODE_FOLDERS = ("scripts/", ".ci/")
MOST_LINES = 500
# Spelled in two parts, or this file would hold what it looks for.
MACHINE_PATH = re.compile("/(?:" + "|".join(["ho" + "me", "ro" + "ot", "wo" + "rk", "Us" + "ers"]) + r")/")
LARGEST_TEXT = 4 << 20


def includes(path):
    """(line number, is a <system> include, name) of each include."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if match := INCLUDE.match(line):
            yield number, match[1] == "<", match[2]


def cpp_files(folder):
    return sorted(p for p in (SOURCE / folder).rglob("*") if p.suffix in {".h", ".cpp", ".cu", ".cuh"})


def project_files():
    """Every file that is or would be under version control."""
    try:
        listed = subprocess.run(
            ["git", "-C", SOURCE, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True, capture_output=True,
        ).stdout.decode().split("\0")
        names = sorted({name for name in listed if name})
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive
        names = sorted(str(p.relative_to(SOURCE)) for p in SOURCE.rglob("*")
                       if not p.relative_to(SOURCE).parts[0] in {".git", "build"})
    return [name for name in names if (SOURCE / name).is_file()]


def is_code(name):
    return Path(name).suffix in CODE or Path(name).name == "CMakeLists.txt" or name.startswith(CODE_FOLDERS)


class House(unittest.TestCase):
    def setUp(self):
        self.violations = []

    def tearDown(self):
        if self.violations:
            self.fail("\n" + "\n".join(self.violations))

    def report(self, path, number, why):
        name = path.relative_to(SOURCE) if isinstance(path, Path) else path
        self.violations.append(f"{name}:{number}: {why}")

    def check_folder(self, path, number, folder, target):
        if target not in MAY_INCLUDE:
            self.report(path, number, f"includes from {target}/, which no rule knows; add it to MAY_INCLUDE")
        elif target != folder and target not in MAY_INCLUDE[folder]:
            self.report(path, number, f"{folder} may not include {target}")

    def test_public_headers(self):
        top = SOURCE / "include" / "kvplace"
        for path in cpp_files("include/kvplace"):
            parts = path.relative_to(top).parts
            folder = parts[0] if len(parts) > 1 else None
            for number, is_system, name in includes(path):
                if is_system:
                    if name not in STANDARD_HEADERS | PUBLIC_EXTRA:
                        self.report(path, number, f"a public header includes <{name}>")
                elif not name.startswith("kvplace/"):
                    self.report(path, number, f'a public header includes the private "{name}"')
                elif folder is not None:  # a header of all of kvplace may include all of it
                    self.check_folder(path, number, folder, name.split("/")[1])

    def test_sources(self):
        top = SOURCE / "src"
        for path in cpp_files("src"):
            parts = path.relative_to(top).parts
            folder = parts[0]
            if folder not in MAY_INCLUDE:
                self.report(path, 1, f"{folder}/ is known to no rule; add it to MAY_INCLUDE")
                continue
            for number, is_system, name in includes(path):
                if is_system:
                    if X86_HEADER.search(name) and "dispatch" not in parts:
                        self.report(path, number, f"<{name}> belongs in a folder named dispatch only")
                    continue
                names = name.split("/")
                if names[0] == "kvplace":
                    self.check_folder(path, number, folder, names[1])
                elif len(names) > 1:
                    self.check_folder(path, number, folder, names[0])
                elif not (path.parent / name).exists():
                    self.report(path, number, f'"{name}" is not beside it: write the path from src/')

    def test_apps_use_public_headers_only(self):
        for path in cpp_files("apps"):
            for number, is_system, name in includes(path):
                if is_system or name.startswith("kvplace/"):
                    continue
                beside = [path.parent, *list(path.parents)[: len(path.relative_to(SOURCE).parts) - 2]]
                if not any((folder / name).exists() for folder in beside):
                    self.report(path, number, f'an app includes "{name}", a private header of the library')

    def test_bindings_use_public_headers_only(self):
        for path in cpp_files("python"):
            for number, is_system, name in includes(path):
                if not is_system and not name.startswith(("kvplace/", "bindings/")) and name not in SHARED_WITH_BINDINGS:
                    self.report(path, number, f'a binding includes "{name}", a private header of the library')

    def test_code_is_short_and_ascii(self):
        for name in filter(is_code, project_files()):
            try:
                lines = (SOURCE / name).read_text(encoding="utf-8").splitlines()
            except UnicodeDecodeError:
                self.report(name, 1, "is not text")
                continue
            if len(lines) >= MOST_LINES:
                self.report(name, len(lines), f"has {len(lines)} lines; split it below {MOST_LINES}")
            for number, line in enumerate(lines, 1):
                if not line.isascii():
                    self.report(name, number, "is not ASCII")

    def test_no_paths_of_one_machine(self):
        for name in project_files():
            path = SOURCE / name
            if path.stat().st_size > LARGEST_TEXT:
                continue
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            for number, line in enumerate(text.splitlines(), 1):
                if match := MACHINE_PATH.search(line):
                    self.report(name, number, f"names a path of one machine: {match[0]}")


if __name__ == "__main__":
    unittest.main()
