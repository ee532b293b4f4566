"""Arrays in memory, Parquet and recordings of PyTorch as traces; their contents are those of the dumps."""

import json
import sys
import types
import unittest
from unittest import mock

import numpy as np
import torch
from python_test import SOURCE_DIR, CliTest

import kvplace

DUMPS = SOURCE_DIR / "tests/data/dumps"


class FromArrays(CliTest):
    def setUp(self):
        super().setUp()
        self.topk = np.load(DUMPS / "sglang_indexer_topk.npy")
        self.experts = np.load(DUMPS / "routed_experts.npy")
        self.wanted = kvplace.import_trace(DUMPS / "sglang_generate.json", self.path("wanted.kvt"))

    def test_any_layout_and_type(self):
        for i, (array, layout) in enumerate((
                (self.topk, "tokens,layers,k"), (self.topk.transpose(1, 0, 2), "layers,tokens,k"),
                (self.topk.transpose(2, 1, 0).astype(">i8"), "k,layers,tokens"),
                (torch.from_numpy(self.topk), "tokens,layers,k"),
                (torch.from_numpy(self.topk).permute(1, 2, 0).short().int(), "layers, k, tokens"))):
            with self.subTest(layout=layout, kind=type(array)):
                trace = kvplace.from_arrays(array, self.path(f"{i}.kvt"), layout=layout, prompt_tokens=97)
                self.assertEqual((trace.digest, trace.source), (self.wanted.digest, "topk"))

    def test_one_layer(self):
        trace = kvplace.from_arrays(self.topk[:, 2], self.path("t.kvt"), layout="tokens,k", prompt_tokens=97)
        one = self.wanted.slice(self.path("one.kvt"), layers=(2, 3))
        self.assertEqual((trace.digest, one.first_layer, trace.first_layer), (one.digest, 2, 0))

    def test_experts(self):
        csv = kvplace.import_trace(DUMPS / "route_trace.csv", self.path("csv.kvt"))
        self.assertEqual((csv.first_layer, csv.expert_bytes), (2, [1000, 1096, 1000, 1096]))
        for i, array in enumerate((self.experts, torch.from_numpy(self.experts))):
            trace = kvplace.from_arrays(array, self.path(f"{i}.kvt"), experts=24)
            self.assertEqual((trace.digest, trace.experts, trace.first_layer, trace.expert_bytes),
                             (csv.digest, 24, 0, []))

    def test_refusals(self):
        for array, says, more in ((self.topk, "topk: begins with the rows of its prompt", {}),
                                  (self.topk.astype(float), "topk: has elements of type", {}),
                                  (self.experts, "--experts", {}), (self.topk[0], "dimensions", {}),
                                  (self.topk, "layout", {"layout": "steps,layers,k"}),
                                  (self.topk, "layout", {"layout": "tokens,k"})):
            with self.subTest(says=says), self.assertRaisesRegex(kvplace.BadInput, says):
                kvplace.from_arrays(array, self.path("t.kvt"), **more)
        with self.assertRaisesRegex(TypeError, "topk takes an array"):
            kvplace.from_arrays("topk.npy", self.path("t.kvt"))
        self.assertEqual(self.names(), ["wanted.kvt"])


