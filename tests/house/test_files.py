"""Files are read and written in one place, which keeps an output from taking the place of an input (src/base/file.h)."""

from __future__ import annotations

import os
import pathlib
import re
import unittest

ROOT = pathlib.Path(os.environ.get("KVPLACE_SOURCE_DIR") or pathlib.Path(__file__).resolve().parents[2])

MEANS = re.compile(r"\b(?:ofstream|ifstream|fstream|fopen|freopen|fdopen|mkstemp|rename|copy_file|O_CREAT|creat)\b")
#: manifest.cpp reads what the processor is called; file_memory.cpp is far memory, claimed as outputs are.
HERE = {"src/base/file.cpp", "src/base/output_lock.cpp", "src/base/manifest.cpp", "src/runtime/memory/file_memory.cpp"}


class Files(unittest.TestCase):
    def test_nobody_else_opens_or_renames(self) -> None:
        sources = [path for folder in ("src", "apps", "python") for path in sorted((ROOT / folder).rglob("*"))
                   if path.suffix in (".cpp", ".h")]
        found = {path.relative_to(ROOT).as_posix() for path in sources
                 if MEANS.search(re.sub(r"//.*", "", path.read_text(encoding="utf-8")))}
        self.assertEqual(found, HERE)


if __name__ == "__main__":
    unittest.main()
