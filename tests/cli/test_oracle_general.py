"""Exports lose nothing: oracle-general read with struct, and every format imported again."""

from __future__ import annotations

import gzip
import os
import random
import struct
import subprocess
import unittest

import numpy as np

import cli
import kvplace_reference as ref

LAYERS, STEPS, PROMPT = 3, 40, 10
ROWS = cli.random_rows(3, LAYERS, STEPS, PROMPT)

Record = tuple[int, int, int, int]  # time, object, size, index of the object's next record or -1


def records_of(content: bytes) -> list[Record]:
    """The records of libCacheSim's packed little-endian binary format."""
    return list(struct.iter_unpack("<IQIq", content))


def reads_of(records: list[Record], layers: int) -> cli.Rows:
    """Ids by decode step and layer; the layer is the object's upper half."""
    rows: cli.Rows = [[[] for _ in range(layers)] for _ in range(records[-1][0] + 1)]
    for time, block, _, _ in records:
        rows[time][block >> 32].append(block & 0xFFFFFFFF)
    return rows


def next_accesses(records: list[Record]) -> list[int]:
    """By brute force: where each record's object comes again."""
    objects = [record[1] for record in records]
    return [objects.index(o, i + 1) if o in objects[i + 1:] else -1 for i, o in enumerate(objects)]


def lru_misses(rows: cli.Rows, prompt_tokens: int, places: int, start: list[tuple[int, int]]) -> int:
    """Far reads of one list over all layers by the rule of the formulation, on plain lists, oldest first."""
    order, far_reads = list(start), 0
    for t, row in enumerate(rows):
        for l, ids in enumerate(row):
            born = (l, prompt_tokens + t)
            misses = [(l, i) for i in ids if (l, i) not in order and (l, i) != born]
            far_reads += len(misses)
            hits = [(l, i) for i in ids if (l, i) in order]
            order = [b for b in order if b not in hits] + hits
            for block in sorted([*misses, born]):
                order.append(block)
                order = order[max(0, len(order) - places):]
    return far_reads


