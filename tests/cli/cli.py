"""What the tests of the command share: running it, a folder per test, small traces and their files."""

from __future__ import annotations

import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
import unittest

import numpy as np

SOURCE_DIR = pathlib.Path(os.environ.get("KVPLACE_SOURCE_DIR") or pathlib.Path(__file__).resolve().parents[2])
BIN = os.environ.get("KVPLACE_BIN") or str(SOURCE_DIR / "build/release/bin/kvplace")
BUNDLED = str(SOURCE_DIR / "data/smollm2-holmes-page16-k64.kvt")
HOLMES = SOURCE_DIR / "../shared/data/smollm2-holmes-token-k512.npy.zst"

sys.path.insert(0, str(SOURCE_DIR / "tests/reference"))

DONE, FAILED, BAD_INPUT, LIMIT_REACHED, REJECTED = range(5)

Rows = list[list[list[int]]]  # rows[t][l] = ids read


class Ran:
    """A finished run of the command."""

    def __init__(self, arguments: tuple, code: int, out: bytes, err: bytes) -> None:
        self.command = " ".join(["kvplace", *map(str, arguments)])
        self.code = code
        self.out = out.decode(errors="replace")
        # On a slow machine there are lines of progress.
        self.err = re.sub(r"^kvplace: \d+ s(?: at work|:).*\n", "", err.decode(errors="replace"), flags=re.MULTILINE)

    def __str__(self) -> str:
        return f"{self.command}\nexit {self.code}\n{self.err}{self.out[-2000:]}"


def start(*arguments: object, cwd: str | None = None) -> subprocess.Popen:
    """Starts the command; waits for it up to a minute if it is just being built."""
    for attempt in range(60):
        try:
            return subprocess.Popen([BIN, *map(str, arguments)], cwd=cwd, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError:
            if attempt == 59:
                raise
            time.sleep(1)
    raise AssertionError("unreachable")


def run(*arguments: object, cwd: str | None = None, timeout: float = 60) -> Ran:
    """Runs the command to its end."""
    process = start(*arguments, cwd=cwd)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError(f"hangs: kvplace {' '.join(map(str, arguments))}") from None
    return Ran(arguments, process.returncode, out, err)


def random_rows(seed: int, layers: int, steps: int, prompt_tokens: int, block_tokens: int = 1) -> Rows:
    """Reads that stay in part from step to step; the block being written is read most of the time."""
    rng = random.Random(seed)
    kept: list[set[int]] = [set() for _ in range(layers)]
    rows: Rows = []
    for t in range(steps):
        current = (prompt_tokens + t) // block_tokens
        row = []
        for l in range(layers):
            ids = {i for i in kept[l] if rng.random() < 0.7} | {i for i in range(current) if rng.random() < 0.15}
            kept[l] = ids | ({current} if rng.random() < 0.8 else set())
            row.append(sorted(kept[l]))
        rows.append(row)
    return rows


def fang_csv(rows: Rows) -> str:
    """The rows as a fang-csv document."""
    lines = [f'{t},{l},"{ids}"' for t, row in enumerate(rows) for l, ids in enumerate(row)]
    return "\n".join(["n,l,read_kv", *lines, ""])


def topk_array(rows: Rows, dtype: str = "<i4") -> np.ndarray:
    """The rows as a top-k array, padded with -1."""
    width = max(1, max(len(ids) for row in rows for ids in row))
    return np.array([[ids + [-1] * (width - len(ids)) for ids in row] for row in rows], dtype=dtype)


class CliTest(unittest.TestCase):
    """A test with a folder of its own, in which the command runs."""

    maxDiff = 2000

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name: str) -> str:
        """A name within the test's folder."""
        return os.path.join(self.folder, name)

    def write(self, name: str, content: bytes | str) -> str:
        """Writes a file into the test's folder; returns its name there."""
        with open(self.path(name), "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return name

    def read(self, name: str) -> bytes:
        """Contents of a file in the test's folder."""
        with open(self.path(name), "rb") as file:
            return file.read()

    def names(self) -> list[str]:
        """What is in the test's folder."""
        return sorted(os.listdir(self.folder))

    def run_cli(self, *arguments: object, **options: object) -> Ran:
        """Runs the command in the test's folder."""
        return run(*arguments, cwd=self.folder, **options)

    def ok(self, *arguments: object, **options: object) -> str:
        """Runs the command, which must succeed; returns what it prints."""
        ran = self.run_cli(*arguments, **options)
        self.assertEqual(ran.code, DONE, ran)
        return ran.out

    def json(self, *arguments: object, **options: object) -> dict:
        """Runs the command with --json, which must succeed silently; returns the object it prints."""
        ran = self.run_cli(*arguments, "--json", **options)
        self.assertEqual(ran.code, DONE, ran)
        self.assertEqual(ran.err, "", ran)
        return json.loads(ran.out)

    def results(self, *arguments: object, **options: object) -> dict[str, dict]:
        """The results of a comparison by policy."""
        return {result["policy"]: result for result in self.json("compare", *arguments, **options)["results"]}

    def make_trace(self, name: str, rows: Rows, prompt_tokens: int, block_tokens: int = 1, *more: object) -> str:
        """Imports rows as a trace; returns its name in the folder."""
        self.write(name + ".csv", fang_csv(rows))
        self.ok("import", name + ".csv", "-o", name, "--format", "fang-csv", "--prompt-tokens", prompt_tokens,
                "--block-tokens", block_tokens, *more)
        os.remove(self.path(name + ".csv"))
        return name

    def refused(self, ran: Ran, code: int, *fragments: str) -> None:
        """Asserts that a run ended with this exit code and one clear line on stderr that has the fragments."""
        self.assertEqual(ran.code, code, ran)
        self.assertEqual(ran.out, "", ran)
        self.assertRegex(ran.err, r"\Akvplace: [^\n]+\n\Z", ran)
        self.assertNotRegex(ran.err, r"terminate called|what\(\)|Sanitizer|[^\x20-\x7e\n]", ran)
        for fragment in fragments:
            self.assertIn(fragment, ran.err, ran)
