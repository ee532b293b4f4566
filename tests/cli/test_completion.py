"""Completions of shells: bash is asked for a few command lines, and all scripts know every verb, flag and name."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import unittest

import cli
from test_usage import verbs

SHELLS = ("bash", "fish", "zsh")

# The line as a person has typed it, the cursor at its end, and some of what is and is not offered.
LINES = (
    ("kvplace ", ("compare", "import", "help", "--version"), ("lru",)),
    ("kvplace com", ("compare", "completion"), ("import",)),
    ("kvplace compare ", ("t.kvt", "with space.kvt", "folder"), ("lru", "--policy")),
    ("kvplace compare t.kvt --ha", ("--hardware",), ("--mode",)),
    ("kvplace compare t.kvt --policy ", ("lru", "belady-global", "all"), ("t.kvt", "qwen3-8b")),
    ("kvplace compare t.kvt --policy belady-", ("belady-global", "belady-balanced"), ("lru",)),
    ("kvplace compare --hardware h100", ("h100-sxm-pcie5",), ("gh200-96", "t.kvt")),
    ("kvplace compare --hardware t", ("t.kvt",), ("h100-sxm-pcie5",)),
    ("kvplace compare --mode=ex", ("exclusive",), ("inclusive",)),
    ("kvplace compare --mode=", ("exclusive", "inclusive"), ("t.kvt",)),
    ("kvplace compare --batch ", (), ("t.kvt", "lru", "--policy")),
    ("kvplace import t.npy --format ", ("topk-npy", "fang-csv"), ("oracle-general",)),
    ("kvplace export t.kvt --format ", ("topk-npy", "oracle-general"), ("t.kvt",)),
    ("kvplace generate ", ("dsa-32k", "t.kvt"), ("lru",)),
    ("kvplace generate dsa-32k -o ", ("t.kvt",), ("dsa-32k",)),
    ("kvplace list ", ("policies", "generators"), ("t.kvt",)),
    ("kvplace help ", ("compare", "help"), ("t.kvt",)),
    ("kvplace completion ", SHELLS, ("t.kvt",)),
    ("kvplace size t.kvt --find ", ("near-capacity", "buffer"), ("t.kvt",)),
)


class Completion(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.write("t.kvt", b"")
        self.write("with space.kvt", b"")
        os.mkdir(self.path("folder"))

    def check(self, offered: dict[str, list[str]]) -> None:
        for line, some, none in LINES:
            with self.subTest(line=line):
                self.assertLessEqual(set(some), set(offered[line]))
                self.assertEqual(set(none) & set(offered[line]), set())

    @unittest.skipUnless(shutil.which("bash"), "bash is not installed")
    def test_bash(self) -> None:
        """The function that bash would call, with the words as readline divides them."""
        asks = "".join(f"ask {' '.join(map(quoted, divided(line)))}\n" for line, *_ in LINES)
        script = ("set -u\n"
                  f"source <({quoted(cli.BIN)} completion bash)\n"
                  "ask() {\n  COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _kvplace\n"
                  "  printf '%s\\n' ${COMPREPLY[@]+\"${COMPREPLY[@]}\"} --end--\n}\n"
                  "[[ $(complete -p kvplace) == *_kvplace* ]] || exit 9\n" + asks)
        answers = self.shell("bash", "--norc", "-c", script).split("--end--\n")
        self.check({line: answer.splitlines() for (line, *_), answer in zip(LINES, answers)})

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish(self) -> None:
        asks = "".join(f"complete -C {quoted(line)}\necho --end--\n" for line, *_ in LINES)
        answers = self.shell("fish", "--no-config", "-c",
                             f"{quoted(cli.BIN)} completion fish | source\n{asks}").split("--end--\n")
        offered = {line: [row.split("\t")[0].removeprefix("--mode=").rstrip("/").replace("\\ ", " ")
                          for row in answer.splitlines()] for (line, *_), answer in zip(LINES, answers)}
        # fish offers a verb's flags only once a hyphen is there.
        offered["kvplace "] += ["--version"]
        self.check(offered)

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh_takes_the_script(self) -> None:
        """It is read and defines what completes kvplace; its offers need a terminal."""
        self.write("_kvplace", self.ok("completion", "zsh"))
        out = self.shell("zsh", "-f", "-c", "autoload -Uz compinit; compinit -D -u\nsource ./_kvplace\n"
                                            "print -r -- $_comps[kvplace]\nzsh -n _kvplace && print well")
        self.assertEqual(out, "_kvplace\nwell\n")

    def test_every_script_knows_all_words(self) -> None:
        """Without any shell: verbs, flags and names of what is listed."""
        names = [entry["name"] for what in ("policies", "hardware", "models", "formats", "generators")
                 for entry in json.loads(self.ok("list", what, "--json"))]
        flags = {flag for verb in verbs() for flag in re.findall(r"--([a-z][a-z-]*)", self.ok("help", verb))
                 if flag not in ("man", "policy")} | {"policy"}
        for shell in SHELLS:
            script = self.ok("completion", shell)
            words = set(re.findall(r"[A-Za-z0-9][A-Za-z0-9.-]*", script))
            self.assertEqual([word for word in [*names, *flags, *verbs()] if word not in words], [], shell)

    def shell(self, *command: str) -> str:
        """What a shell prints, in the test's folder; it must have nothing to say on stderr."""
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, stdin=subprocess.DEVNULL,
                              check=False, timeout=60, env=os.environ | {"HOME": self.folder})
        self.assertEqual((done.returncode, done.stderr), (0, ""), command[0])
        return done.stdout


def quoted(word: str) -> str:
    """In single quotes, for a shell."""
    return "'" + word.replace("'", "'\\''") + "'"


def divided(line: str) -> list[str]:
    """The words of a line, "=" being one of its own, and the word that is being typed."""
    words = re.findall(r"=|[^ =]+", line)
    return words if words and not line.endswith((" ", "=")) else words + [""] if line.endswith(" ") else words


if __name__ == "__main__":
    unittest.main()
