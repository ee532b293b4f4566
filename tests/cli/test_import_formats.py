"""Random workloads in every form that engines write, read back; and what is refused, each with its mend."""

from __future__ import annotations

import base64
import csv
import io
import json
import unittest

import numpy as np

import cli


class Workload:
    """Reads of an indexer with the rows of its prompt, as an engine has them: row t holds min(t + 1, k) of its tokens."""

    def __init__(self, seed: int, unit: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.layers = int(rng.integers(1, 5))
        self.k = int(rng.integers(2, 7))
        self.prompt = int(rng.integers(1, 40)) + 8 * (unit > 1)
        self.output = int(rng.integers(2, 20))
        rows = self.prompt + self.output - 1
        self.topk = np.full((rows, self.layers, self.k), -1, dtype=np.int32)
        for t in range(rows):
            exist = (t + 1) // unit
            for layer in range(self.layers):
                chosen = rng.permutation(exist)[:self.k]
                self.topk[t, layer, :len(chosen)] = chosen

    @property
    def decode(self) -> np.ndarray:
        return self.topk[self.prompt:]

    def sglang(self, **more: object) -> dict:
        return {"text": "x", "meta_info": {"prompt_tokens": self.prompt, "completion_tokens": self.output,
                                           "indexer_topk": base64.b64encode(self.topk.tobytes()).decode(), **more}}

    def vllm(self, start: int = 0) -> dict:
        return {"id": "cmpl-1", "usage": {"prompt_tokens": self.prompt, "completion_tokens": self.output},
                "choices": [{"index": 0, "text": "x", "indexer_topk": npy_base64(self.topk[start:])}]}

    def npz(self) -> dict[str, object]:
        return {"topk_indices": self.topk, "prompt_len": np.int64(self.prompt), "output_len": np.int64(self.output),
                "slot_ctx0": np.int64(self.prompt), "num_layers": np.int64(self.layers), "index_topk": np.int64(self.k)}

    def records(self, first_step: int) -> list[dict]:
        return [{"req": "a", "l": layer, "t": first_step + step, "ids": [int(i) for i in row if i >= 0]}
                for step, rows in enumerate(self.decode) for layer, row in enumerate(rows)]


def npy_base64(array: np.ndarray) -> str:
    file = io.BytesIO()
    np.save(file, array)
    return base64.b64encode(file.getvalue()).decode()


def json_lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def csv_text(rows: list[dict]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


COLUMNS = "request=req,layer=l,step=t,blocks=ids"


class Formats(cli.CliTest):
    def digest(self, name: str, *options: object) -> str:
        self.ok("import", name, "-o", "t.kvt", *options)
        return self.json("info", "t.kvt")["manifest"]["digest"]

    def plain_digest(self, decode: np.ndarray, prompt: int, *options: object) -> str:
        """Of the same reads as fang-csv, whose reader shares nothing with the others' but the driver."""
        rows = [[sorted(int(i) for i in row if i >= 0) for row in step] for step in decode]
        self.write("plain.csv", cli.fang_csv(rows))
        return self.digest("plain.csv", "--prompt-tokens", prompt, *options)

    def test_random_workloads_read_back_from_every_form(self) -> None:
        for seed in range(4):
            with self.subTest(seed=seed):
                work = Workload(seed)
                wanted = self.plain_digest(work.decode, work.prompt)
                prompt = ("--prompt-tokens", work.prompt)
                self.write("s.json", json.dumps(work.sglang()))
                self.assertEqual(self.digest("s.json"), wanted)
                self.write("lines.jsonl", json_lines([work.sglang(id="a"), Workload(99).sglang(id="b")]))
                self.assertEqual(self.digest("lines.jsonl", "--request", "a"), wanted)
                self.write("v.json", json.dumps(work.vllm(), indent=1))
                self.assertEqual(self.digest("v.json"), wanted)
                self.write("v.json", json.dumps(work.vllm(start=work.prompt // 2)))
                self.assertEqual(self.digest("v.json"), wanted)
                np.savez(self.path("r.npz"), **work.npz())
                self.assertEqual(self.digest("r.npz"), wanted)
                flat = work.npz() | {"indexer_topk_flat": work.topk.ravel()}
                del flat["topk_indices"]
                np.savez_compressed(self.path("r.npz"), **flat)
                self.assertEqual(self.digest("r.npz"), wanted)
                for dtype, order in (("<i8", "C"), (">i4", "F"), ("<i2", "F")):
                    np.save(self.path("a.npy"), np.array(work.topk, dtype=dtype, order=order))
                    if dtype == "<i2":
                        self.refused(self.run_cli("import", "a.npy", "-o", "t2.kvt", *prompt), cli.BAD_INPUT, "--experts")
                    else:
                        self.assertEqual(self.digest("a.npy", *prompt), wanted)
                self.write("r.jsonl", json_lines(work.records(work.prompt)))
                self.assertEqual(self.digest("r.jsonl", "--columns", COLUMNS), wanted)
                self.write("r.csv", csv_text(work.records(0)))
                self.assertEqual(self.digest("r.csv", "--columns", COLUMNS, *prompt), wanted)
                one_per_row = [{**row, "ids": i} for row in work.records(work.prompt) for i in row["ids"]]
                self.write("r.csv", csv_text(one_per_row))
                self.assertEqual(self.digest("r.csv", "--columns", COLUMNS.replace("step", "position")), wanted)

    def test_entries_of_four_tokens(self) -> None:
        work = Workload(5, unit=4)
        wanted = self.plain_digest(work.decode, work.prompt, "--block-tokens", 4)
        self.write("s.json", json.dumps(work.sglang()))
        self.assertEqual(self.digest("s.json"), wanted)
        np.save(self.path("a.npy"), work.topk)
        self.assertEqual(self.digest("a.npy", "--prompt-tokens", work.prompt), wanted)
        self.write("r.jsonl", json_lines(work.records(work.prompt)))
        self.assertEqual(self.digest("r.jsonl", "--columns", COLUMNS, "--block-tokens", 4), wanted)

    def test_experts_of_engines(self) -> None:
        rng = np.random.default_rng(6)
        chosen = np.array([[rng.permutation(16)[:3] for _ in range(4)] for _ in range(9)], dtype=np.int32)
        chosen[:, 0] = -1  # a dense layer
        np.save(self.path("a.npy"), chosen[4:].astype("<i2"))
        wanted = self.digest("a.npy", "--experts", 16)
        self.assertEqual(self.json("info", "t.kvt")["first_layer"], 1)
        np.save(self.path("b.npy"), chosen)
        self.assertEqual(self.digest("b.npy", "--experts", 16, "--prompt-rows", 4), wanted)
        meta = {"prompt_tokens": 4, "completion_tokens": 6, "routed_experts": base64.b64encode(chosen.tobytes()).decode()}
        self.write("s.json", json.dumps([{"meta_info": meta}]))
        self.refused(self.run_cli("import", "s.json", "-o", "new.kvt"), cli.BAD_INPUT, "--layers")
        self.refused(self.run_cli("import", "s.json", "-o", "new.kvt", "--layers", 4, "--prompt-tokens", 4), cli.BAD_INPUT,
                     "--prompt-rows")
        self.assertEqual(self.digest("s.json", "--layers", 4, "--experts", 16), wanted)
        self.write("v.json", json.dumps({"usage": {"prompt_tokens": 4, "completion_tokens": 6},
                                         "choices": [{"routed_experts": npy_base64(chosen.astype("<i2"))}]}))
        self.assertEqual(self.digest("v.json", "--experts", 16), wanted)

    def refuse(self, name: str, *says: str, options: tuple = (), content: bytes | str | None = None) -> None:
        if content is not None:
            self.write(name, content)
        with self.subTest(name=name, says=says):
            self.refused(self.run_cli("import", name, "-o", "new.kvt", *options), cli.BAD_INPUT, *says)
            self.assertNotIn("new.kvt", self.names())

    def test_places_of_a_memory_pool(self) -> None:
        work = Workload(7)
        for moved in (np.where(work.topk >= 0, work.topk + 1, -1), np.where(work.topk >= 0, work.topk + 4096, -1)):
            work.topk = moved.astype(np.int32)
            self.refuse("s.json", "s.json", "SGLANG_DSA_FUSE_TOPK=0", content=json.dumps(work.sglang()))
            np.savez(self.path("r.npz"), **work.npz())
            self.refuse("r.npz", "r.npz", "SGLANG_DSA_FUSE_TOPK=0")
            np.save(self.path("a.npy"), work.topk)
            self.refuse("a.npy", "a.npy", "SGLANG_DSA_FUSE_TOPK=0", options=("--prompt-tokens", work.prompt))
        late = Workload(8)
        late.topk[-1, 0, 0] = len(late.topk)
        self.refuse("s.json", "SGLANG_DSA_FUSE_TOPK=0", content=json.dumps(late.sglang()))

    def test_responses(self) -> None:
        work = Workload(9)
        both = [work.sglang(id="a"), work.sglang(id="b")]
        for content in (json.dumps(both), json_lines(both)):
            self.write("s.json", content)
            self.ok("import", "s.json", "-o", "both.kvt")
            info = self.json("info", "both.kvt", "--check")
            self.ok("import", "s.json", "-o", "one.kvt", "--request", "a")
            one = self.json("info", "one.kvt", "--check")
            self.assertEqual((info["requests"], info["steps"], info["tokens"], info["reads"]),
                             (2, one["steps"], 2 * one["steps"], 2 * one["reads"]))
        self.refuse("s.json", '"c"', '"a"', '"b"', options=("--request", "c"))
        self.refuse("s.json", "several tokens", content=json.dumps(work.sglang(spec_verify_ct=3)))
        self.refuse("s.json", "rows", "prompt",
                    content=json.dumps(work.vllm() | {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}))
        self.refuse("s.json", "no base64", content=json.dumps(work.sglang(indexer_topk="@@@@")))
        self.refuse("s.json", "neither indexer_topk nor routed_experts", content=json.dumps(work.sglang(indexer_topk="")))
        self.refuse("s.json", "cannot be divided", content=json.dumps(work.sglang(prompt_tokens=work.prompt + 1)))
        self.refuse("s.json", "--prompt-tokens says", content=json.dumps(work.sglang()),
                    options=("--prompt-tokens", work.prompt + 1))
        self.refuse("s.json", "JSON", content=json.dumps(work.sglang())[:-3])
        self.refuse("s.json", "int32", content=json.dumps(work.sglang(indexer_topk="AAA=")))
        self.refuse("v.json", "meta_info", content=json.dumps({"choices": []}), options=("--format", "sglang"))
        self.refuse("s.json", "--columns", content=json.dumps(work.sglang()),
                    options=("--columns", COLUMNS, "--format", "sglang"))

    def test_archives(self) -> None:
        work = Workload(10)
        np.savez(self.path("r.npz"), **work.npz())
        whole = self.read("r.npz")
        for size in (4, 60, len(whole) // 2, len(whole) - 30):
            self.refuse("cut.npz", "cut.npz", content=whole[:size], options=("--format", "topk-npz"))
        at = whole.index(work.topk.tobytes()) + 5
        self.refuse("r.npz", "damaged", content=whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        for change, *says in (({"prompt_len": np.int64(3 * work.prompt + 50)}, "rows"), ({"prompt_len": np.float64(3)}, "prompt_len"),
                              ({"num_layers": np.int64(work.layers + 1)}, "num_layers"),
                              ({"topk_indices": work.topk.astype("<f4")}, "<f4")):
            np.savez(self.path("r.npz"), **(work.npz() | change))
            self.refuse("r.npz", "r.npz", *says)
        np.savez(self.path("r.npz"), a=np.zeros(3))
        self.refuse("r.npz", "topk_indices", '"a.npy"')

    def test_records(self) -> None:
        work = Workload(11)
        rows = work.records(work.prompt)
        columns = ("--columns", COLUMNS)
        other = [{**row, "req": "b"} for row in rows]
        self.refuse("r.jsonl", ":" + str(len(rows) + 1), "several requests", "--request NAME", options=columns,
                    content=json_lines(rows + other))
        self.assertEqual(self.digest("r.jsonl", *columns, "--request", "b"), self.plain_digest(work.decode, work.prompt))
        self.refuse("r.jsonl", '"c"', options=(*columns, "--request", "c"))
        if work.layers > 1:
            self.refuse("r.jsonl", "layer", content=json_lines(rows[:1] + rows[2:]), options=columns)
        self.refuse("r.jsonl", "decode step", content=json_lines(rows[:work.layers] + rows[2 * work.layers:]),
                    options=columns)
        self.refuse("r.jsonl", ":2", "JSON object", content=json_lines(rows[:1]) + "[1]\n", options=columns)
        self.refuse("r.jsonl", ":1", '"-2"', content=json_lines([{**rows[0], "ids": [-2]}]), options=columns)
        self.refuse("r.jsonl", "beyond the context", "--prompt-tokens", options=columns,
                    content=json_lines([{**rows[0], "ids": [work.prompt + 1]}]))
        self.refuse("r.jsonl", '"l"', '"layer"', options=columns,
                    content=json_lines([{"req": 1, "layer": 0, "t": 0, "ids": [0]}]))
        for bad, *says in (("layer=l,step=t", "blocks"), ("layers=l", '"layer"'), ("layer=l,layer=l", "twice"),
                           ("layer", "layer"), ("layer=l,step=t,step=t,blocks=ids", "twice")):
            self.refuse("r.jsonl", "--columns", *says, options=("--columns", bad))
        self.refuse("r.jsonl", "--columns", options=("--format", "records"))
        self.refuse("r.csv", ":2", "fields", content="l,t,ids\n0,0\n", options=("--columns", "layer=l,step=t,blocks=ids"))
        self.write("a.jsonl", json_lines(work.records(0)))
        self.refused(self.run_cli("import", "a.jsonl", "a.jsonl", "-o", "new.kvt", *columns), cli.BAD_INPUT,
                     "another request")

    def test_shards_go_on(self) -> None:
        work = Workload(12)
        rows = work.records(work.prompt)
        cut = len(rows) // work.layers // 2 * work.layers
        self.write("a.jsonl", json_lines(rows[:cut]))
        self.write("b.jsonl", json_lines(rows[cut:]))
        self.ok("import", "a.jsonl", "b.jsonl", "-o", "t.kvt", "--columns", COLUMNS)
        found = self.json("info", "t.kvt")["manifest"]["digest"]
        self.assertEqual(found, self.plain_digest(work.decode, work.prompt))

    def test_prompt_lines_are_no_steps(self) -> None:
        lines = [{"request_id": 0, "layer_id": 0, "step_idx": 0, "seq_len_current": 8, "selected_token_pos": [1, 2]},
                 {"request_id": 0, "layer_id": 0, "step_idx": 8, "seq_len_current": 9, "selected_token_pos": [8, 0]}]
        self.write("d.jsonl", json_lines(lines))
        self.assertEqual(self.digest("d.jsonl"), self.plain_digest(np.array([[[0, 8]]]), 8))
        self.refuse("d.jsonl", ":3", "several tokens",
                    content=json_lines([*lines, {**lines[1], "step_idx": 9, "seq_len_current": 12}]))
        self.refuse("d.jsonl", "beyond the context",
                    content=json_lines([{**lines[1], "selected_token_pos": [9]}]))

    def test_rows_of_a_batch_are_no_tokens(self) -> None:
        self.refuse("l.csv", ":6", "3 rows here", content="layer,expert\n0,1\n0,2\n1,1\n1,2\n0,1\n0,2\n0,3\n1,1\n1,2\n")
        self.refuse("l.csv", "layer 3 only", content="layer,expert\n3,1\n3,2\n")

    def test_what_no_format_knows(self) -> None:
        for content, *says in ((b"", "is empty"), (b"PAR1" + b"\0" * 50, "Parquet", "Python"), (b"hello\n", '"hello'),
                               (b"PK\x03\x04" + b"\0" * 26 + b"archive/data.pkl", "PyTorch", "Python"),
                               (b'{"a": 1}\n', "--columns")):
            self.refuse("x", *says, content=content)
        self.refuse("t.kvt", "is a trace", content=b"\x89KVT\r\n\x1a\n")
        self.refuse("d.jsonl", "--columns is for", options=("--columns", COLUMNS, "--format", "dsa-jsonl"),
                    content=json_lines([{"layer_id": 0, "step_idx": 1, "selected_token_pos": [0]}]))
        self.refuse("d.jsonl", ":1", "array", options=("--format", "dsa-jsonl"),
                    content='{"layer_id": 0, "step_idx": 1, "selected_token_pos": [' + "[" * 100000 + "]" * 100000 + "]}\n")
        self.refuse("c.csv", "--layers", content='n,l,read_kv\n0,0,"[0]"\n', options=("--layers", 3))
        self.refuse("c.csv", "--experts", options=("--experts", 3))


if __name__ == "__main__":
    unittest.main()
