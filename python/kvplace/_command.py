"""The command kvplace of an installed package: hands over to the program in the package."""

import os
import sys
from pathlib import Path
from typing import NoReturn


def main() -> NoReturn:
    """Runs the program with this process's arguments."""
    program = Path(__file__).with_name("bin") / "kvplace"
    os.execv(program, [str(program), *sys.argv[1:]])
