"""Dumps of engines and tools as they are, in tests/data/dumps: one random workload of an indexer, one of a router.

truth.json says what a reader must find, counted where the dumps were made.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import unittest

import numpy as np

import cli

DUMPS = cli.SOURCE_DIR / "tests/data/dumps"
TRUTH = json.loads((DUMPS / "truth.json").read_text())

#: What files cannot say.
OPTIONS = {"sglang_indexer_topk.npy": ("--prompt-tokens", 97), "routed_experts.npy": ("--experts", 24)}
#: Of two requests; a test of its own.
SEVERAL_REQUESTS = {"two_req_0.npz two_req_1.npz"}
#: Of steps of several tokens; a test of its own.
SEVERAL_TOKENS = {"mtp_steps.jsonl"}

FORMATS = {"sglang_indexer_topk.npy": "topk-npy", "sglang_generate.json": "sglang", "req_0.npz": "topk-npz",
           "dsa_topk.jsonl": "dsa-jsonl", "route_trace.csv": "route-csv", "layer_expert.csv": "layer-expert-csv",
           "routing.jsonl": "routing-jsonl", "routed_experts.npy": "topk-npy", "moe_first_dense.csv": "fang-moe-csv"}


def digest_of(array: np.ndarray) -> str:
    """What truth.json calls reads_digest, of [steps, layers, k] padded with -1."""
    found = hashlib.sha256()
    for step in array:
        for row in step:
            found.update(np.sort(row[row >= 0]).astype("<i4").tobytes() + b"|")
    return found.hexdigest()[:16]


class Dumps(cli.CliTest):
    def test_every_dump_is_known(self) -> None:
        self.assertEqual(set(TRUTH), set(FORMATS) | SEVERAL_REQUESTS | SEVERAL_TOKENS)

    def test_what_is_found(self) -> None:
        digests: dict[str, set[str]] = {"pages": set(), "experts": set()}
        for name, format in FORMATS.items():
            truth = TRUTH[name]
            with self.subTest(dump=name):
                said = self.ok("import", DUMPS / name, "-o", "t.kvt", *OPTIONS.get(name, ()))
                self.assertIn(f"{name}: {format}", said)
                info = self.json("info", "t.kvt")
                kind = truth.get("kind", "pages")
                digests[kind].add(info["manifest"]["digest"])
                self.assertEqual(info["steps"], truth["decode_steps"])
                self.assertEqual(info["reads"], truth["reads"])
                if kind == "experts":
                    self.assertEqual((info["layers"], info["experts"], info["blocks"], info["first_layer"]),
                                     (truth["expert_layers"], truth["experts"], truth["experts"], truth["first_layer"]))
                    self.assertEqual(info["expert_bytes_by_layer"], truth.get("expert_bytes_by_layer", []))
                else:
                    self.assertEqual((info["layers"], info["prompt_tokens"], info["blocks"], info["ranks"]),
                                     (truth["layers"], truth["prompt_tokens"], truth["blocks_per_layer"], False))
                    self.ok("export", "t.kvt", "-o", "t.npy", "--format", "topk-npy")
                    self.assertEqual(digest_of(np.load(self.path("t.npy"))), truth["reads_digest"])
                self.ok("import", DUMPS / name, "-o", "named.kvt", "--format", format, *OPTIONS.get(name, ()))
                self.assertEqual(self.json("info", "named.kvt")["manifest"]["digest"], info["manifest"]["digest"])
        self.assertEqual([len(found) for found in digests.values()], [1, 1], "the same contents are the same trace")

    def test_reads_are_those_of_the_lines(self) -> None:
        wanted: dict[int, list[list[int]]] = {}
        for line in (DUMPS / "dsa_topk.jsonl").read_text().splitlines():
            row = json.loads(line)
            wanted.setdefault(row["step_idx"] - 97, []).append(sorted(row["selected_token_pos"]))
        self.ok("import", DUMPS / "dsa_topk.jsonl", "-o", "t.kvt")
        self.ok("export", "t.kvt", "-o", "t.npy", "--format", "topk-npy")
        array = np.load(self.path("t.npy"))
        self.assertEqual({t: [sorted(row[row >= 0].tolist()) for row in step] for t, step in enumerate(array)}, wanted)

    def test_what_must_be_said(self) -> None:
        for name, *says in (("sglang_indexer_topk.npy", "--prompt-tokens", "--prompt-rows 0"),
                            ("routed_experts.npy", "'<i2'", "--experts")):
            self.refused(self.run_cli("import", DUMPS / name, "-o", "t.kvt"), cli.BAD_INPUT, name, *says)
        self.assertEqual(self.names(), [])

    def test_several_requests_begin_together(self) -> None:
        two = [DUMPS / "two_req_0.npz", DUMPS / "two_req_1.npz"]
        truth = TRUTH["two_req_0.npz two_req_1.npz"]
        self.assertIn("2 requests, which begin together", self.ok("import", *two, "-o", "t.kvt"))
        self.assertEqual(self.names(), ["t.kvt"])
        info = self.json("info", "t.kvt", "--check")
        self.assertEqual((info["requests"], info["steps"], info["layers"], info["reads"], info["prompt_tokens"]),
                         (truth["requests"], truth["decode_steps"], truth["layers"], truth["reads"], max(truth["prompts"])))
        self.assertEqual(info["tokens"], sum(truth["steps_of"]))
        for i, path in enumerate(two):
            self.ok("import", *two, "-o", "t.kvt", "--request", path)
            info = self.json("info", "t.kvt")
            self.assertEqual((info["steps"], info["prompt_tokens"], info["requests"]),
                             (truth["steps_of"][i], truth["prompts"][i], 1))

    def test_steps_of_several_tokens(self) -> None:
        """Reads are the step's, what is written are the positions verified, and time is of the tokens accepted."""
        dump, truth = DUMPS / "mtp_steps.jsonl", TRUTH["mtp_steps.jsonl"]
        rows = [json.loads(line) for line in dump.read_text().splitlines()]
        digests = set()
        for columns in ("", "layer=layer_id,step=step_idx,position=position,blocks=selected_token_pos",
                        "layer=layer_id,position=position,blocks=selected_token_pos"):
            self.ok("import", dump, "-o", "t.kvt", *(("--columns", columns) if columns else ()))
            info = self.json("info", "t.kvt", "--check")
            self.assertEqual((info["steps"], info["tokens"], info["verified_per_step"], info["reads"], info["layers"],
                              info["prompt_tokens"]),
                             (truth["decode_steps"], truth["tokens"], 4, truth["reads"], truth["layers"],
                              truth["prompt_tokens"]))
            digests.add(info["manifest"]["digest"])
        self.assertEqual(len(digests), 1)
        self.ok("export", "t.kvt", "-o", "t.npy", "--format", "topk-npy")
        self.assertEqual([sorted(row) for step in np.load(self.path("t.npy")).tolist() for row in step],
                         [sorted(row["selected_token_pos"]) for row in rows])
        result = self.results("t.kvt", "--block-bytes", 1000, "--near-blocks-per-layer", 16, "--start", "empty",
                              "--policy", "lru")["lru"]
        self.assertAlmostEqual(result["tokens_per_s"] * result["total_s"], truth["tokens"])
        # The four positions of a step are written in it, and so read near, accepted or not.
        self.assertEqual(result["far_reads"], self.lru_misses(rows, 16))
        self.assertIn("32: 2.133 per decode step, of 4 verified", self.ok("info", "t.kvt"))

    @staticmethod
    def lru_misses(rows: list[dict], places: int) -> int:
        """Of a buffer per layer, empty at the start: hits are refreshed, then written and missed blocks enter, ascending."""
        buffers: dict[int, list[int]] = {}
        misses = 0
        for row in rows:
            buffer = buffers.setdefault(row["layer_id"], [])
            written = range(row["position"], row["position"] + row["tokens_verified"])
            reads = sorted(row["selected_token_pos"])
            hits = [b for b in reads if b in buffer]
            missed = [b for b in reads if b not in buffer and b not in written]
            misses += len(missed)
            for b in hits:
                buffer.remove(b)
                buffer.append(b)
            for b in sorted({*missed, *(b for b in written if b not in buffer)}):
                if len(buffer) == places:
                    buffer.pop(0)
                buffer.append(b)
        return misses

    def test_steps_of_several_tokens_must_say_how_many(self) -> None:
        rows = [json.loads(line) for line in (DUMPS / "mtp_steps.jsonl").read_text().splitlines()]
        for change, *says in (({"tokens_accepted": None}, "tokens_accepted"), ({"tokens_accepted": 9}, "9 of 4"),
                              ({"position": 205}, "position 205", "lead to 200")):
            first = {k: v for k, v in {**rows[0], **change}.items() if v is not None}
            lines = [json.dumps(row) for row in (first, *rows[1:])]
            if "position" in change:
                lines[0], lines[4] = json.dumps(rows[0]), json.dumps({**rows[4], "position": 205})
                says = ["position 205", "lead to 201"]
            self.write("bad.jsonl", "\n".join(lines) + "\n")
            self.refused(self.run_cli("import", "bad.jsonl", "-o", "bad.kvt"), cli.BAD_INPUT, "bad.jsonl:", *says)
        self.assertNotIn("bad.kvt", self.names())

    def test_compressed_all_the_same(self) -> None:
        for name in ("routing.jsonl", "req_0.npz", "sglang_generate.json"):
            self.ok("import", DUMPS / name, "-o", "plain.kvt")
            packed = self.path(name + ".zst")
            subprocess.run(["zstd", "-q", DUMPS / name, "-o", packed], check=True)
            self.ok("import", packed, "-o", "packed.kvt")
            self.assertEqual(*(self.json("info", f"{kind}.kvt")["manifest"]["digest"] for kind in ("plain", "packed")))
            os.remove(packed)


if __name__ == "__main__":
    unittest.main()
