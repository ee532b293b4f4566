"""An outside project finds the installed library with find_package(kvplace), builds against it and runs."""

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(os.environ["KVPLACE_SOURCE_DIR"])
BUILD = Path(os.environ["KVPLACE_BUILD_DIR"])


def cached(name):
    """The value of a variable in the cache of the build under test."""
    match = re.search(rf"^{name}:\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match else ""


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="kvplace-install-")
        cls.addClassCleanup(folder.cleanup)
        cls.prefix = Path(folder.name) / "prefix"
        cls.outside = Path(folder.name) / "outside"
        cls.cmake = cached("CMAKE_COMMAND") or "cmake"
        run(cls.cmake, "--install", BUILD, "--prefix", cls.prefix)

    def configure(self, *more, project=SOURCE / "tests" / "install"):
        return run(self.cmake, "-S", project, "-B", self.outside, "-G", cached("CMAKE_GENERATOR"),
                   f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_COMPILER={cached('CMAKE_CXX_COMPILER')}",
                   f"-DCMAKE_CXX_FLAGS={cached('CMAKE_CXX_FLAGS')}", *more)

    def test_outside_project(self):
        self.configure()
        run(self.cmake, "--build", self.outside)
        self.assertEqual(run(self.outside / "outside", "16GiB"), "17179869184\n")

    def test_example(self):
        self.outside = self.outside.with_name("example")
        self.configure(project=SOURCE / "examples")
        run(self.cmake, "--build", self.outside)
        trace = self.prefix / "share" / "kvplace" / "data" / "smollm2-holmes-page16-k64.kvt"
        rows = run(self.outside / "cost_of_lru", trace, "gh200-96").splitlines()[1:]
        far_reads = [int(row.split()[1]) for row in rows]
        self.assertEqual(len(far_reads), 4)
        self.assertEqual(far_reads, sorted(far_reads, reverse=True))

    def test_version_is_checked(self):
        with self.assertRaisesRegex(AssertionError, "compatible with requested version"):
            self.configure("-DKVPLACE_WANTED=99.0")

    def test_nothing_installed_points_into_the_build(self):
        for path in self.prefix.rglob("*.cmake"):
            text = path.read_text(encoding="utf-8")
            for folder in (SOURCE, BUILD):
                self.assertNotIn(str(folder), text, path)

    def test_command_and_data(self):
        if cached("KVPLACE_BUILD_CLI") == "ON":
            self.assertTrue(os.access(self.prefix / "bin" / "kvplace", os.X_OK))
            for words in ("man/man1/kvplace.1", "bash-completion/completions/kvplace", "zsh/site-functions/_kvplace",
                          "fish/vendor_completions.d/kvplace.fish"):
                self.assertIn("compare", (self.prefix / "share" / words).read_text(encoding="utf-8"), words)
        for path in (p for p in (SOURCE / "data").rglob("*") if p.is_file()):
            self.assertTrue((self.prefix / "share" / "kvplace" / "data" / path.relative_to(SOURCE / "data")).is_file())


if __name__ == "__main__":
    unittest.main()
