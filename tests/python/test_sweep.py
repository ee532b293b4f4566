"""Sweeps in Python, as Parquet, and on a Dask cluster of two processes, of which one is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import unittest

import kvplace
import pyarrow.parquet
from python_test import CliTest, random_rows
from sweep_file import contents

STUDY = """
policies = ["lru", "belady", "kvplace", "sa-guided:w=5|10|20"]
hardware = "gh200-144"
[options]
block_bytes = "4kB"
[grid]
trace = ["t.kvt", "u.kvt"]
"options.near_blocks_per_layer" = { from = 6, to = 20, step = 2 }
"hardware.far.link_read" = ["55GB/s", "450GB/s"]
"""
COMMAND = (sys.executable, "-c", "from kvplace._command import main; main()", "sweep")


class Sweeps(CliTest):
    def setUp(self) -> None:
        super().setUp()
        for seed, name in enumerate(("t.kvt", "u.kvt")):
            self.make_trace(name, random_rows(seed, layers=4, steps=400, prompt_tokens=60), 60)
        self.write("s.toml", STUDY)
        before = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)

    def test_is_what_the_command_makes(self) -> None:
        swept = kvplace.sweep("s.toml", "python.sqlite")
        self.assertEqual(repr(swept), self.ok("sweep", "python.sqlite", "--status").rstrip("\n"))
        self.ok("sweep", "s.toml", "-o", "command.sqlite")
        self.assertEqual(contents("python.sqlite"), contents("command.sqlite"))
        self.assertEqual((swept.status["done"], swept.status["rows"]), (32, 32 * 6))
        self.assertEqual(len(swept.to_pandas("fastest")), 32)
        with self.assertRaisesRegex(kvplace.BadInput, "no table none"):
            swept.rows("none")
        with self.assertRaisesRegex(kvplace.BadInput, "no database of a sweep"):
            kvplace.sweep("s.toml", "t.kvt")

    def test_parquet(self) -> None:
        swept = kvplace.sweep("s.toml", "s.sqlite")
        subprocess.run([*COMMAND, "s.sqlite", "--export", "parquet", "-o", "s.parquet"], check=True)
        self.assertEqual(pyarrow.parquet.read_table("s.parquet").to_pylist(), swept.rows())
        with self.assertRaisesRegex(kvplace.BadInput, "input"):
            swept.to_parquet("./s.sqlite")


class Cluster(Sweeps):
    def start(self, *module_and_flags: str, cwd: str) -> subprocess.Popen:
        process = subprocess.Popen([sys.executable, "-m", *module_and_flags], cwd=cwd, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def cluster(self) -> tuple[str, list[subprocess.Popen]]:
        """A scheduler and two workers, which do not see the client's folder."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        elsewhere = self.path("elsewhere")
        os.mkdir(elsewhere)
        self.start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", address.split(":")[1],
                   "--no-dashboard", cwd=elsewhere)
        workers = [self.start("distributed.cli.dask_worker", f"tcp://{address}", "--no-nanny", "--nthreads", "1",
                              "--no-dashboard", "--local-directory", elsewhere, cwd=elsewhere) for _ in range(2)]
        from distributed import Client

        for _ in range(100):
            try:
                with Client(f"tcp://{address}", timeout=60) as client:
                    client.wait_for_workers(2, timeout=120)
                return address, workers
            except OSError:
                time.sleep(0.2)
        raise AssertionError("the cluster does not start")

    def test_two_workers_one_killed(self) -> None:
        kvplace.sweep("s.toml", "here.sqlite")
        address, workers = self.cluster()
        client = subprocess.Popen([*COMMAND, "s.toml", "-o", "there.sqlite", "--executor", f"dask://{address}"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        done = 0
        while client.poll() is None and done == 0:
            time.sleep(0.05)
            done = kvplace.Sweep("there.sqlite").status["done"] if _is_a_sweep("there.sqlite") else 0
        workers[0].send_signal(signal.SIGKILL)
        out, err = client.communicate(timeout=240)
        self.assertEqual(client.returncode, 0, err)
        self.assertIn("32 of 32 points done", out)
        self.assertEqual(contents("there.sqlite"), contents("here.sqlite"))

    def test_nobody_there(self) -> None:
        with self.assertRaisesRegex(kvplace.BadInput, "dask://HOST:PORT"):
            kvplace.sweep("s.toml", "s.sqlite", executor="slurm://here")


def _is_a_sweep(path: str) -> bool:
    try:
        kvplace.Sweep(path).status  # noqa: B018
    except (kvplace.Error, OSError):
        return False
    return True


if __name__ == "__main__":
    unittest.main()
