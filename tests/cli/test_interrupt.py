"""A request to stop: soon over, with the results so far, and no partial file."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import unittest

import cli


class Interrupt(cli.CliTest):
    def interrupt(self, *arguments: object, after: float = 0.7, number: int = signal.SIGINT) -> cli.Ran:
        """Runs the command and sends it a signal; it must end within seconds."""
        process = cli.start(*arguments, cwd=self.folder)
        time.sleep(after)
        process.send_signal(number)
        asked = time.monotonic()
        try:
            out, err = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.fail(f"does not stop: {arguments}")
        ran = cli.Ran(arguments, process.returncode, out, err)
        self.assertLess(time.monotonic() - asked, 5, ran)
        return ran

    def check_comparison(self, ran: cli.Ran, policies: int) -> None:
        """All of it, or what was reached: the same decode steps for all policies, and the bounds of those."""
        self.assertIn(ran.code, (cli.DONE, cli.LIMIT_REACHED), ran)
        self.assertTrue(ran.out, ran)
        answer = json.loads(ran.out)
        self.assertEqual(answer["status"], "complete" if ran.code == cli.DONE else "interrupted")
        self.assertEqual(len(answer["results"]), policies)
        self.assertEqual(len({r["steps"] for r in answer["results"]}), 1)
        for result in answer["results"]:
            self.assertLessEqual(result["steps"], 4096)
            if ran.code == cli.LIMIT_REACHED:
                self.assertLess(result["steps"], 4096)
            self.assertEqual(result["reads"], result["steps"] * 30 * 64)
            self.assertEqual(result["reads"], result["near_reads"] + result["far_reads"])
            self.assertGreaterEqual(result["total_s"], answer["bounds"]["perfect_split_s"] * (1 - 1e-9))

    def test_compare(self) -> None:
        flags = [flag for n in range(1, 41) for flag in ("--policy", f"sa-guided:w={n}")]
        for number in (signal.SIGINT, signal.SIGTERM):
            ran = self.interrupt("compare", cli.BUNDLED, "--near-blocks-per-layer", 96, "--json", *flags, number=number)
            self.check_comparison(ran, 40)

    def test_table_of_an_interrupted_comparison(self) -> None:
        flags = [flag for n in range(1, 41) for flag in ("--policy", f"sa-guided:w={n}")]
        ran = self.interrupt("compare", cli.BUNDLED, "--near-blocks-per-layer", 96, *flags)
        self.assertIn("sa-guided", ran.out, ran)
        if ran.code != cli.DONE:
            self.assertEqual(ran.code, cli.LIMIT_REACHED, ran)
            self.assertIn("nterrupted", ran.out)

    def test_a_search(self) -> None:
        """A search that is stopped prints the best it found so far."""
        ran = self.interrupt("compare", cli.BUNDLED, "--near-blocks-per-layer", 96, "--json", "--policy", "lru",
                             "--policy",
                             "sa:iterations=100000", after=2.5)
        self.assertEqual(ran.code, cli.LIMIT_REACHED, ran)
        self.assertTrue(ran.out, ran)
        self.assertEqual([r["policy"] for r in json.loads(ran.out)["results"]], ["lru", "sa"])

    def test_schedule(self) -> None:
        """A schedule that is not complete is not written."""
        ran = self.interrupt("compare", cli.BUNDLED, "--near-blocks-per-layer", 96, "--policy", "sa:iterations=100000",
                             "--schedule-out", "s.kvs", after=1)
        self.assertEqual(ran.code, cli.LIMIT_REACHED, ran)
        self.assertEqual(self.names(), [])

    def test_import(self) -> None:
        rows = cli.random_rows(1, layers=4, steps=400, prompt_tokens=200)
        self.write("a.csv", cli.fang_csv(rows))
        self.write("old.kvt", b"older")
        # Each source begins anew with decode step 0, as long as there is more of them.
        sources = ["a.csv"] * 400
        for after in (0.3, 0.8, 1.6):
            for number in (signal.SIGINT, signal.SIGTERM):
                ran = self.interrupt("import", *sources, "-o", "old.kvt", "--format", "fang-csv", after=after,
                                     number=number)
                self.assertEqual(self.names(), ["a.csv", "old.kvt"], ran)
                if ran.code == cli.DONE:
                    self.write("old.kvt", b"older")
                    continue
                self.refused(ran, cli.LIMIT_REACHED)
                self.assertEqual(self.read("old.kvt"), b"older")

    def test_export_and_info(self) -> None:
        for fmt in ("fang-csv", "oracle-general"):
            ran = self.interrupt("export", cli.BUNDLED, "-o", "x.gz", "--format", fmt, after=0.3)
            if ran.code != cli.DONE:
                self.refused(ran, cli.LIMIT_REACHED)
                self.assertEqual(self.names(), [])
            else:
                os.remove(self.path("x.gz"))
        ran = self.interrupt("info", cli.BUNDLED, "--json", "--threads", 1, after=0.2)
        if ran.code != cli.DONE:
            self.refused(ran, cli.LIMIT_REACHED)

    def test_size(self) -> None:
        """The brackets so far, which say that they are open; nothing before there is one."""
        for after in (0.2, 1.0):
            ran = self.interrupt("size", cli.BUNDLED, "--target", "80%", "--hardware", "h100-sxm-pcie5", "--json",
                                 "--weight-bytes-per-step", 0, after=after)
            if ran.code == cli.DONE:
                continue
            if not ran.out:
                self.refused(ran, cli.LIMIT_REACHED, "stopped")
                continue
            self.assertEqual(ran.code, cli.LIMIT_REACHED, ran)
            found = json.loads(ran.out)
            self.assertEqual(found["status"], "interrupted")
            for answer in found["answers"]:
                self.assertIsNone(answer["worth"])
                self.assertIn(answer["ended_by"], ("interrupted", "target", "range"))
                self.assertIn(answer["answer"], [None, *answer["brackets"]])
                self.assertIn(answer["neighbour"], [None, *answer["brackets"]])

    def test_advise(self) -> None:
        """Half an answer is none, and no file is left."""
        ran = self.interrupt("advise", "--model", "deepseek-v3.2", "--hardware", "8xh200", "--context", "64K", "--batch", 64,
                             after=2)
        if ran.code != cli.DONE:
            self.refused(ran, cli.LIMIT_REACHED, "stopped")
        self.assertEqual(self.names(), [])

    def test_budgets(self) -> None:
        """Half a search answers nothing; an older file stays as it was."""
        self.write("b.json", b"older")
        ran = self.interrupt("budgets", cli.BUNDLED, "--near-blocks-per-layer", 96, "--policy", "belady", "-o", "b.json",
                             after=0.5)
        if ran.code != cli.DONE:
            self.refused(ran, cli.LIMIT_REACHED, "stopped")
            self.assertEqual((self.names(), self.read("b.json")), (["b.json"], b"older"))

    def test_the_demo_explains_the_column_it_shows(self) -> None:
        """Without a certified bound, times are compared with something else."""
        for after in (0.7, 1.5):
            ran = self.interrupt("demo", after=after)
            if not ran.out:
                self.refused(ran, cli.LIMIT_REACHED, "stopped")  # before there was anything to show
                continue
            (column,) = re.findall(r"^policy .*  (x \w+) ", ran.out, re.MULTILINE)
            self.assertIn(f"Read it so: {column} is the time over the ", ran.out)


if __name__ == "__main__":
    unittest.main()
