"""run when things go wrong: two on one file, killed, stopped, short of memory: an error or a recovery, and nothing left behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
import unittest

import cli

MIB = 1 << 20


def flags(near: int = 64, block: str = "16KiB") -> list[str]:
    """A run with far memory in the file `far`."""
    return ["run", cli.BUNDLED, "--far", "file:far", "--near-blocks-per-layer", str(near), "--block-bytes", block,
            "--weight-bytes-per-step", "0", "--policy", "lru", "--quiet"]


class Faults(cli.CliTest):
    def start_on_file(self) -> subprocess.Popen:
        """A run of thousands of steps, which has its far memory by now."""
        process = cli.start(*flags(), "--json", cwd=self.folder)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        for _ in range(600):
            if os.path.exists(self.path("far")) and os.path.getsize(self.path("far")) > MIB:
                time.sleep(0.5)
                self.assertIsNone(process.poll(), "ended early")
                return process
            time.sleep(0.05)
        self.fail("makes no file")

    def test_one_file_is_of_one_run(self) -> None:
        first = self.start_on_file()
        second = self.run_cli(*flags(), "--decode-steps", "2")
        self.refused(second, cli.FAILED, "being written already")
        self.assertIsNone(first.poll(), "the other run ended")
        first.send_signal(signal.SIGINT)
        out, _ = first.communicate(timeout=30)
        self.assertEqual(first.returncode, cli.LIMIT_REACHED)
        (run,) = json.loads(out)["runs"]
        self.assertFalse(run["complete"])
        self.assertEqual(len(run["steps_measured_s"]), run["steps"])
        self.assertNotIn("far", self.names())

    def test_what_a_killed_run_left_is_taken_over(self) -> None:
        first = self.start_on_file()
        first.kill()
        first.communicate()
        self.assertIn("far", self.names())
        ran = self.run_cli(*flags(), "--decode-steps", "2")
        self.assertEqual(ran.code, cli.DONE, ran)
        self.assertEqual([name for name in self.names() if "far" in name], [])

    def peak(self, near: int) -> tuple[dict, int]:
        """A run, and the most memory that it had."""
        process = cli.start(*flags(near), "--json", "--decode-steps", "4", cwd=self.folder)
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        process.stdout.close()
        self.assertEqual(process.returncode, cli.DONE)
        return json.loads(out)["runs"][0], usage.ru_maxrss * 1024

    def test_memory_taken_is_what_is_said(self) -> None:
        """Far pages, 126 MB, are in the file: beside what is said there is the program with its trace only."""
        small, small_peak = self.peak(1)
        large, large_peak = self.peak(250)
        self.assertGreater(large["near_bytes"] - small["near_bytes"], 110 * MIB)
        for run, peak in ((small, small_peak), (large, large_peak)):
            self.assertLess(peak, run["near_bytes"] + 64 * MIB)

    def test_too_little_memory_is_said(self) -> None:
        said = 0
        for limit in (100, 300, 500, 540, 4000):
            process = subprocess.run([cli.BIN, *flags(250, "64KiB"), "--decode-steps", "2", "--threads", "1"],
                                     cwd=self.folder, capture_output=True, timeout=60, check=False,
                                     preexec_fn=lambda most=limit * MIB: resource.setrlimit(resource.RLIMIT_AS, (most, most)))
            ran = cli.Ran(("run", limit), process.returncode, process.stdout, process.stderr)
            self.assertEqual(self.names(), [], ran)
            if ran.code != cli.DONE:
                self.refused(ran, cli.FAILED)
                said += "dram: the system has no " in ran.err
        self.assertEqual(ran.code, cli.DONE, ran)
        self.assertGreater(said, 0)


if __name__ == "__main__":
    unittest.main()
