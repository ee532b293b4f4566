"""The command kvplace-capture, as far as no model is needed: version, help, wrong words and pipes that nobody reads."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest

import kvplace
from python_test import CliTest

COMMAND = [sys.executable, "-m", "kvplace._capture_command"]
CAPTURE = ["--model", "smollm2", "--prompt-tokens", "4", "--decode-tokens", "4"]


class CaptureCommand(CliTest):
    def capture(self, *arguments: str, **streams: object) -> subprocess.CompletedProcess:
        return subprocess.run([*COMMAND, *arguments], cwd=self.folder, text=True, check=False, timeout=60,
                              stdin=subprocess.DEVNULL, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams})

    def test_version(self) -> None:
        done = self.capture("--version")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, rf"\Akvplace-capture {kvplace.__version__}( \(.*\))?\n\Z")

    def test_wrong_words(self) -> None:
        for arguments, says in (((*CAPTURE, "--text", "none", "-o", "-"), "-o -: .*name a file"),
                                ((*CAPTURE, "--text", "none", "-o", "x.kvt"), "none: cannot be read: No such file"),
                                ((*CAPTURE, "-o", "x.kvt"), "--text")):
            done = self.capture(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertRegex(done.stderr.splitlines()[-1], f"^kvplace-capture: .*{says}")
        self.assertEqual(self.names(), [])

    def test_the_text_and_the_model_stay(self) -> None:
        self.write("n.txt", "a text")
        os.mkdir(self.path("model"))
        self.write("model/config.json", "{}")
        os.symlink("n.txt", self.path("symbolic"))
        os.link(self.path("n.txt"), self.path("hard"))
        for output in ("n.txt", "./n.txt", "symbolic", "hard", "model/config.json"):
            done = self.capture(*CAPTURE[2:], "--select", "mass:k=2", "--model", "model", "--text", "n.txt", "-o", output)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertRegex(done.stderr, r"^kvplace-capture: .*is the input as well.*\n\Z")
        self.assertEqual((self.read("n.txt"), self.read("model/config.json")), (b"a text", b"{}"))
        self.assertEqual(self.names(), ["hard", "model", "n.txt", "symbolic"])

    def test_pipes_that_nobody_reads(self) -> None:
        read_end, write_end = os.pipe()
        os.close(read_end)
        for arguments, stream, code in ((("--help",), "stdout", 0), (("--version",), "stdout", 0),
                                        ((*CAPTURE, "--text", "none", "-o", "x.kvt"), "stderr", 2),
                                        (("--model", "x"), "stderr", 2)):
            done = self.capture(*arguments, **{stream: write_end})
            self.assertEqual((done.returncode, done.stdout or "", done.stderr or ""), (code, "", ""), arguments)
        os.close(write_end)


if __name__ == "__main__":
    unittest.main()
