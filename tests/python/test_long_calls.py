"""Long calls: Ctrl-C, stop requests, progress, other threads."""

import contextlib
import io
import os
import signal
import threading
import unittest

import kvplace
from python_test import BUNDLED, INSTANCE, CliTest


class Recorder:
    """Progress that remembers what it was told, and may do something on the way."""

    def __init__(self, on_start=lambda: None):
        self.calls = []
        self.on_start = on_start

    def start(self, what, total, unit):
        self.calls.append(("start", what, total, unit))
        self.on_start()

    def update(self, done):
        self.calls.append(("update", done))

    def finish(self):
        self.calls.append(("finish",))


class LongCalls(CliTest):
    def setUp(self):
        super().setUp()
        self.trace = kvplace.Trace(BUNDLED)
        self.instance = kvplace.Instance(self.trace, **INSTANCE)

    def search(self, **more):
        """A call that takes many passes over the trace."""
        return kvplace.compare(self.trace, self.instance, ["sa"], **more)

    def test_ctrl_c(self):
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        self.addCleanup(timer.cancel)
        with self.assertRaises(KeyboardInterrupt):
            self.search()

    def test_a_stop_request_from_another_thread_runs_beside_the_call(self):
        stop, running = kvplace.Interrupt(), threading.Event()

        def request():
            running.wait()
            stop.request()

        helper = threading.Thread(target=request)
        helper.start()
        try:
            self.assertFalse(self.search(interrupt=stop, progress=Recorder(running.set)).complete)
        except kvplace.Interrupted:
            pass  # before the search had found anything
        helper.join()

    def test_what_an_interrupt_leaves(self):
        stop = kvplace.Interrupt()
        stop.request()
        compared = kvplace.compare(self.trace, self.instance, ["lru"], interrupt=stop)
        self.assertFalse(compared.complete)
        self.assertEqual(compared.to_dict()["status"], "interrupted")
        self.assertTrue(all(result.steps < self.trace.steps for result in compared))

    def test_stopped_before_there_is_anything(self):
        stop = kvplace.Interrupt()
        stop.request()
        self.assertTrue(stop.requested)
        for call in (
            lambda: self.trace.info(interrupt=stop),
            lambda: kvplace.record_schedule(self.trace, self.instance, "lru", self.path("s.kvs"), interrupt=stop),
            lambda: self.trace.slice(self.path("s.kvt"), steps=(0, 100), interrupt=stop),
            lambda: self.trace.export(self.path("s.npy"), "topk-npy", interrupt=stop),
        ):
            with self.assertRaisesRegex(kvplace.Interrupted, "stopped"):
                call()
        self.assertEqual(self.names(), [])

    def test_progress_is_whole(self):
        recorder = Recorder()
        kvplace.compare(self.trace, self.instance, ["lru"], progress=recorder)
        kinds = [call[0] for call in recorder.calls]
        self.assertEqual((kinds[0], kinds[-1]), ("start", "finish"))
        self.assertEqual(recorder.calls[0][2:], (self.trace.num_reads, "reads"))
        done = [call[1] for call in recorder.calls if call[0] == "update"]
        self.assertEqual(done, sorted(done))
        self.assertEqual(done[-1], self.trace.num_reads)

    def test_progress_that_raises_ends_the_call(self):
        def fail():
            raise ZeroDivisionError("from progress")

        with self.assertRaisesRegex(ZeroDivisionError, "from progress"):
            self.search(progress=Recorder(fail))

    def test_tqdm(self):
        shown = io.StringIO()
        with contextlib.redirect_stderr(shown):
            self.trace.info(progress=True)
        self.assertIn("measuring locality", shown.getvalue())

    def test_calls_side_by_side(self):
        alone = kvplace.compare(self.trace, self.instance, ["lru", "belady"]).results
        got = [None, None]

        def work(i):
            got[i] = kvplace.compare(self.trace, self.instance, ["lru", "belady"]).results

        threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(got, [alone, alone])


if __name__ == "__main__":
    unittest.main()
