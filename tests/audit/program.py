"""The audited program, run as people run it; and the second verifier."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType
from typing import Any

import files
from background import Moves
from instance import Block, Instance

ROOT = pathlib.Path(os.environ.get("KVPLACE_SOURCE_DIR") or pathlib.Path(__file__).resolve().parents[2])
KVPLACE = os.environ.get("KVPLACE_BIN") or str(ROOT / "build/release/bin/kvplace")

DONE, REJECTED = 0, 4


class Unexpected(Exception):
    """The program ended as it should not have."""


def _second_verifier() -> ModuleType:
    sys.path.append(str(ROOT / "tools"))  # It is of several files.
    spec = importlib.util.spec_from_file_location("verify_certificate", ROOT / "tools/verify_certificate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VERIFIER = _second_verifier()


@functools.cache
def any_output() -> tuple[str, ...]:
    """The flag for the certificate of claim `any`, if the program proves that."""
    shown = subprocess.run([KVPLACE, "bound", "--help"], capture_output=True, text=True, check=True).stdout
    return ("--any-output", "d.cert") if "--any-output" in shown else ()


@dataclass(frozen=True)
class Verdict:
    """What verifiers say: the fraction proven, or why nothing is; None and "" of a certificate of another instance."""

    proven: Fraction | None
    reason: str


class Program:
    """An instance in a folder of its own, and the program run on it."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self._folder = tempfile.TemporaryDirectory(prefix="kvplace-audit-")
        self.folder = pathlib.Path(self._folder.name)
        self.write("t.kvt", files.trace(instance))
        self.write("i.toml", instance.config().encode())

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def write(self, name: str, data: bytes) -> None:
        """A file in the folder."""
        (self.folder / name).write_bytes(data)

    def run(self, *arguments: str, codes: tuple[int, ...] = (DONE,)) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON of a verb."""
        done = subprocess.run([KVPLACE, *arguments, "--json", "--threads", "1"], cwd=self.folder, capture_output=True,
                              text=True, timeout=120)
        if done.returncode not in codes:
            raise Unexpected(f"kvplace {' '.join(arguments)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.returncode, json.loads(done.stdout or "{}")

    def bound(self) -> dict[str, Any]:
        """Proves the bounds (their certificates are a file *.cert each) and plans a schedule."""
        return self.run("bound", "t.kvt", "--config", "i.toml", "-o", "c.cert", *any_output(), "--schedule", "s.kvs")[1]

    def replay(self, digest: str, placements: list[set[Block]]) -> float:
        """Seconds of a schedule."""
        self.write("own.kvs", files.schedule(self.instance, digest, placements))
        return float(self.run("replay", "t.kvt", "own.kvs", "--config", "i.toml")[1]["result"]["total_s"])

    def replay_background(self, digest: str, start: set[Block], moves: list[Moves]) -> float:
        """Seconds of a schedule whose copies move in the background."""
        self.write("late.kvs", files.background_schedule(self.instance, digest, start, moves))
        return float(self.run("replay", "t.kvt", "late.kvs", "--config", "i.toml", "--copies",
                              "background")[1]["result"]["total_s"])

    def verify(self, certificate: bytes) -> tuple[Verdict, Verdict]:
        """What both verifiers say of a certificate."""
        self.write("x.cert", certificate)
        _, found = self.run("verify", "t.kvt", "x.cert", codes=(DONE, REJECTED))
        first = Verdict(Fraction(found["bound_exact"]) if found["valid"] else None, found["reason"])
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = VERIFIER.main([str(self.folder / "t.kvt"), str(self.folder / "x.cert")])
        if code not in (DONE, REJECTED):
            raise Unexpected(f"verify_certificate.py: exit {code}: {err.getvalue().strip()}")
        second = Verdict(Fraction(out.getvalue().split()[0]) if code == DONE else None, err.getvalue().strip())
        return first, second

    def accepts(self, certificate: bytes) -> bool:
        """Whether `kvplace verify` takes a certificate as one of this very instance."""
        self.write("x.cert", certificate)
        return self.run("verify", "t.kvt", "x.cert", "--config", "i.toml", codes=(DONE, REJECTED))[0] == DONE