class Exports(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.trace = self.make_trace("t.kvt", ROWS, PROMPT, 1, "--block-bytes", 4096)
        self.digest = self.json("info", self.trace)["manifest"]["digest"]

    def export(self, trace: str, out: str, fmt: str, *more: object) -> bytes:
        ran = self.run_cli("export", trace, "-o", out, "--format", fmt, *more)
        self.assertEqual((ran.code, ran.err), (cli.DONE, ""), ran)
        return self.read(out)

    def test_oracle_general(self) -> None:
        records = records_of(self.export(self.trace, "t.bin", "oracle-general"))
        self.assertEqual(reads_of(records, LAYERS), ROWS)
        self.assertEqual({size for _, _, size, _ in records}, {4096})
        self.assertEqual([following for _, _, _, following in records], next_accesses(records))

    def test_other_readers_see_the_same(self) -> None:
        records = [tuple(r) for r in ref.load_oracle_general(self.path(self.out("t.bin", "oracle-general")))]
        array = np.load(self.path(self.out("t.npy", "topk-npy")))
        self.assertEqual(array.shape[:2], (STEPS, LAYERS))
        self.assertEqual(array.dtype, "int32")
        rows = [[[i for i in ids if i >= 0] for ids in row] for row in array.tolist()]
        self.assertEqual(rows, ROWS)
        self.assertEqual(reads_of(records, LAYERS), rows)
        trace = ref.load_fang_csv(self.path(self.out("t.csv", "fang-csv")), PROMPT, 1)
        self.assertEqual([[ids for ids, _ in step] for step in trace.steps], ROWS)

    def out(self, name: str, fmt: str) -> str:
        self.export(self.trace, name, fmt)
        return name

    def test_compressed(self) -> None:
        for name, fmt in (("t.bin", "oracle-general"), ("t.csv", "fang-csv"), ("t.npy", "topk-npy")):
            plain = self.export(self.trace, name, fmt)
            self.assertEqual(gzip.decompress(self.export(self.trace, name + ".gz", fmt)), plain)
            self.export(self.trace, name + ".zst", fmt)
            unpacked = subprocess.run(["zstd", "-dc", self.path(name + ".zst")], check=True, capture_output=True).stdout
            self.assertEqual(unpacked, plain)

    def test_imported_again(self) -> None:
        """Through every format that can be imported, plain and compressed, the contents are the same."""
        for fmt, end in (("fang-csv", "csv"), ("topk-npy", "npy"), ("fang-moe-csv", "csv")):
            for packed in ("", ".gz", ".zst"):
                with self.subTest(format=fmt, packed=packed):
                    self.export(self.trace, "x." + end + packed, fmt)
                    self.ok("import", "x." + end + packed, "-o", "again.kvt", "--format", fmt, "--prompt-tokens",
                            PROMPT)
                    self.assertEqual(self.json("info", "again.kvt", "--check")["manifest"]["digest"], self.digest)

    def test_files_in_order_are_one_trace(self) -> None:
        for part, rows in (("a", ROWS[:15]), ("b", ROWS[15:])):
            self.write(part + ".csv", cli.fang_csv(rows))
        self.ok("import", "a.csv", "b.csv", "-o", "ab.kvt", "--format", "fang-csv", "--prompt-tokens", PROMPT)
        self.assertEqual(self.json("info", "ab.kvt")["manifest"]["digest"], self.digest)

    def test_element_types(self) -> None:
        rows = [[ids[:4] + ids[-4:] for ids in row] for row in [[[*range(t, t + 9)]] * 2 for t in range(6)]]
        digests = set()
        for dtype in ("<i4", "<u2", "<i8"):
            np.save(self.path("x.npy"), np.array(rows, dtype=dtype))
            self.ok("import", "x.npy", "-o", "x.kvt", "--format", "topk-npy", "--prompt-tokens", 9)
            digests.add(self.json("info", "x.kvt")["manifest"]["digest"])
        self.assertEqual(len(digests), 1)

    def test_experts_and_queries(self) -> None:
        """Two queries of an expert model, one after the other; experts are blocks too."""
        rng = random.Random(1)
        lines = ["query_id,token_id,layer_id,experts,attention"]
        for query, prompt in ((7, 5), (9, 3)):
            for t in range(12):
                for l in range(2):
                    experts, ids = sorted(rng.sample(range(8), 2)), sorted(rng.sample(range(prompt + t + 1), 3))
                    lines.append(f'{query},{t},{l},"{experts}","{ids}"')
        self.write("moe.csv", "\n".join([*lines, ""]))
        self.ok("import", "moe.csv", "-o", "moe.kvt", "--format", "fang-moe-csv")
        info = self.json("info", "moe.kvt")
        self.assertEqual((info["steps"], info["requests"], info["experts"], info["reads"]), (24, 2, 8, 24 * 2 * 5))
        self.export("moe.kvt", "again.csv", "fang-moe-csv")
        self.ok("import", "again.csv", "-o", "again.kvt", "--format", "fang-moe-csv", "--prompt-tokens",
                info["prompt_tokens"])
        self.assertEqual(self.json("info", "again.kvt")["manifest"]["digest"], info["manifest"]["digest"])
        records = records_of(self.export("moe.kvt", "moe.bin", "oracle-general"))
        self.assertEqual(len(records), info["reads"])
        self.assertEqual([r[3] for r in records], next_accesses(records))

    def test_lru_over_the_records(self) -> None:
        """The misses of one list, counted once more on what was exported."""
        rows = reads_of(records_of(self.export(self.trace, "t.bin", "oracle-general")), LAYERS)
        for per_layer in (0, 1, 4, 9):
            places = per_layer * LAYERS
            newest = range(PROMPT - min(per_layer, PROMPT), PROMPT)
            for start, near in (("empty", []), ("recent", [(l, i) for i in newest for l in range(LAYERS)])):
                results = self.results(self.trace, "--near-blocks-per-layer", per_layer, "--start", start,
                                       "--policy", "lru-global")
                self.assertEqual(results["lru-global"]["far_reads"], lru_misses(rows, PROMPT, places, near))

    def test_bundled_trace(self) -> None:
        """Sizes and order of a large export; the first reads of each block are all there."""
        self.export(cli.BUNDLED, "b.bin", "oracle-general")
        kind = np.dtype([("time", "<u4"), ("block", "<u8"), ("size", "<u4"), ("next", "<i8")])
        records = np.fromfile(self.path("b.bin"), dtype=kind)
        self.assertEqual(len(records), 4096 * 30 * 64)
        key = records["time"].astype("u8") << 5 | records["block"] >> 32
        self.assertTrue((np.diff(key.astype("i8")) >= 0).all())
        order = np.lexsort((np.arange(len(records)), records["block"]))
        expected = np.full(len(records), -1)
        same = records["block"][order][1:] == records["block"][order][:-1]
        expected[order[:-1][same]] = order[1:][same]
        self.assertTrue((records["next"] == expected).all())
        os.remove(self.path("b.bin"))


if __name__ == "__main__":
    unittest.main()
