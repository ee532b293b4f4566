"""The arguments of long calls: threads, progress, interrupt."""

from __future__ import annotations

from typing import Any, Protocol, Union


class Progress(Protocol):
    """Receives the progress of a long call, in the thread that made it, a few times a second."""

    def start(self, what: str, total: int, unit: str) -> None:
        """Work of ``total`` units (0: unknown) named ``what`` begins; ``unit`` is a plural noun."""

    def update(self, done: int) -> None:
        """``done`` units are finished in all."""

    def finish(self) -> None:
        """The work that was started last is over."""


ProgressLike = Union[bool, Progress, None]


class TqdmProgress:
    """Progress as tqdm bars, one per stage of the work."""

    def __init__(self) -> None:
        from tqdm.auto import tqdm

        self._tqdm = tqdm
        self._bar: Any = None

    def start(self, what: str, total: int, unit: str) -> None:
        self.finish()
        self._bar = self._tqdm(total=total or None, desc=what, unit=" " + unit, unit_scale=True, leave=False)

    def update(self, done: int) -> None:
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class shown:
    """Context of a long call: the object that progress goes to, closed at the end also if the call raises."""

    def __init__(self, progress: ProgressLike) -> None:
        if progress is True:
            try:
                progress = TqdmProgress()
            except ImportError as error:
                raise ImportError("progress=True shows tqdm bars: pip install 'kvplace[progress]'") from error
        self._progress: Progress | None = progress or None

    def __enter__(self) -> Progress | None:
        return self._progress

    def __exit__(self, *exception: object) -> None:
        if isinstance(self._progress, TqdmProgress):
            self._progress.finish()
