"""Traces of experts alone: sizes by layer, what is near at the start, counts beside a second implementation, words."""

from __future__ import annotations

import csv
import json
import random
import unittest

import cli

LAYERS, EXPERTS, ACTIVE, STEPS, PROMPT = 4, 16, 3, 40, 6
SIZES = (3000, 2500, 3000, 2000)  # of an expert, by layer

Routes = list[list[list[int]]]  # [token][layer] -> experts


def routes(seed: int, tokens: int) -> Routes:
    """Experts that stay in part from token to token, some of them liked more than others."""
    rng = random.Random(seed)
    liked = [rng.sample(range(EXPERTS), EXPERTS) for _ in range(LAYERS)]
    out: Routes = []
    for t in range(tokens):
        row = []
        for layer in range(LAYERS):
            chosen = {e for e in out[-1][layer] if rng.random() < 0.4} if out else set()
            while len(chosen) < ACTIVE:
                chosen.add(liked[layer][int(EXPERTS * rng.random() ** 2)])
            row.append(sorted(chosen))
        out.append(row)
    return out


def route_csv(prompt: Routes, decode: Routes, sizes: tuple[int, ...] = SIZES) -> str:
    """As BigMoeOnEdge writes it: the prompt's rows first, a layer after the other."""
    lines = [f"# model=m n_layer={LAYERS} n_expert={EXPERTS} n_expert_used={ACTIVE}"]
    lines += [f"# layer={layer} expert_bytes={size} dense_bytes=1" for layer, size in enumerate(sizes)]
    lines.append("turn,phase,step,layer,slot,expert,weight,residency,expert_bytes")
    for layer in range(LAYERS):
        lines += [f"0,0,{t},{layer},{slot},{e},0.1,0,{sizes[layer]}" for t, row in enumerate(prompt)
                  for slot, e in enumerate(row[layer])]
    lines += [f"0,1,{t},{layer},{slot},{e},0.1,0,{sizes[layer]}" for t, row in enumerate(decode)
              for layer in range(LAYERS) for slot, e in enumerate(row[layer])]
    return "\n".join([*lines, ""])


