"""No output takes the place of an input, of another output, or of what another run writes; a full disk costs the file,
not the answer. The verbs and their flags come from --help, so that a new one is tested, or missed here, by itself."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import subprocess
import time
import unittest

import numpy as np

import cli

ROWS = cli.random_rows(3, layers=2, steps=12, prompt_tokens=8)
HARDWARE = """
name = "mine"
near.capacity = "23GiB"
near.bandwidth = "4900GB/s"
far.capacity = "480GiB"
far.bandwidth = "500GB/s"
far.link_read = "450GB/s"
far.link_write = "450GB/s"
"""
MODEL = 'name = "own"\nlayers = 2\nkv_bytes_per_token_per_layer = "4KiB"\n'
DEPLOYMENT = ["--config", "c.toml", "--hardware", "h.toml", "--model", "m.toml", "--engine", "e.toml"]
INSTANCE = [*DEPLOYMENT, "--near-blocks-per-layer", "4"]
FILES = [*INSTANCE, "--layer-budgets", "b.toml"]

#: Commands of each verb that succeed once the outputs are given, with every flag that reads a file.
COMMANDS = {
    "import": [["import", "t.csv", "--format", "fang-csv"], ["import", "t.npy", "u.npy", "--format", "topk-npy"]],
    "merge": [["merge", "t.kvt", "u.kvt", "--arrivals", "l.jsonl"]],
    "record": [["record", "sglang", "--url", "http://127.0.0.1:9", "--prompts", "p.jsonl"]],  # no server: what comes before
    "generate": [["generate", "g.toml"], ["generate", "--like", "t.kvt"]],
    "info": [["info", "t.kvt"]],
    "export": [["export", "t.kvt", "--format", format] for format in ("fang-csv", "topk-npy", "oracle-general")],
    "compare": [["compare", "t.kvt", "--policy", "lru", *FILES]],
    "report": [["report", "t.kvt", "--policy", "lru", *FILES]],
    "bound": [["bound", "t.kvt", *FILES]],
    "advise": [["advise", "--trace", "t.kvt", *DEPLOYMENT, "--layer-budgets", "b.toml"]],
    "size": [["size", "t.kvt", "--target", "50%", *FILES]],
    "budgets": [["budgets", "t.kvt", "--held-out", "u.kvt", *FILES]],
    "calibrate": [["calibrate", "--far", "paced:1GB/s", "--near-size", "64MiB", "--far-size", "64MiB", "--runs", "1"]],
    "run": [["run", "t.kvt", "--policy", "lru", "--far", "dram", *FILES, "--batch", "1"]],
    "sweep": [["sweep", "s.toml"], ["sweep", "s.sqlite", "--export", "csv"]],
    "replay": [["replay", "t.kvt", "t.kvs", *FILES]],
    "verify": [["verify", "t.kvt", "t.cert", *FILES]],
    "list": [["list", "models"]],
    "model": [["model", "m.toml"]],
    "show-config": [["show-config", "t.kvt", *FILES]],
    "demo": [],
    "help": [["help", "compare"]],
    "completion": [["completion", "bash"]],
}


def options_of(verb: str) -> dict[str, tuple[str, bool]]:
    """Its options: what its value is called in --help, and whether it is required. Those without a value do no harm."""
    text = cli.run(verb, "--help").out
    found = re.findall(r"^  (?:-\w,)?(--[\w-]+) (\S+)(?: \.\.\.)?( \(required\))?", text, re.MULTILINE)
    return {name: (kind, bool(required)) for name, kind, required in found}


class OutputsTest(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.make_trace("t.kvt", ROWS, 8)
        self.make_trace("u.kvt", cli.random_rows(4, layers=2, steps=12, prompt_tokens=8), 8)
        self.write("t.csv", cli.fang_csv(ROWS))
        for name in ("t.npy", "u.npy"):
            np.save(self.path(name), cli.topk_array(ROWS))
        self.write("h.toml", HARDWARE)
        self.write("m.toml", MODEL)
        self.write("e.toml", "kv_efficiency = 0.9\n")
        self.write("p.jsonl", '{"prompt": "a text"}\n')
        self.write("c.toml", "[options]\nbatch = 2\n")
        self.write("b.toml", "layer_budgets = [5, 3]\n")
        self.write("l.jsonl", '{"timestamp": 0, "input_length": 8, "output_length": 4}\n')
        self.write("g.toml", "layers = 2\nsteps = 9\nprompt_tokens = 64\nbudget.blocks = 4\n")
        self.write("s.toml", 'trace = "t.kvt"\noptions.near_blocks_per_layer = 4\n[grid]\noptions.block_bytes = ["4kB", "8kB"]\n')
        self.ok("sweep", "s.toml", "-o", "s.sqlite")
        self.ok("compare", "t.kvt", "--policy", "lru", *FILES, "--schedule-out", "t.kvs")
        self.ok("bound", "t.kvt", *FILES, "-o", "t.cert")

    def contents(self) -> dict[str, tuple[int, bytes]]:
        """Inode and bytes of every file: that it is the same one, and what it was."""
        return {name: (os.lstat(self.path(name)).st_ino, self.read(name)) for name in self.names()}

    def outputs_of(self, verb: str) -> list[str]:
        return [name for name, (kind, _) in options_of(verb).items() if kind == "OUTPUT"]

    def command(self, base: list[str], outputs: dict[str, str]) -> list[str]:
        """The command with these outputs, and names of their own for the others that it needs."""
        needed = {name: f"new{i}.toml" for i, (name, (kind, required)) in enumerate(options_of(base[0]).items())
                  if kind == "OUTPUT" and required}
        return [*base, *(word for pair in {**needed, **outputs}.items() for word in pair)]

    def commands_with_outputs(self) -> list[tuple[list[str], str]]:
        """Each command with each of its outputs; --save-config is of --like alone."""
        return [(base, output) for verb, commands in COMMANDS.items() for output in self.outputs_of(verb)
                for base in commands if output != "--save-config" or "--like" in base]


class Inputs(OutputsTest):
    def test_every_verb_is_here_with_every_flag_that_reads_a_file(self) -> None:
        verbs = re.findall(r"^  ([a-z-]+)  ", cli.run("--help").out.split("Subcommands:")[1], re.MULTILINE)
        self.assertEqual(set(verbs), set(COMMANDS))
        for verb, commands in COMMANDS.items():
            reading = {name for name, (kind, _) in options_of(verb).items() if "FILE" in kind}
            self.assertLessEqual(reading, {word for command in commands for word in command}, verb)

    def test_no_output_replaces_an_input(self) -> None:
        for base, output in self.commands_with_outputs():
            for given in [word for word in base if os.path.exists(self.path(word))]:
                for link in ("symbolic.toml", "hard.toml"):
                    if os.path.lexists(self.path(link)):
                        os.remove(self.path(link))
                os.symlink(given, self.path("symbolic.toml"))
                os.link(self.path(given), self.path("hard.toml"))
                before = self.contents()
                names = ["./" + given, self.path(given), "symbolic.toml", "hard.toml"]
                if base[0] == "budgets":  # takes names in .json or .toml only
                    names = [name for name in names if name.endswith(".toml")]
                for name in names:
                    with self.subTest(base=base[:3], output=output, name=name):
                        ran = self.run_cli(*self.command(base, {output: name}))
                        self.refused(ran, cli.BAD_INPUT, f"{name}: is the input as well", given)
                        self.assertEqual(self.contents(), before, ran)

    def test_no_other_flag_writes_to_what_it_names(self) -> None:
        """A flag that writes and was not declared as an output would show here."""
        before = self.contents()
        for verb, commands in COMMANDS.items():
            for flag, (kind, _) in options_of(verb).items():
                for base in commands[:1]:
                    if kind not in ("OUTPUT", "N") and flag not in base:
                        with self.subTest(verb=verb, flag=flag):
                            ran = self.run_cli(*self.command(base, {flag: base[1]}))
                            for made in set(self.names()) - set(before):
                                os.remove(self.path(made))
                            self.assertEqual(self.contents(), before, ran)


class Outputs(OutputsTest):
    def test_two_outputs_are_two_files(self) -> None:
        os.symlink("one.toml", self.path("link.toml"))
        before = self.names()
        pairs = [(base, first, second) for base, first in self.commands_with_outputs()
                 for second in self.outputs_of(base[0]) if first < second and
                 (second != "--save-config" or "--like" in base)]
        self.assertTrue(pairs)
        for base, first, second in pairs:
            for name in ("one.toml", "./one.toml", "link.toml"):
                with self.subTest(base=base[:2], outputs=(first, second), name=name):
                    ran = self.run_cli(*self.command(base, {first: "one.toml", second: name}))
                    self.refused(ran, cli.BAD_INPUT, "is the name of two outputs")
                    self.assertEqual(self.names(), before)

    def test_what_another_run_writes_is_left_to_it(self) -> None:
        with open(self.path(".out.toml.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.names()
            for base, output in self.commands_with_outputs():
                with self.subTest(base=base[:2], output=output):
                    ran = self.run_cli(*self.command(base, {output: "out.toml"}))
                    self.refused(ran, cli.FAILED, "out.toml", "being written already")
                    self.assertEqual(self.names(), before)

    def test_two_runs_at_once(self) -> None:
        bound = ["bound", cli.BUNDLED, "--near-blocks-per-layer", 64, "-o", "x.cert"]
        first = cli.start(*bound, cwd=self.folder)
        while first.poll() is None and not os.path.exists(self.path(".x.cert.lock")):
            time.sleep(0.01)
        self.assertIsNone(first.poll(), "the first run ended before the second one began")
        self.refused(self.run_cli(*bound), cli.FAILED, "x.cert", "being written already")
        first.communicate(timeout=60)
        self.assertEqual(first.returncode, cli.DONE)
        self.ok("verify", cli.BUNDLED, "x.cert")
        self.assertNotIn(".x.cert.lock", self.names())

    def test_where_no_file_can_be_is_told_before_the_work(self) -> None:
        os.mkdir(self.path("folder.toml"))
        before = self.names()
        for base, output in self.commands_with_outputs():
            for name in ("no/out.toml", "folder.toml", "folder.toml/", ""):
                with self.subTest(base=base[:2], output=output, name=name):
                    self.refused(self.run_cli(*self.command(base, {output: name})), cli.BAD_INPUT,
                                 name or "output has no name")
                    self.assertEqual(self.names(), before)


class FullDisk(OutputsTest):
    def run_limited(self, most_bytes: int, *arguments: object) -> cli.Ran:
        """Runs the command as on a disk on which no file gets larger."""
        # Python ignores the signal of the limit, and without restore_signals so does the command: writing fails.
        process = subprocess.run([cli.BIN, *map(str, arguments)], cwd=self.folder, capture_output=True, check=False,
                                 restore_signals=False, preexec_fn=lambda: resource.setrlimit(
                                     resource.RLIMIT_FSIZE, (most_bytes, most_bytes)))
        return cli.Ran(arguments, process.returncode, process.stdout, process.stderr)

    def test_the_answer_is_told_all_the_same(self) -> None:
        self.make_trace("long.kvt", cli.random_rows(5, layers=2, steps=600, prompt_tokens=8), 8)
        near = ("--block-bytes", 4096, "--near-blocks-per-layer", 40)
        for verb, output, key, *base in (
                ("compare", "--schedule-out", "results", "--policy", "lru", *near),
                ("bound", "--output", "bound_s", *near), ("bound", "--values", "bound_s", *near),
                ("budgets", "--output", "layer_budgets", *near)):
            with self.subTest(verb=verb, output=output):
                before = self.names()
                command = self.command([verb, "long.kvt", *map(str, base)], {output: "out.toml"})
                ran = self.run_limited(100, *command, "--json")
                self.assertEqual(ran.code, cli.FAILED, ran)
                self.assertIn(key, json.loads(ran.out))
                self.assertRegex(ran.err, r"\Akvplace: [^\n]*cannot be written[^\n]*\n\Z", ran)
                self.assertEqual(self.names(), before)


if __name__ == "__main__":
    unittest.main()
