"""A study on the workers of a Dask cluster. Each task computes a batch of points; the client alone writes the database."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from typing import TYPE_CHECKING, Any

from . import _core
from ._core import Interrupt
from ._errors import BadInput, Error, Failed, Interrupted
from ._run import Progress

if TYPE_CHECKING:
    from distributed import Client

#: Waits for a scheduler, and for the first worker.
_PATIENCE_S = 30
#: From one look at the tasks to the next.
_POLL_S = 0.05
#: Tasks that are on their way at once, for each thread of the cluster: enough to keep it busy.
_TASKS_PER_THREAD = 4


def _cache_folder() -> str:
    """Where a worker keeps the traces it was sent, by digest; gone with the worker's own folder."""
    from distributed import get_worker

    folder = os.path.join(get_worker().local_directory, "kvplace-traces")
    os.makedirs(folder, exist_ok=True)
    return folder


def _digest(path: str) -> str | None:
    try:
        return str(_core.trace_digest(path))
    except Error:
        return None


def _place_of(path: str, digest: str, sent: bytes | None) -> str | None:
    """Where this worker has the trace of that digest: under its own name, or as it was sent. None: it has not."""
    if _digest(path) == digest:
        return path
    kept = os.path.join(_cache_folder(), digest + ".kvt")
    if not os.path.exists(kept) and sent is not None:
        descriptor, name = tempfile.mkstemp(dir=_cache_folder())
        with os.fdopen(descriptor, "wb") as file:  # in a temporary folder
            file.write(sent)
        os.replace(name, kept)  # in a temporary folder
    return kept if _digest(kept) == digest else None


def compute(toml: str, batch: list[int], digests: dict[str, str], sent: dict[str, bytes], threads: int,
            version: str) -> dict[str, Any]:
    """One task, on a worker: the outcomes of a batch, or which traces the worker lacks."""
    if version != _core.version():
        raise BadInput(f"a worker has kvplace {_core.version()} and the client {version}: install one version on all")
    found = {path: _place_of(path, digest, sent.get(path)) for path, digest in digests.items()}
    places = {path: place for path, place in found.items() if place is not None}
    if len(places) < len(found):
        return {"lacking": sorted(found.keys() - places.keys())}
    return {"outcomes": _core.compute_batch(toml, batch, places, threads)}


def _connected(executor: str) -> Client:
    if not executor.startswith("dask://"):
        raise BadInput(f"--executor {executor}: is dask://HOST:PORT, the address of a Dask scheduler")
    try:
        from distributed import Client
    except ImportError:
        raise BadInput("--executor dask://... needs Dask: pip install 'kvplace[cluster]'") from None
    address = "tcp://" + executor.removeprefix("dask://")
    try:
        return Client(address, timeout=_PATIENCE_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise Failed(f"--executor {executor}: no Dask scheduler answers there ({error})") from None


class _Cluster:
    """Batches sent to the workers, and what comes back."""

    def __init__(self, client: Client, file: _core.SweepFile, threads: int) -> None:
        self._client, self._file, self._threads = client, file, threads
        self._digests: dict[str, str | None] = {}
        self._sent: dict[str, Any] = {}  # by path: futures of the files' bytes, on the cluster
        self._running: dict[Any, list[int]] = {}  # the batch of each task

    def __len__(self) -> int:
        return len(self._running)

    def submit(self, batch: list[int], with_traces: bool = False) -> None:
        digests = {path: digest for path in self._file.traces(batch) if (digest := self._digest_of(path))}
        sent = {path: self._bytes_of(path) for path in digests} if with_traces else {}
        task = self._client.submit(compute, self._file.toml, batch, digests, sent, self._threads, _core.version(),
                                   pure=False)
        self._running[task] = batch

    def _digest_of(self, path: str) -> str | None:
        if path not in self._digests:
            self._digests[path] = _digest(path)  # one that cannot be read is an error of its points
        return self._digests[path]

    def _bytes_of(self, path: str) -> Any:
        """The file, on the cluster: read and sent once, then passed from worker to worker."""
        if path not in self._sent:
            with open(path, "rb") as file:
                self._sent[path] = self._client.scatter(file.read(), hash=False)
        return self._sent[path]

    def next_outcomes(self, interrupt: Interrupt | None) -> list[tuple[int, str]]:
        """Of tasks that have ended, once there are any; none if they only told that a worker lacks a trace."""
        outcomes: list[tuple[int, str]] = []
        for task in self._ended(interrupt):
            batch = self._running.pop(task)
            if task.status in ("cancelled", "lost") and self._client.status == "running":
                self._sent.clear()  # a trace that was sent was lost with the worker that kept it
                self.submit(batch, with_traces=True)
                continue
            try:
                answer = task.result()
            except Error:
                raise
            except Exception as error:  # whatever a cluster does to a task
                raise Failed(f"a task of the cluster failed ({type(error).__name__}: {error}); what was done is kept: the "
                             "same command goes on from there") from error
            if "lacking" in answer:
                self.submit(batch, with_traces=True)
            else:
                outcomes += answer["outcomes"]
        return outcomes

    def _ended(self, interrupt: Interrupt | None) -> list[Any]:
        while True:
            if interrupt is not None and interrupt.requested:
                raise Interrupted("stopped; what was done is kept, and the same command goes on from there")
            ended = [task for task in self._running if task.status != "pending"]
            if ended:
                return ended
            time.sleep(_POLL_S)


def run_on(executor: str, file: _core.SweepFile, threads: int, progress: Progress | None,
           interrupt: Interrupt | None) -> None:
    """Computes what is pending of a study on a cluster. Workers may come and go; one that dies loses its task, which
    another one gets."""
    client = _connected(executor)
    try:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE_S)
        except TimeoutError:
            raise Failed(f"--executor {executor}: the scheduler has no workers") from None
        cluster = _Cluster(client, file, threads)
        pending = file.batches()
        batches = iter(pending)
        done = file.points - sum(map(len, pending))
        if progress is not None:
            progress.start("sweeping", file.points, "points")
        while True:
            room = _TASKS_PER_THREAD * max(1, sum(client.nthreads().values()))
            for batch in itertools.islice(batches, max(0, room - len(cluster))):
                cluster.submit(batch)
            if len(cluster) == 0:
                break
            for point, outcome in cluster.next_outcomes(interrupt):
                file.store(point, outcome)
                done += 1
                if progress is not None:
                    progress.update(done)
        if progress is not None:
            progress.finish()
    finally:
        client.close()
    file.finish()
