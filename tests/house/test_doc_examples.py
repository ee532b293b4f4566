"""Every example output in README and docs is what the program answers, and the script that says so can say otherwise."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(os.environ.get("KVPLACE_SOURCE_DIR") or Path(__file__).resolve().parents[2])
SCRIPT = SOURCE / "scripts/doc_examples"

PAGE = """# A page

    $ kvplace --version
    kvplace 0.0.0-never

<!-- before: echo made > file.txt -->
<!-- varies: [0-9]+ s -->
    $ cat file.txt; echo took 3 s; echo last
    made
    took 7 s
    ...

    $ printf '1 one\\n2 two\\n3 three\\n'
    ...
    2 twos
    ...

<!-- not run: there is no such thing -->
    $ no-such-command
    of course
"""

RENEWED = """    $ printf '1 one\\n2 two\\n3 three\\n'
    ...
    2 two
    ...
"""


def doc_examples(*arguments: object, source: Path = SOURCE) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env={**os.environ, "KVPLACE_SOURCE_DIR": str(source)}, check=False)


@unittest.skipUnless(os.environ.get("KVPLACE_BIN"), "KVPLACE_BIN names no program")
class Examples(unittest.TestCase):
    def test_pages_are_current(self) -> None:
        done = doc_examples("--check", "--quick")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_stale_page_is_told_and_renewed(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="kvplace-docs-"))
        self.addCleanup(shutil.rmtree, folder)
        page = folder / "page.md"
        page.write_text(PAGE, encoding="utf-8")
        done = doc_examples("--check", page, source=folder)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("0.0.0-never", done.stdout)
        self.assertIn("2 twos", done.stdout)
        self.assertNotIn("took", done.stdout)
        self.assertEqual(page.read_text(encoding="utf-8"), PAGE)

        self.assertEqual(doc_examples(page, source=folder).returncode, 0)
        text = page.read_text(encoding="utf-8")
        self.assertNotIn("never", text)
        self.assertIn("took 7 s", text)  # what varies stays as it was
        self.assertIn(RENEWED, text)
        self.assertIn("of course", text)
        done = doc_examples("--check", page, source=folder)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