def near_at_start(prompt: Routes, capacity: int) -> list[tuple[int, int]]:
    """The experts used last, the same number in each layer, until its part of the capacity is full; oldest first."""
    by_layer = []
    for layer in range(LAYERS):
        last: dict[int, int] = {}
        for t, row in enumerate(prompt):
            for at, e in enumerate(row[layer]):
                last[e] = t * EXPERTS + at
        newest = sorted(last, key=lambda e: -last[e])
        by_layer.append(newest[: capacity // sum(SIZES)])
    most = max(map(len, by_layer), default=0)
    return [(layer, by_layer[layer][place]) for place in range(most - 1, -1, -1) for layer in range(LAYERS)
            if place < len(by_layer[layer])]


def lru_hits(prompt: Routes, decode: Routes, capacity: int, pooled: bool) -> int:
    """One list over all layers, or one for each: hits are used first, then what was missed enters, in order."""
    near = near_at_start(prompt, capacity)
    hits = 0
    for row in decode:
        for layer, chosen in enumerate(row):
            keys = [(layer, e) for e in chosen]
            read_near = [key for key in keys if key in near]
            hits += len(read_near)
            for key in [*read_near, *(key for key in keys if key not in read_near)]:
                if key in near:
                    near.remove(key)
                near.append(key)
            while True:
                mine = [key for key in near if pooled or key[0] == layer]
                if sum(SIZES[key[0]] for key in mine) <= (capacity if pooled else SIZES[layer] * (capacity // sum(SIZES))):
                    break
                near.remove(mine[0])
    return hits


class Experts(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        both = routes(5, PROMPT + STEPS)
        self.prompt, self.decode = both[:PROMPT], both[PROMPT:]
        self.write("r.csv", route_csv(self.prompt, self.decode))
        self.ok("import", "r.csv", "-o", "r.kvt")

    def hits(self, policy: str, *options: object, trace: str = "r.kvt") -> int:
        compared = self.json("compare", trace, "--policy", policy, *options)
        return compared["results"][0]["near_reads"]

    def test_what_the_import_keeps(self) -> None:
        info = self.json("info", "r.kvt")
        self.assertEqual((info["expert_bytes_by_layer"], info["experts"], info["first_layer"]), (list(SIZES), EXPERTS, 0))
        used = [len({e for row in self.prompt for e in row[layer]}) for layer in range(LAYERS)]
        self.assertEqual(info["prompt_experts_by_layer"], used)
        text = self.ok("info", "r.kvt")
        for words in ("experts per layer     16, of 1.95 KiB to 2.93 KiB", "used by the prompt", "experts per layer  per layer",
                      "of the experts there are"):
            self.assertIn(words, text)
        for words in ("block tokens", "prompt tokens", "recent, first", "blocks per layer"):
            self.assertNotIn(words, text)

    def test_counts_beside_a_second_implementation(self) -> None:
        cycle = sum(ACTIVE * size for size in SIZES)
        for capacity in (LAYERS * 3000, cycle // 2, cycle - 1, cycle, 2 * cycle, 3 * cycle):
            with self.subTest(capacity=capacity):
                options = ("--near-capacity", f"{capacity}B")
                for policy, pooled in (("lru-global", True), ("lru", False)):
                    self.assertEqual(self.hits(policy, *options), lru_hits(self.prompt, self.decode, capacity, pooled))
                cold = self.hits("lru-global", *options, "--start", "empty")
                self.assertEqual(cold, lru_hits([], self.decode, capacity, True))

    def test_start(self) -> None:
        """What the prompt used is near; --start empty is cold."""
        capacity = 5 * sum(SIZES)
        warm = self.hits("static", "--near-capacity", f"{capacity}B")
        near = set(near_at_start(self.prompt, capacity))
        self.assertEqual(warm, sum((layer, e) in near for row in self.decode for layer, chosen in enumerate(row)
                                   for e in chosen))
        self.assertEqual(self.hits("static", "--near-capacity", f"{capacity}B", "--start", "empty"), 0)
        self.assertGreater(warm, 0)
        # Without the prompt's rows nothing is known of it.
        self.write("cold.csv", route_csv([], self.decode))
        self.ok("import", "cold.csv", "-o", "cold.kvt")
        self.assertIn("not known: none is near at the start", self.ok("info", "cold.kvt"))
        self.assertEqual(self.hits("static", "--near-capacity", f"{capacity}B", trace="cold.kvt"), 0)

    def test_one_list_collapses_below_the_cycle(self) -> None:
        """Layers follow each other, so that one list drops what is needed next: no hit where the experts of one token do
        not fit but for one layer's, even if all tokens choose the same ones."""
        same = [self.decode[0]] * STEPS
        self.write("same.csv", route_csv(same[:1], same))
        self.ok("import", "same.csv", "-o", "same.kvt")
        cycle = sum(ACTIVE * size for size in SIZES)
        reads = STEPS * LAYERS * ACTIVE
        cold = ("--start", "empty")
        below = f"{cycle - ACTIVE * max(SIZES)}B"
        self.assertEqual(self.hits("lru-global", "--near-capacity", below, *cold, trace="same.kvt"), 0)
        self.assertEqual(self.hits("lru-global", "--near-capacity", f"{cycle}B", *cold, trace="same.kvt"),
                         reads - LAYERS * ACTIVE)
        for policy in ("kvplace", "belady-global", "lfu-aging"):
            self.assertGreater(self.hits(policy, "--near-capacity", below, *cold, trace="same.kvt"), reads // 4)

    def test_the_bound_holds(self) -> None:
        """Also for what is near at the start and for sizes that differ; it is re-checked without the solver."""
        machine = ("--hardware", "dram-nvme", "--near-capacity", "20kB")
        compared = self.json("compare", "r.kvt", *machine, "--policy", "all", "--policy", "planned:seconds=2", "--bound")
        bound = compared["bounds"]["certified_s"]
        self.assertLessEqual(bound, min(result["total_s"] for result in compared["results"]) * (1 + 1e-9))
        self.assertGreater(bound, 0.5 * compared["bounds"]["certified_any_s"])
        self.ok("bound", "r.kvt", *machine, "-o", "r.cert", "--schedule", "r.kvs")
        self.assertTrue(self.json("verify", "r.kvt", "r.cert")["valid"])
        self.ok("replay", "r.kvt", "r.kvs", *machine)

    def test_headings(self) -> None:
        text = self.ok("compare", "r.kvt", "--near-capacity", "31500B", "--policy", "lru")
        self.assertIn("480 reads of experts of 1.95 KiB to 2.93 KiB, 16 per layer", text)
        self.assertIn("near capacity 30.8 KiB = 3 of 16 experts per layer", text)
        self.assertNotIn("for KV", text)

    def test_sizes_of_a_model_and_of_fields(self) -> None:
        for options, sizes in ((("--set", "model.experts.bytes_per_expert=1MB"), [10**6] * LAYERS),
                               (("--model", "qwen3-30b-a3b"), [9 << 20] * LAYERS), ((), list(SIZES))):
            compared = self.json("compare", "r.kvt", *options, "--near-fraction", "0.5", "--policy", "lru")
            self.assertEqual(compared["instance"]["expert_bytes_by_layer"], sizes)
            self.assertEqual(compared["instance"]["near_capacity_bytes_per_request"], sum(sizes) * EXPERTS // 2)

    def test_weights_leave_the_experts_out(self) -> None:
        """Experts are what competes for near memory: 57 GiB of weights of Qwen3-30B-A3B, 3.1 GB without its experts."""
        text = self.ok("compare", "r.kvt", "--model", "qwen3-30b-a3b", "--hardware", "rtx4090-pcie4", "--policy", "lru")
        self.assertIn("all of 16 experts per layer", text)

    def test_near_blocks_are_experts(self) -> None:
        compared = self.json("compare", "r.kvt", "--near-blocks-per-layer", "5", "--policy", "lru", "--policy", "random")
        self.assertEqual(compared["instance"]["near_capacity_bytes_per_request"], 5 * sum(SIZES))
        peak = {result["policy"]: result["peak_near_blocks"] for result in compared["results"]}
        self.assertEqual(peak["lru"], 5 * LAYERS)

    def test_size_and_budgets(self) -> None:
        machine = ("--hardware", "dram-nvme", "--set", "hardware.far.link_read=1MB/s", "--set", "hardware.far.bandwidth=1MB/s")
        found = self.json("size", "r.kvt", *machine, "--target", "60tokens/s", "--policy", "lru", "--policy", "kvplace")
        for answer in found["answers"]:
            value = int(answer["answer"]["value"])
            self.assertGreaterEqual(answer["answer"]["tokens_per_s"], 60)
            if not answer["certified"]:
                compared = self.json("compare", "r.kvt", *machine, "--near-capacity", f"{value}B", "--policy",
                                     answer["policy"])
                self.assertGreaterEqual(STEPS / compared["results"][0]["total_s"], 60 * (1 - 1e-9))
        text = self.ok("size", "r.kvt", *machine, "--target", "60tokens/s", "--find", "buffer", "--policy", "lru")
        self.assertRegex(text, r"\d+ experts")
        self.assertNotIn("settings for", text)
        self.ok("size", "r.kvt", *machine, "--near-blocks-per-layer", "6", "--target", "60tokens/s", "--find", "link",
                "--policy", "lru")
        budgets = self.ok("budgets", "r.kvt", *machine, "--near-blocks-per-layer", "5", "-o", "b.toml")
        self.assertIn("layer  experts", budgets)
        self.ok("compare", "r.kvt", *machine, "--near-blocks-per-layer", "5", "--layer-budgets", "b.toml", "--policy", "lru")

    def test_prefetch_learns(self) -> None:
        """Where a layer's choice follows from the one before, what is read next comes in ahead."""
        rng = random.Random(3)
        decode: Routes = []
        for _ in range(200):
            first = rng.sample(range(EXPERTS), ACTIVE)
            decode.append([sorted((e * (2 * layer + 1) + layer) % EXPERTS for e in first) for layer in range(LAYERS)])
        self.write("chain.csv", route_csv([], decode, (3000,) * LAYERS))
        self.ok("import", "chain.csv", "-o", "chain.kvt")
        options = ("--near-blocks-per-layer", "4")
        plain = self.hits("lru", *options, trace="chain.kvt")
        ahead = self.hits("expert-prefetch:limit=3,least=0.3", *options, trace="chain.kvt")
        # All but the first layer's, once the pairs have been seen.
        self.assertGreater(ahead, plain + 200 * (LAYERS - 1) * ACTIVE * 0.5)
        self.assertEqual(self.hits("expert-prefetch:limit=0", *options, trace="chain.kvt"), plain)

    def test_the_preset_has_the_published_locality(self) -> None:
        """Three prompts of Qwen3-30B-A3B: 45 % read in the step before, 80 % of reuses within eight steps, median 2, LRU
        with 51 experts per layer 90.0 to 95.3 %."""
        self.ok("generate", "qwen3-30b-a3b-experts", "-o", "q.kvt")
        self.assertAlmostEqual(self.json("info", "q.kvt")["overlap"], 0.45, delta=0.01)
        self.ok("export", "q.kvt", "-o", "q.csv", "--format", "fang-moe-csv")
        last: dict[tuple[int, int], int] = {}
        gaps = []
        with open(self.path("q.csv"), encoding="utf-8") as rows:
            for row in csv.DictReader(rows):
                for expert in json.loads(row["experts"]):
                    key = (int(row["layer_id"]), expert)
                    if key in last:
                        gaps.append(int(row["token_id"]) - last[key])
                    last[key] = int(row["token_id"])
        self.assertAlmostEqual(sum(gap <= 8 for gap in gaps) / len(gaps), 0.80, delta=0.01)
        self.assertEqual(sorted(gaps)[len(gaps) // 2], 2)
        hits = self.hits("lru", "--near-blocks-per-layer", "51", trace="q.kvt") / self.json("info", "q.kvt")["reads"]
        self.assertTrue(0.900 <= hits <= 0.953, hits)

    def test_arrays_keep_the_prompt(self) -> None:
        import numpy as np

        np.save(self.path("a.npy"), np.array(self.prompt + self.decode, np.int16))
        self.ok("import", "a.npy", "-o", "a.kvt", "--experts", EXPERTS, "--prompt-rows", PROMPT)
        info, own = self.json("info", "a.kvt"), self.json("info", "r.kvt")
        self.assertEqual(info["manifest"]["digest"], own["manifest"]["digest"])
        self.assertEqual(info["prompt_experts_by_layer"], own["prompt_experts_by_layer"])
        self.assertEqual(self.hits("lru-global", "--near-capacity", "40kB", "--set", "model.experts.bytes_per_expert=3000",
                                   trace="a.kvt"),
                         self.hits("lru-global", "--near-capacity", "40kB", "--set", "model.experts.bytes_per_expert=3000"))

    def test_bad_metadata(self) -> None:
        for broken, says in (("0,0,0,0,0,16,0.1,0,3000", "expert 16"),):
            text = route_csv(self.prompt, self.decode).replace("0,0,0,0,0,", "0,0,0,0,9,", 1).splitlines()
            at = next(i for i, line in enumerate(text) if line.startswith("0,0,"))
            text.insert(at, broken)
            self.write("bad.csv", "\n".join([*text, ""]))
            self.refused(self.run_cli("import", "bad.csv", "-o", "bad.kvt"), cli.BAD_INPUT, "bad.csv", says)


if __name__ == "__main__":
    unittest.main()
