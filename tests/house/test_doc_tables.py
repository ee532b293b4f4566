"""Tables of docs and fields of Python are what the program says, and the script that says so can say otherwise."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(os.environ.get("KVPLACE_SOURCE_DIR") or Path(__file__).resolve().parents[2])
SCRIPT = SOURCE / "scripts/doc_tables"
PARTS = ("docs", "python/kvplace")

# A file, what is wrong in it, and how: of every kind of table and of both parts of Python.
STALE = (
    ("docs/configuration.md", "| `batch` | `--batch` | 1 to 2^20 | 1 |", "| `batch` | `--batch` | 1 to 2^20 | 2 |"),
    ("docs/verbs/compare.md", "| `--seed` | of policies that draw", "| `--seed` | of policies that roll"),
    ("docs/verbs/export.md", "| `--ranking` |", "| `--rankings` |"),
    ("docs/json.md", "| `evictions` | blocks |", "| `evictions` | bytes |"),
    ("python/kvplace/_instance.py", "    :param seed: of policies", "    :param seed: for policies"),
    ("python/kvplace/_compare.py", "    total_s: float\n", "    total_s: int\n"),
)


def doc_tables(*arguments: str, source: Path = SOURCE) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, env={**os.environ, "KVPLACE_SOURCE_DIR": str(source)})


@unittest.skipUnless(os.environ.get("KVPLACE_BIN"), "KVPLACE_BIN names no program")
class Tables(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kvplace-docs-"))
        self.addCleanup(shutil.rmtree, self.folder)
        for part in PARTS:
            shutil.copytree(SOURCE / part, self.folder / part)

    def test_all_are_current(self) -> None:
        done = doc_tables("--check")
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_what_is_stale_is_told_and_renewed(self) -> None:
        for name, right, wrong in STALE:
            with self.subTest(name=name):
                page = self.folder / name
                text = page.read_text(encoding="utf-8")
                self.assertEqual(text.count(right), 1)
                page.write_text(text.replace(right, wrong), encoding="utf-8")
                done = doc_tables("--check", source=self.folder)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn(name, done.stdout.splitlines()[-1])
                self.assertNotEqual(page.read_text(encoding="utf-8"), text)
                self.assertEqual(doc_tables(source=self.folder).stdout, f"{name}: renewed\n")
                self.assertEqual(page.read_text(encoding="utf-8"), text)

    def test_a_verb_without_its_table(self) -> None:
        page = self.folder / "docs/verbs/info.md"
        page.write_text(re.sub("<!-- table.*\n", "", page.read_text(encoding="utf-8")), encoding="utf-8")
        done = doc_tables("--check", source=self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("docs/verbs/info.md", done.stderr)

    def test_a_table_of_nothing(self) -> None:
        page = self.folder / "docs/json.md"
        page.write_text(page.read_text(encoding="utf-8").replace("table: results", "table: nothing"), encoding="utf-8")
        done = doc_tables("--check", source=self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("docs/json.md: there is no table of nothing", done.stderr)


if __name__ == "__main__":
    unittest.main()
