"""Sweeps: a study's points computed here or on a Dask cluster, and the database that keeps their results."""

from __future__ import annotations

import json
import os
import sqlite3
from typing import TYPE_CHECKING, Any

from . import _core
from ._core import Interrupt
from ._errors import BadInput
from ._run import ProgressLike, shown
from ._types import checked

if TYPE_CHECKING:
    import pandas as pd


class Sweep:
    """A sweep's database: ``status``, its rows, and its file for SQLite (docs/sweep_database.md)."""

    @checked
    def __init__(self, path: str | os.PathLike[str]) -> None:
        """:param path: the SQLite file of a sweep."""
        self.path = os.fspath(path)

    #: The SQLite file.
    path: str

    @property
    def status(self) -> dict[str, Any]:
        """How many points are done, failed and pending, and what failures say: ``kvplace sweep --status --json``."""
        return json.loads(_core.sweep_status(self.path).json())  # type: ignore[no-any-return]

    @checked
    def rows(self, table: str = "sheet") -> list[dict[str, Any]]:
        """The rows of a table or view: ``sheet`` has one per point and policy, beside what varies."""
        _core.sweep_status(self.path)  # that it is a sweep's
        database = sqlite3.connect(f"file:{_quoted(self.path)}?mode=ro", uri=True)
        try:
            database.row_factory = sqlite3.Row
            names = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
            if table not in names:
                raise BadInput(f"{self.path} has no table {table}; there are {', '.join(sorted(names))}")
            return [dict(row) for row in database.execute(f'SELECT * FROM "{table}"')]
        finally:
            database.close()

    @checked
    def to_pandas(self, table: str = "sheet") -> pd.DataFrame:
        """The same as a data frame. Needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.rows(table))

    @checked
    def to_parquet(self, path: str | os.PathLike[str], table: str = "sheet") -> None:
        """Writes the rows as Parquet. Needs pyarrow."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise BadInput("Parquet needs pyarrow: pip install 'kvplace[parquet]'") from None
        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(self.rows(table)), sink)
        database = _core.InputFiles([self.path])  # noqa: F841  an input as long as this lives
        _core.write_output(os.fspath(path), sink.getvalue().to_pybytes())

    def __repr__(self) -> str:
        return str(_core.sweep_status(self.path).text(self.path)).rstrip("\n")


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(os.path.abspath(path))


@checked
def sweep(
    study: str | os.PathLike[str],
    database: str | os.PathLike[str],
    *,
    executor: str | None = None,
    retry: bool = False,
    threads: int = 0,
    progress: ProgressLike = None,
    interrupt: Interrupt | None = None,
) -> Sweep:
    """Computes the points of a study that its database lacks, ``kvplace sweep``.

    :param study: the study (.toml), docs/verbs/sweep.md.
    :param database: SQLite file; one that holds a part of the study is gone on with.
    :param executor: ``"dask://HOST:PORT"``: on the workers of that Dask cluster; needs ``kvplace[cluster]``.
    :param retry: compute points that failed again.
    :param threads: worker threads; 0 for one per core; on a cluster of each task, 0 for one. Results do not depend on it.
    :param progress: True for tqdm bars, or an object with the methods of ``kvplace.Progress``.
    :param interrupt: stops the call from another thread; what was done is kept.

    Raises BadInput if the study is wrong or the file another's; Failed if the disk is full, with what was done kept;
    Interrupted if it was stopped. Errors of points are rows of the database.
    """
    path = os.fspath(database)
    file = _core.open_sweep(os.fspath(study), path)
    if retry:
        file.forget_failures()
    with shown(progress) as sink:
        if executor is None:
            file.run(threads, sink, interrupt)
        else:
            from ._sweep_dask import run_on

            run_on(executor, file, threads or 1, sink, interrupt)
    return Sweep(path)
