"""Recording from Python: the command's traces, from the server that the command's tests talk to."""

import json
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import kvplace

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
import cli  # noqa: E402
import test_record  # noqa: E402


class Recorder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.server = test_record.Server()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.prompts = self.folder / "p.jsonl"
        self.prompts.write_text("".join(json.dumps(test_record.prompt_of(i)) + "\n" for i in range(3)))

    def record(self, **options):
        options = {"max_tokens": 9, **options}
        return kvplace.record("sglang", self.server.url, self.prompts, self.folder / "t.kvt", **options)

    def test_the_commands_traces(self):
        traces = self.record(sampling={"temperature": 0.5}, experts=test_record.EXPERTS, layers=test_record.LAYERS)
        self.assertEqual([trace.steps for trace in traces], [8, 8, 8])
        self.assertEqual(self.server.posts[0]["sampling_params"], {"max_new_tokens": 9, "temperature": 0.5})
        ran = cli.run("record", "sglang", "--url", self.server.url, "--prompts", "p.jsonl", "-o", "c.kvt", "--max-tokens", 9,
                      "--experts", test_record.EXPERTS, "--layers", test_record.LAYERS, cwd=str(self.folder))
        self.assertEqual(ran.code, cli.DONE, ran)
        self.assertEqual([trace.digest for trace in traces],
                         [kvplace.Trace(self.folder / f"c-{i}.kvt").digest for i in range(3)])

    def test_errors_and_going_on(self):
        self.server.status_at = {1: 400}
        with self.assertRaisesRegex(kvplace.Failed, "prompt 1: the server refused it.*1 of 3 prompts are not recorded"):
            self.record()
        self.assertEqual(len(self.record()), 3)
        self.server.fails_at = {len(self.server.posts) + 1}
        with self.assertRaisesRegex(kvplace.Failed, "1 of 3 prompts are recorded"):
            self.record()
        with self.assertRaisesRegex(kvplace.BadInput, "max_tokens"):
            self.record(max_tokens=0)
        with self.assertRaisesRegex(kvplace.BadInput, "no recorder for"):
            kvplace.record("llama", self.server.url, self.prompts, self.folder / "t.kvt")

    def test_a_stop(self):
        self.server.delay = 20
        stop = kvplace.Interrupt()
        threading.Timer(0.3, stop.request).start()
        with self.assertRaises(kvplace.Interrupted):
            self.record(interrupt=stop)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["p.jsonl"])


if __name__ == "__main__":
    unittest.main()