class Files(CliTest):
    def test_every_dump_as_the_command_reads_it(self):
        for name, more in (("req_0.npz", {}), ("dsa_topk.jsonl", {}), ("layer_expert.csv", {"experts": 24}),
                           ("sglang_indexer_topk.npy", {"prompt_tokens": 97})):
            flags = [part for key, value in more.items() for part in ("--" + key.replace("_", "-"), value)]
            self.ok("import", DUMPS / name, "-o", "cli.kvt", *flags)
            trace = kvplace.import_trace(DUMPS / name, self.path("py.kvt"), **more)
            self.assertEqual(trace.digest, self.json("info", "cli.kvt")["manifest"]["digest"])
            del trace

    def test_columns(self):
        columns = {"request": "request_id", "layer": "layer_id", "step": "step_idx", "blocks": "selected_token_pos"}
        trace = kvplace.import_trace(DUMPS / "dsa_topk.jsonl", self.path("a.kvt"), columns=columns)
        self.assertEqual(trace.digest, kvplace.import_trace(DUMPS / "dsa_topk.jsonl", self.path("b.kvt")).digest)

    def test_parquet(self):
        """Rows go through pyarrow as they are; its place is taken by a reader of JSON lines."""
        rows = [json.loads(line) for line in (DUMPS / "dsa_topk.jsonl").read_text().splitlines()]
        self.write("t.parquet", b"PAR1 and more")

        class ParquetFile:
            def __init__(self, path):
                self.path = path

            def iter_batches(self):
                for at in range(0, len(rows), 10):
                    yield types.SimpleNamespace(to_pylist=lambda at=at: rows[at:at + 10])

        module = types.ModuleType("pyarrow.parquet")
        module.ParquetFile = ParquetFile
        package = types.ModuleType("pyarrow")
        package.parquet = module
        with mock.patch.dict(sys.modules, {"pyarrow": package, "pyarrow.parquet": module}):
            trace = kvplace.import_trace(self.path("t.parquet"), self.path("t.kvt"))
            self.assertEqual((trace.source, trace.prompt_tokens), ("t.parquet", 97))
            self.assertEqual(trace.digest, kvplace.import_trace(DUMPS / "dsa_topk.jsonl", self.path("b.kvt")).digest)
            rows[3]["selected_token_pos"] = [4096]
            with self.assertRaisesRegex(kvplace.BadInput, r"t\.parquet:4: id 4096 is beyond the context"):
                kvplace.import_trace(self.path("t.parquet"), self.path("c.kvt"))
        with mock.patch.dict(sys.modules, {"pyarrow": None}), self.assertRaisesRegex(kvplace.BadInput, "needs pyarrow"):
            kvplace.import_trace(self.path("t.parquet"), self.path("c.kvt"))

    def recording(self, **more):
        """What SGLang's recorder saves in the mode per_token: a pass over the prompt, then one token per pass."""
        experts = torch.from_numpy(np.load(DUMPS / "routed_experts.npy").astype(np.int32))
        dense = torch.full((2, 1, 2), -1, dtype=torch.int32)
        records = [{"forward_pass_id": 0, "rank": 0, "forward_mode": 1, "input_ids": [7, 8, 9],
                    "topk_ids_of_layer": torch.zeros((6, 3, 2), dtype=torch.int32)}]
        records += [{"forward_pass_id": 1 + i, "rank": 0, "forward_mode": 2, "input_ids": [i],
                     "topk_ids_of_layer": torch.cat([dense, chosen.unsqueeze(1)])} for i, chosen in enumerate(experts)]
        return {"records": records, "last_physical_to_logical_map": torch.arange(24).repeat(6, 1), **more}

    def test_recorder(self):
        torch.save(self.recording(), self.path("r.pt"))
        trace = kvplace.import_trace(self.path("r.pt"), self.path("t.kvt"))
        csv = kvplace.import_trace(DUMPS / "route_trace.csv", self.path("csv.kvt"))
        self.assertEqual((trace.digest, trace.first_layer, trace.experts, trace.source), (csv.digest, 2, 24, "r.pt"))

    def test_recordings_that_make_no_trace(self):
        good = self.recording()
        batch = {**good["records"][1], "topk_ids_of_layer": torch.zeros((6, 2, 2), dtype=torch.int32)}
        moved = torch.arange(24).repeat(6, 1)
        moved[3, :2] = moved[3, [1, 0]]
        for recorded, says in (({"logical_count": torch.ones(4, 8)}, "skew"),
                               ({**good, "records": [{"global_physical_count": torch.ones(6, 24)}]}, "per_token"),
                               ({**good, "records": [batch]}, "several requests"),
                               ({**good, "records": good["records"][:1]}, "no decode step"),
                               ({**good, "last_physical_to_logical_map": moved}, "EPLB"), ([1, 2], "records")):
            torch.save(recorded, self.path("r.pt"))
            with self.subTest(says=says), self.assertRaisesRegex(kvplace.BadInput, r"r\.pt: .*" + says):
                kvplace.import_trace(self.path("r.pt"), self.path("t.kvt"))
        whole = self.read("r.pt")
        self.write("r.pt", whole[:len(whole) // 2])
        with self.assertRaisesRegex(kvplace.BadInput, r"r\.pt"):
            kvplace.import_trace(self.path("r.pt"), self.path("t.kvt"))
        self.assertEqual(self.names(), ["r.pt"])


if __name__ == "__main__":
    unittest.main()
