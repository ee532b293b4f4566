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
#: Steps of several tokens and traces of several requests are not read yet.
NOT_YET = {"mtp_steps.jsonl", "two_req_0.npz two_req_1.npz"}

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
        self.assertEqual(set(TRUTH), set(FORMATS) | NOT_YET)

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

    def test_several_requests_are_never_merged(self) -> None:
        two = [DUMPS / "two_req_0.npz", DUMPS / "two_req_1.npz"]
        self.refused(self.run_cli("import", *two, "-o", "t.kvt"), cli.BAD_INPUT, "several requests", "--request NAME")
        self.assertEqual(self.names(), [])
        for i, path in enumerate(two):
            self.ok("import", *two, "-o", "t.kvt", "--request", path)
            info = self.json("info", "t.kvt")
            truth = TRUTH["two_req_0.npz two_req_1.npz"]
            self.assertEqual((info["steps"], info["prompt_tokens"], info["requests"]),
                             (truth["steps_of"][i], truth["prompts"][i], 1))

    def test_steps_of_several_tokens_are_refused(self) -> None:
        columns = "request=request_id,layer=layer_id,position=position,blocks=selected_token_pos"
        for more in ((), ("--columns", columns)):
            self.refused(self.run_cli("import", DUMPS / "mtp_steps.jsonl", "-o", "t.kvt", *more), cli.BAD_INPUT,
                         "mtp_steps.jsonl:1", "several tokens")
        self.assertEqual(self.names(), [])

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
