"""Bounds of served batches with models: what moves whatever the placement, by the number of requests that run; and the
word of both verifiers."""

from __future__ import annotations

import json
import struct
import unittest

import cert_file
import cli

#: Experts whose weights grow with the batch; index keys; windows; states. Some on several GPUs.
MODELS = (("qwen3-30b-a3b",), ("deepseek-v3.2", "--gpus", "2", "--expert-parallel"),
          ("deepseek-v4-flash", "--gpus", "2", "--expert-parallel"), ("qwen3-next-80b-a3b",), ("gpt-oss-120b",))


class ServedBounds(cli.CliTest):
    def head(self, certificate: str) -> dict:
        data = self.read(certificate)
        return json.loads(data[16:16 + struct.unpack_from("<I", data, 12)[0]])

    def both_prove_the_same(self, trace: str, certificate: str) -> None:
        first = self.json("verify", trace, certificate)
        self.assertTrue(first["valid"])
        code, out, err = cert_file.second_verifier(self.folder, trace, certificate)
        self.assertEqual((code, out), (cli.DONE, f"{first['bound_exact']}\n{first['bound_decimal']}\n"), err)

    def test_requests_that_run_together_move_what_a_batch_of_them_does(self) -> None:
        """Of like requests, which come and end together: as the trace of one, with as large a batch."""
        steps, prompt = 6, 8
        self.make_trace("s.kvt", cli.random_rows(0, 1, steps, prompt), prompt)
        self.ok("merge", "s.kvt", "-o", "m.kvt", "--requests", 3)
        for model, *gpus in MODELS:
            flags = ("--model", model, *gpus, "--start", "empty", "--near-capacity", "600kB", "--time-limit", "2s")
            self.ok("bound", "m.kvt", *flags, "-o", "m.cert", "--any-output", "a.cert")
            self.both_prove_the_same("m.kvt", "m.cert")
            self.both_prove_the_same("m.kvt", "a.cert")
            by_running = self.head("m.cert")["fixed_bytes"]
            self.assertEqual(len(by_running), 3)
            for batch in (1, 2, 3):
                self.ok("bound", "s.kvt", *flags, "--batch", batch, "-o", "b.cert")
                alike = self.head("b.cert")["fixed_bytes"][0]
                for context in range(prompt, prompt + steps):
                    for (a, b), (c, d) in zip(by_running[batch - 1], alike):
                        with self.subTest(model=model, batch=batch):  # rates are rounded down, once or for each
                            self.assertAlmostEqual(a + b * batch * context, c + d * context, delta=2 * batch * context)

    def test_requests_that_come_and_go(self) -> None:
        for n, (steps, prompt) in enumerate(((5, 8), (7, 5), (4, 14), (3, 0))):
            self.make_trace(f"s{n}.kvt", cli.random_rows(n, 2, steps, prompt), prompt)
        for slots, (model, *gpus) in zip((1, 2, 2, 3, 4), MODELS):
            self.ok("merge", "s0.kvt", "s1.kvt", "s2.kvt", "s3.kvt", "-o", "m.kvt", "--slots", slots, "--requests", 6,
                    "--arrivals", "poisson:20")
            for more in (("--mode", "exclusive", "--start", "recent"), ("--barrier", "token", "--start", "free")):
                self.ok("bound", "m.kvt", "--model", model, *gpus, "--near-capacity", "100kB", "--time-limit", "2s", *more,
                        "-o", "m.cert", "--any-output", "a.cert")
                self.both_prove_the_same("m.kvt", "m.cert")
                self.both_prove_the_same("m.kvt", "a.cert")

    def test_forged_lists(self) -> None:
        """A list as long as for another number of requests, a batch, a table of another trace."""
        self.make_trace("s.kvt", cli.random_rows(0, 2, 6, 8), 8)
        self.ok("merge", "s.kvt", "-o", "m.kvt", "--requests", 3)
        self.ok("bound", "m.kvt", "--model", "qwen3-30b-a3b", "--near-capacity", "100kB", "--time-limit", "1s", "-o", "m.cert")
        data = self.read("m.cert")
        end = 16 + struct.unpack_from("<I", data, 12)[0]
        head, rest = json.loads(data[16:end]), data[end + 8:]
        self.assertEqual(len(head["fixed_bytes"]), 6)
        for change in ({"fixed_bytes": head["fixed_bytes"][:4]}, {"fixed_bytes": head["fixed_bytes"][:5]},
                       {"fixed_bytes": head["fixed_bytes"] + head["fixed_bytes"][:2]}, {"fixed_bytes": []}, {"batch": 2}):
            front = b"\x89KVC\r\n\x1a\n" + struct.pack("<II", 3, len(text := cert_file.plain({**head, **change}))) + text
            self.write("x.cert", front + struct.pack("<Q", cert_file.xxh64(front)) + rest)
            ran = self.run_cli("verify", "m.kvt", "x.cert", "--json")
            code, _, _ = cert_file.second_verifier(self.folder, "m.kvt", "x.cert")
            self.assertEqual((ran.code, code), (cli.REJECTED, cli.REJECTED), change)


if __name__ == "__main__":
    unittest.main()
