"""What of the command ``kvplace sweep`` the program leaves to the package: Dask clusters and Parquet."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from ._errors import BadInput, Error, Interrupted, Rejected
from ._progress_lines import ProgressLines
from ._sweep import Sweep, sweep


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kvplace sweep", allow_abbrev=False)
    parser.add_argument("study", help="the study (.toml); of --export the database (.sqlite)")
    parser.add_argument("-o", "--output", metavar="FILE")
    parser.add_argument("--executor", metavar="dask://HOST:PORT")
    parser.add_argument("--export", metavar="parquet")
    parser.add_argument("--retry", action="store_true")
    parser.add_argument("--threads", type=int, default=0, metavar="N")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    if arguments.export:
        if arguments.output is None:
            raise BadInput("--export parquet writes a file: give -o FILE.parquet")
        Sweep(arguments.study).to_parquet(arguments.output)
        return
    if arguments.output is None:
        raise BadInput("no database is named: give -o FILE.sqlite")
    swept = sweep(arguments.study, arguments.output, executor=arguments.executor, retry=arguments.retry,
                  threads=arguments.threads, progress=None if arguments.quiet else ProgressLines("kvplace"))
    print(json.dumps(swept.status, indent=2) if arguments.json else swept)


def run(words: Sequence[str]) -> int:
    """Runs it; returns the exit code of the command's contract."""
    try:
        _run(_parser().parse_args(words))
    except KeyboardInterrupt:
        print("kvplace: stopped; what was done is kept, and the same command goes on from there", file=sys.stderr)
        return 3
    except Error as error:
        print(f"kvplace: {error}", file=sys.stderr)
        return 2 if isinstance(error, BadInput) else 3 if isinstance(error, Interrupted) else 4 if isinstance(
            error, Rejected) else 1
    return 0
