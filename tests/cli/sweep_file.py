"""What is in a sweep's database, for comparison with another's."""

from __future__ import annotations

import contextlib
import sqlite3


def contents(path: str) -> dict[str, list[tuple]]:
    """All tables but the times that points took, and all views."""
    names = rows(path, "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND type IN ('table', 'view') "
                       "AND name <> 'timings'")
    return {name: sorted(rows(path, f'SELECT * FROM "{name}"'), key=repr) for (name,) in names}


def rows(path: str, sql: str) -> list[tuple]:
    """What a query gives."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        return list(database.execute(sql))
