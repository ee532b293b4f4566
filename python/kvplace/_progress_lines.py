"""Progress where nobody watches a bar: a line now and then."""

from __future__ import annotations

import sys
import time

#: Seconds from one line to the next, and before the first: short work says nothing.
INTERVAL_S = 30.0


class ProgressLines:
    """Progress as lines on standard error: what, how much of it, and how long the rest will take at the pace so far."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._what, self._unit, self._total = "", "", 0
        self._begin_s = self._said_s = 0.0

    def start(self, what: str, total: int, unit: str) -> None:
        self._what, self._unit, self._total = what, unit, total
        self._begin_s = self._said_s = time.monotonic()

    def update(self, done: int) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s < INTERVAL_S or not 0 < done < self._total:
            return
        self._said_s = now_s
        left_s = (now_s - self._begin_s) * (self._total - done) / done
        print(f"{self._who}: {self._what}: {done:,} of {self._total:,} {self._unit}, {100 * done / self._total:.0f} %, "
              f"about {duration(left_s)} left", file=sys.stderr, flush=True)

    def finish(self) -> None:
        pass


def duration(seconds: float) -> str:
    """In the two largest units that it has: 41 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
