"""Sweeps: every point as a run of its own gives it, killed and resumed, points that fail, files that are not ours."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import time
import unittest

import cli
from sweep_file import contents, rows

STUDY = """
policies = ["lru", "belady", "kvplace", "static", "layer-split", "past-window:window=5|20"]
hardware = "gh200-144"
[options]
block_bytes = "4kB"
[grid]
trace = ["t.kvt", "u.kvt"]
"options.near_blocks_per_layer" = [4, 6, 8]
"hardware.far.link_read, hardware.far.link_write" = { from = "10GB/s", to = "450GB/s", step = "220GB/s" }
"options.copies" = ["step", "background"]
"""


class Sweep(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        for seed, name in enumerate(("t.kvt", "u.kvt")):
            self.make_trace(name, cli.random_rows(seed, layers=3, steps=60, prompt_tokens=20), 20)
        self.write("s.toml", STUDY)

    def sweep(self, *arguments: object, **options: object) -> dict:
        return json.loads(self.ok("sweep", "s.toml", "-o", "s.sqlite", "--quiet", "--json", *arguments, **options))

    def database(self, name: str = "s.sqlite") -> dict[str, list[tuple]]:
        return contents(self.path(name))

    def rows(self, sql: str) -> list[tuple]:
        return rows(self.path("s.sqlite"), sql)


class Points(Sweep):
    def test_each_is_what_compare_gives(self) -> None:
        status = self.sweep()
        self.assertEqual((status["points"], status["done"], status["rows"]), (36, 36, 36 * 7))
        fields = [field["key"] for field in json.loads(self.ok("list", "results", "--json"))]
        for point, config, trace, split in self.rows("SELECT point, config, trace, perfect_split_s FROM points"):
            self.write("c.toml", config)
            alone = self.json("compare", trace, "--config", "c.toml", *(
                flag for policy in ("lru", "belady", "kvplace", "static", "layer-split", "past-window:window=5",
                                    "past-window:window=20") for flag in ("--policy", policy)))
            self.assertEqual(alone["bounds"]["perfect_split_s"], split)
            kept = self.rows(f"SELECT {', '.join(fields)} FROM results WHERE point = {point} ORDER BY place")
            self.assertEqual(len(kept), 7)
            for row, result in zip(kept, alone["results"], strict=True):
                for key, value in zip(fields, row, strict=True):
                    expected = result.get(key)
                    self.assertEqual(json.loads(value) if isinstance(expected, (dict, list)) else value, expected, key)

    def test_views_and_csv(self) -> None:
        self.sweep()
        table = list(csv.DictReader(io.StringIO(self.ok("sweep", "s.sqlite", "--export", "csv"))))
        self.assertEqual(len(table), 36 * 7)
        self.ok("sweep", "s.sqlite", "--export", "csv", "-o", "s.csv")
        self.assertEqual(list(csv.DictReader(io.StringIO(self.read("s.csv").decode()))), table)
        for point in range(36):
            mine = [row for row in table if row["point"] == str(point)]
            fastest = min(float(row["total_s"]) for row in mine)
            (seen,) = self.rows(f"SELECT total_s, \"options.copies\" FROM fastest WHERE point = {point}")
            self.assertEqual(seen, (fastest, mine[0]["options.copies"]))
        self.assertEqual(self.rows("SELECT DISTINCT number, unit FROM axes WHERE key = 'hardware.far.link_read'"),
                         [(10e9, "bytes/s"), (230e9, "bytes/s"), (450e9, "bytes/s")])

    def test_bounds_sizes_and_advice(self) -> None:
        self.write("s.toml", """
