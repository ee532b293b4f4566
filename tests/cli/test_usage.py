"""The words of a command line: help, misspelt words, what may follow a flag, standard input and closed pipes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import unittest

import cli

ROWS = cli.random_rows(3, layers=2, steps=20, prompt_tokens=8)


def verbs() -> list[str]:
    """Names of all verbs, as --help lists them."""
    return re.findall(r"^  ([a-z][a-z-]*)", cli.run("--help").out.split("Subcommands:")[1], re.MULTILINE)


class Help(cli.CliTest):
    def test_help_is_what_the_flag_prints(self) -> None:
        self.assertEqual(self.ok("help"), self.ok("--help"))
        self.assertIn("help", verbs())
        for verb in verbs():
            self.assertEqual(self.ok("help", verb), self.ok(verb, "--help"))
        self.refused(self.run_cli("help", "Compare"), cli.BAD_INPUT, '"Compare"', '"compare"')

    def test_json_says_what_the_help_says(self) -> None:
        listed = json.loads(self.ok("help", "--json"))
        self.assertEqual([verb["verb"] for verb in listed], verbs())
        for verb in listed:
            self.assertEqual(json.loads(self.ok("help", verb["verb"], "--json")), [verb])
            text = " ".join(self.ok("help", verb["verb"]).split())
            for option in verb["arguments"] + verb["flags"]:
                with self.subTest(verb=verb["verb"], names=option["names"]):
                    meaning = option["doc"] + (f" (default: {option['default']})" if option["default"] else "")
                    head = ",".join(option["names"]) + (f" {option['value']}" if option["value"] else "")
                    head += (" ..." if option["several"] else "") + (" (required)" if option["required"] else "")
                    self.assertIn(" ".join(f"{head} {meaning}".replace("`", "").split()), text)

    def test_several_values_only_where_they_may_follow(self) -> None:
        """A flag shown with "..." takes several values; the others are repeated."""
        text = self.ok("help", "compare")
        self.assertRegex(text, r"--policy POLICY\|all +[^.]")
        self.assertRegex(text, r"--set KEY=VALUE ")
        self.assertIn("--policy lru --policy belady", " ".join(text.split()))
        self.assertRegex(self.ok("help", "budgets"), r"--held-out FILE \.\.\.")


class Misspelt(cli.CliTest):
    def bad(self, *arguments: object, says: tuple[str, ...]) -> None:
        with self.subTest(command=arguments):
            self.refused(self.run_cli(*arguments), cli.BAD_INPUT, *says)

    def test_one_sentence_with_the_nearest(self) -> None:
        trace = self.make_trace("t.kvt", ROWS, 8)
        for arguments, *says in (
                ((), "kvplace demo", "kvplace help"),
                (("frobnicate",), "unknown verb", '"frobnicate"', "nearest"),
                (("Compare",), '"compare"'),
                (("--versoin",), '"--versoin"', '"--version"'),
                (("--jsn", "compare"), '"--jsn"', "before the verb: "),
                (("compare",), "no trace is named"),
                (("compare", trace, "--hardwre", "h100"), '"--hardwre"', '"--hardware"'),
                (("compare", trace, "--HARDWARE=x"), '"--HARDWARE"', '"--hardware"'),
                (("compare", trace, "--near-capacity"), "--near-capacity needs a value", "16GiB"),
                (("compare", trace, "other.kvt"), 'unexpected argument "other.kvt"'),
                (("import", trace, "-o", "x", "--fromat", "fang-csv"), '"--fromat"', '"--format"'),
                (("import", "-o", "x"), '"sources" is missing'),
                (("list",), '"what" is missing'),
                (("replay", trace), '"schedule" is missing'),
                (("completion", "Zsh"), '"zsh"')):
            self.bad(*arguments, says=tuple(says))
        for flags, nearest in (((("--policy", "LRU")), "lru"), (("--policy", "Belady-Gl"), "belady-global"),
                               (("--hardware", "H100-SXM-PCIE5"), "h100-sxm-pcie5"), (("--model", "QWEN3-8b"), "qwen3-8b"),
                               (("--set", "Options.Batch=3"), "options.batch")):
            self.bad("compare", trace, "--block-bytes", "4kB", *flags, says=(f'"{nearest}"',))
        self.bad("list", "Policies", says=('"policies"',))
        self.bad("export", trace, "-o", "x", "--format", "TopK-NPY", says=('"topk-npy"',))
        self.assertEqual(self.names(), ["t.kvt"])

    def test_a_second_policy_needs_its_flag(self) -> None:
        """It would be taken for the trace; and the trace behind a policy stays the trace."""
        trace = self.make_trace("t.kvt", ROWS, 8)
        flags = ("--block-bytes", "4kB", "--near-blocks-per-layer", 6)
        for words in ((trace, "--policy", "lru", "belady"), ("--policy", "lru", "belady", trace),
                      (trace, "--policy=lru", "belady")):
            self.bad("compare", *flags, *words, says=("--policy takes one value", '"belady"', "write --policy before each value"))
        self.assertIn("\nlru ", self.ok("compare", *flags, "--policy", "lru", trace))
        twice = self.ok("compare", *flags, "--policy", "lru", trace, "--policy", "belady")
        self.assertIn("\nbelady ", twice)
        made = self.ok("generate", "--set", "steps=2", "mixtral-experts", "-o", "g.kvt")
        self.assertIn("2 decode steps", made)


class Streams(cli.CliTest):
    def feed(self, content: bytes, *arguments: object) -> cli.Ran:
        """Runs the command with a pipe as standard input."""
        done = subprocess.run([cli.BIN, *map(str, arguments)], input=content, capture_output=True, cwd=self.folder,
                              timeout=60, check=False)
        return cli.Ran(arguments, done.returncode, done.stdout, done.stderr)

    def test_what_is_read_from_standard_input(self) -> None:
        trace = self.make_trace("t.kvt", ROWS, 8)
        flags = ("--block-bytes", "4kB", "--near-blocks-per-layer", 6)
        self.ok("compare", trace, *flags, "--policy", "lru", "--schedule-out", "s.kvs")
        self.ok("bound", trace, *flags, "-o", "c.cert")
        self.write("c.toml", self.ok("show-config", trace, *flags, "--policy", "lru"))
        for name, *words in ((trace, "info"), (trace, "compare", *flags, "--policy", "lru"),
                             (trace, "export", "-o", "x.csv", "--format", "fang-csv"), (trace, "budgets", *flags),
                             ("s.kvs", "replay", trace, *flags), ("c.cert", "verify", trace),
                             ("c.toml", "compare", "--config")):
            for stdin in ("-", "/dev/stdin"):
                ran = self.feed(self.read(name), *words, stdin)
                self.assertEqual((ran.code, ran.err), (cli.DONE, ""), ran)
                named = self.ok(*words, name)
                self.assertEqual(ran.out.replace("/dev/", ""), re.sub(rf"{name}(?!\.csv)", "stdin", named))
        self.assertTrue(self.feed(self.read(trace), "info", "-").out.startswith("stdin\n"))
        self.refused(self.feed(self.read(trace)[:-9], "info", "-"), cli.BAD_INPUT, "/dev/stdin", "truncated")
        self.refused(self.feed(b"", "info", "-"), cli.BAD_INPUT, "/dev/stdin", "is not a .kvt trace")
        csv = cli.fang_csv(ROWS).encode()
        self.refused(self.feed(csv, "import", "-", "-o", "new.kvt", "--format", "fang-csv"), cli.BAD_INPUT,
                     "/dev/stdin", "reads its files twice")
        self.assertNotIn("new.kvt", self.names())

    def test_outputs_are_files(self) -> None:
        trace = self.make_trace("t.kvt", ROWS, 8)
        flags = ("--block-bytes", "4kB", "--near-blocks-per-layer", 6)
        links = {name: os.readlink(f"/dev/{name}") for name in ("stdout", "stderr")}
        for words in (("export", trace, "--format", "fang-csv", "-o"), ("bound", trace, *flags, "-o"),
                      ("budgets", trace, *flags, "-o"), ("generate", "dsa-32k", "--steps", 2, "-o"),
                      ("compare", trace, *flags, "--policy", "lru", "--schedule-out")):
            self.refused(self.run_cli(*words, "-"), cli.BAD_INPUT, "standard output", "name a file")
        # Where the shell sent standard output to a file, its name must not be replaced by one.
        for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
            with open(self.path("out"), "wb") as out:
                done = subprocess.run([cli.BIN, "export", self.path(trace), "--format", "fang-csv", "-o", name],
                                      stdout=out, stderr=subprocess.PIPE, check=False)
            self.assertEqual(done.returncode, cli.BAD_INPUT)
            self.assertIn(b"no ordinary file", done.stderr)
        self.assertEqual({name: os.readlink(f"/dev/{name}") for name in links}, links)
        self.assertEqual(self.names(), ["out", "t.kvt"])

    def closed(self, *arguments: object, stream: str = "stdout") -> subprocess.CompletedProcess:
        """Runs the command with a pipe that nobody reads."""
        read_end, write_end = os.pipe()
        os.close(read_end)
        other = {"stdout": "stderr", "stderr": "stdout"}[stream]
        done = subprocess.run([cli.BIN, *map(str, arguments)], cwd=self.folder, check=False, timeout=60,
                              **{stream: write_end, other: subprocess.PIPE})
        os.close(write_end)
        return done

    def test_a_closed_pipe_is_no_error(self) -> None:
        """What the run came to is what the exit code says; nobody is there to be told anything."""
        trace = self.make_trace("t.kvt", ROWS, 8)
        for words in (("list", "policies"), ("list", "policies", "--json"), ("--help",), ("help", "compare"),
                      ("help", "--man"), ("--version",), ("completion", "bash"), ("info", trace),
                      ("compare", trace, "--block-bytes", "4kB", "--json"), ("show-config",)):
            done = self.closed(*words)
            self.assertEqual((done.returncode, done.stderr), (cli.DONE, b""), words)
        self.assertEqual(self.closed("info", "missing.kvt", stream="stderr").returncode, cli.BAD_INPUT)
        self.assertEqual(self.closed("frobnicate", stream="stderr").returncode, cli.BAD_INPUT)

    @unittest.skipUnless(os.path.exists("/dev/full"), "there is no /dev/full")
    def test_a_full_disk_is_one(self) -> None:
        for words in (("list", "policies"), ("--help",)):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([cli.BIN, *words], stdout=full, stderr=subprocess.PIPE, check=False)
            self.assertEqual(done.returncode, cli.FAILED, words)
            self.assertIn(b"cannot be written", done.stderr)


class ManualPage(cli.CliTest):
    def test_every_verb_and_flag_is_in_it(self) -> None:
        page = self.ok("help", "--man").replace("\\-", "-")
        self.assertTrue(page.splitlines()[1].startswith('.TH KVPLACE 1 '))
        sections = dict(re.findall(r'^\.SS "kvplace ([a-z-]+)"\n(.*?)(?=^\.S[SH]|\Z)', page, re.MULTILINE | re.DOTALL))
        self.assertEqual(sorted(sections), sorted(verbs()))
        for verb, text in sections.items():
            for flag in set(re.findall(r"(--[a-z][a-z-]*)", self.ok("help", verb))) - {"--help"}:
                self.assertIn(flag, text, verb)

    def test_the_formatters_have_nothing_to_say(self) -> None:
        page = self.ok("help", "--man").encode()
        tools = {"groff": ["groff", "-man", "-Tutf8", "-ww", "-z"], "mandoc": ["mandoc", "-T", "lint", "-W", "warning"],
                 "man": ["man", "--warnings=w", "-l", "-"]}
        found = {name: command for name, command in tools.items() if shutil.which(name)}
        if not found:
            self.skipTest("neither groff nor mandoc nor man is installed")
        for name, command in found.items():
            done = subprocess.run(command, input=page, capture_output=True, check=False, timeout=60,
                                  env=os.environ | {"MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
            said = done.stderr + (done.stdout if name == "mandoc" else b"")
            # A page that is made anew for every build has no date that would say anything.
            said = b"".join(line for line in said.splitlines() if b"missing date" not in line)
            self.assertEqual(said.decode(), "", name)


if __name__ == "__main__":
    unittest.main()
