"""As a user begins: pip install in a fresh environment, a capture of 320 tokens by the command, compare on it."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import venv

from python_test import PACK, SOURCE_DIR


class FromInstallToComparison(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="kvplace-capture-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        env = cls.folder / "env"
        venv.create(env, with_pip=False)
        # torch, transformers and the model are those of the tests' environment; kvplace is not there.
        site = next(env.glob("lib/python*/site-packages"))
        (site / "tests.pth").write_text(f"{pathlib.Path(sys.prefix) / site.relative_to(env)}\n")
        cls.bin = env / "bin"
        cls.clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "KVPLACE_BIN")}
        installed = cls.run_command(sys.executable, "-m", "pip", "--python", cls.bin / "python", "install", SOURCE_DIR,
                                    *PACK)
        assert installed.returncode == 0, installed.stderr

    @classmethod
    def run_command(cls, *command):
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=cls.folder,
                              env=cls.clean, stdin=subprocess.DEVNULL)

    def capture(self, *options, **changed):
        flags = {"--model": "smollm2", "--text": SOURCE_DIR / "LICENSE", "--prompt-tokens": 256, "--decode-tokens": 64,
                 "-o": "x.kvt", **changed}
        named = (part for flag in flags.items() for part in flag)
        return self.run_command(self.bin / "kvplace-capture", *options, *named)

    def test_capture_and_compare(self):
        done = self.capture("--quiet", "--select", "quest:page=16,pages=8", "--ranking-depth", 16)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^x.kvt: 64 decode steps, 30 layers, 15,360 reads; perplexity \d")
        done = self.run_command(self.bin / "kvplace", "compare", "x.kvt", "--hardware", "h100-sxm-pcie5",
                                "--near-blocks-per-layer", 12, "--weight-bytes-per-step", 0, "--policy", "lru",
                                "--policy", "belady", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        lru, belady = json.loads(done.stdout)["results"]
        self.assertEqual(lru["reads"], 15360)
        self.assertLess(0, belady["far_reads"])
        self.assertLess(belady["far_reads"], lru["far_reads"])
        info = json.loads(self.run_command(self.bin / "kvplace", "info", "x.kvt", "--json").stdout)
        self.assertEqual((info["model"], info["prompt_tokens"], info["ranks"]), ("smollm2-135m", 256, True))
        self.assertIn("perplexity", info["measurements"])

    def test_errors(self):
        done = self.capture(**{"--model": "./no-such-folder", "--select": "mass:k=64"})
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, "^kvplace-capture: .*there is no such folder.*\n$")
        self.assertEqual(self.run_command(self.bin / "kvplace-capture", "--model", "smollm2").returncode, 2)


if __name__ == "__main__":
    unittest.main()