compute = ["compare", "bound", "size"]
policies = ["lru", "belady-global"]
trace = "t.kvt"
options.block_bytes = "4kB"
options.near_blocks_per_layer = 5
size.target = "80%"
[grid]
"hardware.far.link_read" = ["55GB/s", "450GB/s"]
""")
        self.sweep()
        for link, point in (("55GB/s", 0), ("450GB/s", 1)):
            flags = ("t.kvt", "--block-bytes", "4kB", "--near-blocks-per-layer", 5, "--set",
                     f"hardware.far.link_read={link}")
            bounds = self.json("compare", *flags, "--policy", "lru", "--policy", "belady-global", "--bound")
            kept = self.rows(f"SELECT certified_s, any_s, bound_status FROM points WHERE point = {point}")
            self.assertEqual(kept, [(bounds["bounds"]["certified_s"], bounds["bounds"]["certified_any_s"], "converged")])
            gaps = self.rows(f"SELECT gap_to_bound FROM results WHERE point = {point} ORDER BY place")
            self.assertEqual(gaps, [(result["gap_to_bound"],) for result in bounds["results"]])
            size = self.json("size", *flags, "--policy", "lru", "--policy", "belady-global", "--target", "80%")
            self.assertEqual(self.rows(f"SELECT count(*) FROM sizes WHERE point = {point}"), [(len(size["answers"]),)])
        self.write("a.toml", 'compute = "advise"\ncontext = "8K"\nhardware = "gh200-144"\nadvise.time_limit = "5s"\n'
                             '[grid]\nmodel = ["llama-3.1-8b"]\noptions.batch = [2, 4]\n')
        self.ok("sweep", "a.toml", "-o", "a.sqlite", timeout=120)
        asked = rows(self.path("a.sqlite"), "SELECT batch FROM advice WHERE asked ORDER BY point")
        self.assertEqual(asked, [(2,), (4,)])

    def test_threads_and_batches_change_nothing(self) -> None:
        self.sweep("--threads", 1)
        one = self.database()
        with sqlite3.connect(self.path("s.sqlite")) as database:  # every other point, as if a run had been killed
            for table in ("results", "timings"):
                database.execute(f"DELETE FROM {table} WHERE point % 2")
            database.execute("UPDATE points SET status = 'pending' WHERE point % 2")
        database.close()
        self.sweep("--threads", 3)
        self.assertEqual(self.database(), one)


class Killed(Sweep):
    def setUp(self) -> None:
        super().setUp()
        for name in ("t.kvt", "u.kvt"):
            os.remove(self.path(name))
            self.make_trace(name, cli.random_rows(len(name), layers=4, steps=600, prompt_tokens=60), 60)
        self.sweep()
        self.whole = self.database()
        os.rename(self.path("s.sqlite"), self.path("whole.sqlite"))

    def test_at_random_moments(self) -> None:
        rng = random.Random(17)
        kills = 0
        for _ in range(6):
            process = cli.start("sweep", "s.toml", "-o", "s.sqlite", cwd=self.folder)
            time.sleep(rng.uniform(0, 0.6))
            kills += process.poll() is None
            process.kill()
            process.communicate()
        self.assertGreater(kills, 0)
        self.sweep()
        self.assertEqual(self.database(), self.whole)
        self.assertEqual(self.rows("SELECT count(*), count(DISTINCT point) FROM timings"), [(36, 36)])
        self.assertEqual([name for name in self.names() if "sqlite-" in name], [])

    def test_a_stop_keeps_what_was_done(self) -> None:
        process = cli.start("sweep", "s.toml", "-o", "s.sqlite", cwd=self.folder)
        while process.poll() is None and not os.path.exists(self.path("s.sqlite")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, cli.LIMIT_REACHED, (out, err))
        self.assertIn(b"goes on from there", err)
        self.assertGreater(json.loads(self.ok("sweep", "s.sqlite", "--status", "--json"))["pending"], 0)
        self.sweep()
        self.assertEqual(self.database(), self.whole)

    def test_while_somebody_reads(self) -> None:
        process = cli.start("sweep", "s.toml", "-o", "s.sqlite", cwd=self.folder)
        while process.poll() is None and not os.path.exists(self.path("s.sqlite-wal")):
            time.sleep(0.01)
        self.assertIsNone(process.poll())
        reader = sqlite3.connect(self.path("s.sqlite"))
        self.addCleanup(reader.close)
        while process.poll() is None:
            self.run_cli("sweep", "s.sqlite", "--status")
            reader.execute("SELECT count(*) FROM sqlite_master").fetchall()
        out, err = process.communicate()
        self.assertEqual(process.returncode, cli.DONE, (out, err))
        self.assertEqual(self.database(), self.whole)

    def test_a_full_disk_loses_nothing(self) -> None:
        for most in (0, 20_000, 150_000):
            ran = subprocess.run([cli.BIN, "sweep", "s.toml", "-o", "s.sqlite", "--quiet"], cwd=self.folder, text=True,
                                 capture_output=True, check=False, restore_signals=False,
                                 preexec_fn=lambda most=most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
            self.assertEqual(ran.returncode, cli.FAILED, ran.stderr)
            self.assertRegex(ran.stderr, r"\Akvplace: [^\n]*s\.sqlite: the disk is full[^\n]*\n\Z")
        self.sweep()
        self.assertEqual(self.database(), self.whole)


class Failing(Sweep):
    def test_errors_of_points_are_rows_and_can_be_mended(self) -> None:
        os.rename(self.path("u.kvt"), self.path("away.kvt"))
        self.write("s.toml", STUDY.replace(
            '"options.near_blocks_per_layer" = [4, 6, 8]', '"options.block_bytes" = ["4kB", "0B"]'))
        status = self.sweep()
        self.assertEqual((status["done"], status["failed"]), (6, 18))
        self.assertTrue(any("u.kvt" in failure["message"] for failure in status["failures"]))
        self.assertEqual(self.rows("SELECT count(DISTINCT point) FROM errors"), [(18,)])
        self.assertEqual(self.rows("SELECT count(*) FROM results"), [(6 * 7,)])
        os.rename(self.path("away.kvt"), self.path("u.kvt"))
        before = self.database()
        self.assertEqual(self.sweep()["failed"], 18)
        self.assertEqual(self.database(), before)
        self.assertEqual(self.sweep("--retry")["failed"], 12)

    def test_a_policy_that_does_not_fit_leaves_the_others(self) -> None:
        self.write("s.toml", 'trace = "t.kvt"\npolicies = ["lru", "lru-warm"]\noptions.block_bytes = "4kB"\n'
                             "[grid]\noptions.near_blocks_per_layer = [4, 6]\n")
        self.sweep()
        self.assertEqual(self.rows("SELECT policy FROM results"), [("lru",)] * 2)
        for point, policy, message in self.rows("SELECT point, policy, message FROM errors ORDER BY point"):
            self.assertTrue(policy.startswith("lru-warm"), (point, policy))
            self.assertIn("no rankings", message)


class Refused(Sweep):
    def refuse(self, *fragments: str, code: int = cli.BAD_INPUT, study: str = "s.toml", out: str = "s.sqlite") -> None:
        before = self.read(out) if os.path.exists(self.path(out)) else None
        self.refused(self.run_cli("sweep", study, "-o", out), code, *fragments)
        if before is not None:
            self.assertEqual(self.read(out), before)

    def test_files_of_others(self) -> None:
        self.write("s.sqlite", "a text, longer than a header of a database\n" * 100)
        self.refuse("s.sqlite", "no database of a sweep")
        os.remove(self.path("s.sqlite"))
        with sqlite3.connect(self.path("s.sqlite")) as database:
            database.execute("CREATE TABLE theirs (x)")
        database.close()
        self.refuse("s.sqlite", "none of a sweep")
        self.refused(self.run_cli("sweep", "s.sqlite", "--status"), cli.BAD_INPUT, "none of a sweep")
        os.remove(self.path("s.sqlite"))
        self.sweep()
        with sqlite3.connect(self.path("s.sqlite")) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
        self.refuse("newer kvplace", "99")

    def test_another_study_and_another_trace(self) -> None:
        self.sweep()
        self.write("other.toml", STUDY.replace("[4, 6, 8]", "[4, 6]"))
        self.refuse("another study", study="other.toml")
        self.write("same.toml", "# a remark\n" + STUDY)
        self.ok("sweep", "same.toml", "-o", "s.sqlite")
        with sqlite3.connect(self.path("s.sqlite")) as database:
            database.execute("UPDATE points SET status = 'pending' WHERE point = 3")
            for table in ("results", "timings"):
                database.execute(f"DELETE FROM {table} WHERE point = 3")
        database.close()
        self.make_trace("t.kvt", cli.random_rows(9, layers=3, steps=60, prompt_tokens=20), 20)
        self.refused(self.run_cli("sweep", "s.toml", "-o", "s.sqlite"), cli.BAD_INPUT, "t.kvt", "not the trace any more")
        self.assertEqual(self.rows("SELECT status FROM points WHERE point = 3"), [("pending",)])

    def test_two_runs_at_once(self) -> None:
        first = cli.start("sweep", "s.toml", "-o", "s.sqlite", cwd=self.folder)
        first.send_signal(signal.SIGSTOP)
        try:
            ran = self.run_cli("sweep", "s.toml", "-o", "s.sqlite")
            if os.path.exists(self.path(".s.sqlite.lock")):
                self.refused(ran, cli.FAILED, "being written already")
        finally:
            first.send_signal(signal.SIGCONT)
            first.communicate(timeout=60)

    def test_words(self) -> None:
        self.write("bad.toml", STUDY + "options.bacth = 3\n")
        self.refuse("bad.toml", "bacth", study="bad.toml")
        self.assertFalse(os.path.exists(self.path("s.sqlite")))
        self.refused(self.run_cli("sweep", "s.toml"), cli.BAD_INPUT, "-o FILE.sqlite")
        self.refused(self.run_cli("sweep", "s.toml", "-o", "s.sqlite", "--executor", "dask://127.0.0.1:1"), cli.BAD_INPUT,
                     "kvplace[cluster]")
        self.sweep()
        self.refused(self.run_cli("sweep", "s.sqlite", "--export", "parquet", "-o", "x"), cli.BAD_INPUT, "kvplace[parquet]")
        self.refused(self.run_cli("sweep", "s.sqlite", "--export", "xls"), cli.BAD_INPUT, "csv or parquet")
        self.refused(self.run_cli("sweep", "none.sqlite", "--status"), cli.BAD_INPUT, "none.sqlite")


if __name__ == "__main__":
    unittest.main()
