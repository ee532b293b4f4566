"""The command kvplace of an installed package: hands over to the program in the package."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn


def _is_of_python(arguments: Sequence[str]) -> bool:
    """Whether the program leaves this to the package: a sweep on a cluster, or Parquet."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    exports = any(pair == ("--export", "parquet") for pair in zip(words, words[1:], strict=False))
    return arguments[:1] == ["sweep"] and ("--executor" in words or exports)


def main() -> NoReturn:
    """Runs the program with this process's arguments."""
    if _is_of_python(sys.argv[1:]):
        from ._sweep_command import run

        sys.exit(run(sys.argv[2:]))
    program = Path(__file__).with_name("bin") / "kvplace"
    os.execv(program, [str(program), *sys.argv[1:]])
