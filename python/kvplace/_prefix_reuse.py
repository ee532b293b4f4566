"""Which prefix chunks to keep: the state behind ``kvplace.vllm.KvplacePolicy``. Needs nothing but Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Chunk = TypeVar("Chunk")

#: Uses that count at most, so that what was once read by all does not stay for ever.
MOST_USES = 16
#: Chunks that left and are remembered, in multiples of the capacity.
REMEMBERED = 4
#: Of the mean gap a reuse renews this share.
GAP_SHARE = 0.001
#: Mean gaps that are added to an age.
GAPS = 2.0


class _Run(Generic[Key]):
    """Chunks that one request used at one time, alike in uses, from the head of its prefix to the tail."""

    __slots__ = ("gone", "near", "time", "uses")

    def __init__(self, time: int, uses: int) -> None:
        self.time = time
        self.uses = uses
        self.near: dict[Key, None] = {}
        self.gone: dict[Key, None] = {}


class PrefixReuse(Generic[Key, Chunk]):
    """Keeps chunks by value = uses / (age + 2 gap), and lets the least valuable leave, the tail of a prefix first.

    Uses are requests that stored or loaded the chunk (16 at most), its age is what has been stored and loaded since its last
    use, in chunks, and the gap is the geometric mean of the ages at which chunks were used again, learned as it goes. So the
    value is a rate of reuse: it grows with uses and falls with age, but little while the age is less than reuse usually takes.
    These are features of the flagship, how often and how long since (docs/flagship.md, "By reads"); the scale is added to the
    time as a gamma prior adds it to a Poisson rate. Chunks that left are remembered, four times the capacity, so that their
    uses and gaps count when they come again.

    A request that uses a chunk uses all before it in the prefix: these are as young and used as often at least, so worth no less.

    Work: O(1) per chunk used; to evict, the runs of chunks alike (one to a few per request) are sorted once.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.clear()

    def clear(self) -> None:
        """Forgets everything, learned values too."""
        self.chunks: dict[Key, Chunk] = {}
        self._runs: list[_Run[Key]] = []
        self._run_of: dict[Key, _Run[Key]] = {}
        self._num_gone = 0
        self._time = 0
        self._log_gap = math.log(max(self.capacity, 1))
        self._filling: dict[int, _Run[Key]] = {}  # by uses, of what is being stored

    def insert(self, key: Key, chunk: Chunk) -> None:
        """Stores a chunk that is not here: a use of it."""
        uses = 1
        if before := self._run_of.get(key):
            self._learn(before)
            uses = min(before.uses + 1, MOST_USES)
            del before.gone[key]
            self._num_gone -= 1
        self._time += 1
        if uses not in self._filling:
            self._filling[uses] = self._new_run(uses)
        run = self._filling[uses]
        run.time = self._time
        run.near[key] = None
        self._run_of[key] = run
        self.chunks[key] = chunk

    def remove(self, key: Key) -> None:
        """Takes a chunk away as if it had never been stored."""
        del self.chunks[key]
        del self._run_of.pop(key).near[key]

    def use(self, keys: Sequence[Key], again: Callable[[Key], bool]) -> None:
        """A request used these chunks, from head to tail; ``again`` tells for which that is one use more."""
        self._filling = {}
        self._time += sum(map(again, keys))
        runs: dict[int, _Run[Key]] = {}
        for key in keys:
            if key not in self.chunks:
                continue
            before = self._run_of[key]
            uses = before.uses
            if again(key):
                self._learn(before)
                uses = min(uses + 1, MOST_USES)
            if uses not in runs:
                runs[uses] = self._new_run(uses)
            del before.near[key]
            runs[uses].near[key] = None
            self._run_of[key] = runs[uses]

    def evict(self, num_chunks: int, keep: Callable[[Key, Chunk], bool]) -> list[tuple[Key, Chunk]] | None:
        """The least valuable chunks that need not be kept leave; None, and nothing changes, if there are not so many."""
        gap = GAPS * math.exp(self._log_gap)
        occupied = [run for run in self._runs if run.near]
        occupied.sort(key=lambda run: run.uses / (self._time - run.time + gap))
        leaving: list[tuple[Key, Chunk]] = []
        for key in (key for run in occupied for key in reversed(run.near)):
            if len(leaving) == num_chunks:
                break
            if not keep(key, self.chunks[key]):
                leaving.append((key, self.chunks[key]))
        if len(leaving) < num_chunks:
            return None
        for key, _ in leaving:
            del self.chunks[key]
            run = self._run_of[key]
            del run.near[key]
            run.gone[key] = None
        self._num_gone += len(leaving)
        self._forget()
        return leaving

    def _new_run(self, uses: int) -> _Run[Key]:
        run: _Run[Key] = _Run(self._time, uses)
        self._runs.append(run)
        return run

    def _learn(self, before: _Run[Key]) -> None:
        self._log_gap += GAP_SHARE * (math.log(max(self._time - before.time, 1)) - self._log_gap)

    def _forget(self) -> None:
        """The oldest of what left, and runs that nothing is left of."""
        for run in self._runs:
            if self._num_gone <= REMEMBERED * self.capacity:
                break
            for key in run.gone:
                del self._run_of[key]
            self._num_gone -= len(run.gone)
            run.gone.clear()
        self._runs = [run for run in self._runs if run.near or run.gone]
        self._filling = {}

