"""The contract of compare, info and list: their JSON keys, what holds between the numbers, and listings."""

from __future__ import annotations

import json
import unittest

import numpy as np

import cli

TOP_KEYS = {"manifest", "instance", "bounds", "results"}
BOUND_KEYS = {"perfect_split_s", "all_near_s", "certified_s", "certified_mode"}
RESULT_KEYS = {
    "policy": str, "parameters": dict, "information": str, "total_s": float, "tokens_per_s": float, "reads": int,
    "near_reads": int, "far_reads": int, "promotions": int, "demotions": int, "evictions": int, "near_bytes": int,
    "far_read_bytes": int, "far_write_bytes": int, "peak_near_blocks": int, "aggregate_gb_per_s": float,
    "aggregate_utilization": float, "gap_to_bound": (float, type(None)), "far_reads_by_layer": list}
INFO_KEYS = {
    "layers": int, "steps": int, "prompt_tokens": int, "block_tokens": int, "blocks": int, "reads": int,
    "reads_per_step": float, "overlap_by_layer": list, "overlap": float, "lru_miss_by_capacity": dict,
    "working_set": (float, type(None)), "ranks": bool}
INFORMATION = {"causal", "ranked", "lookahead", "oracle", "ideal"}
POLICIES = set("static reactive page sa-guided sa best-case lru lru-global clock random fifo kvplace "
               "belady belady-global belady-balanced".split())

LAYERS, STEPS, PROMPT, BLOCK = 3, 60, 20, 4000
ROWS = cli.random_rows(7, LAYERS, STEPS, PROMPT)
NEAR_BANDWIDTH, FAR_BANDWIDTH = 4900e9, 450e9  # of fang2025; far: the lesser of link and memory


class Contract(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.trace = self.make_trace("t.kvt", ROWS, PROMPT)

    def assert_has(self, found: dict, keys: dict) -> None:
        """All of the keys, with values of their types; there may be more."""
        self.assertLessEqual(set(keys), set(found))
        for key, kind in keys.items():
            self.assertIsInstance(found[key], kind, key)

    def compare(self, *flags: object) -> dict:
        return self.json("compare", self.trace, "--block-bytes", BLOCK, *flags)

    def test_compare_keys(self) -> None:
        answer = self.compare("--near-blocks-per-layer", 6)
        self.assertLessEqual(TOP_KEYS, set(answer))
        self.assertLessEqual(BOUND_KEYS, set(answer["bounds"]))
        self.assertIsNone(answer["bounds"]["certified_s"])
        self.assertEqual(answer["bounds"]["certified_mode"], "inclusive")
        self.assertEqual({r["policy"] for r in answer["results"]}, POLICIES - {"sa"})
        for result in answer["results"]:
            with self.subTest(policy=result["policy"]):
                self.assert_has(result, RESULT_KEYS)
                self.assertIn(result["information"], INFORMATION)

    def test_compare_identities(self) -> None:
        reads = sum(len(ids) for row in ROWS for ids in row)
        for flags in ([], ["--mode=exclusive"], ["--barrier=token", "--weight-bytes-per-step=100kB"],
                      ["--overlap=none", "--batch=3", "--near-capacity=500kB"], ["--start=empty", "--near-fraction=0"],
                      ["--set=hardware.interference=0.3", "--near-fraction=1", "--mode=exclusive"]):
            if not any("near-" in flag for flag in flags):
                flags = [*flags, "--near-blocks-per-layer=6"]
            answer = self.compare(*flags)
            options, instance = answer["instance"]["options"], answer["instance"]
            for r in answer["results"]:
                with self.subTest(policy=r["policy"], flags=flags):
                    self.assertEqual(r["reads"], reads)
                    self.assertEqual(r["reads"], r["near_reads"] + r["far_reads"])
                    self.assertEqual(len(r["far_reads_by_layer"]), LAYERS)
                    self.assertEqual(sum(r["far_reads_by_layer"]), r["far_reads"])
                    self.assertAlmostEqual(r["tokens_per_s"] * r["total_s"], STEPS * options["batch"], places=6)
                    size = options["batch"] * BLOCK
                    read_bytes = reads * size + instance["weight_bytes_per_step"] * LAYERS * STEPS
                    rate = read_bytes / r["total_s"]
                    self.assertAlmostEqual(r["aggregate_gb_per_s"] * 1e9, rate, delta=1e-9 * rate)
                    self.assertAlmostEqual(r["aggregate_utilization"], rate / (NEAR_BANDWIDTH + FAR_BANDWIDTH),
                                           places=12)
                    self.assertLessEqual(r["peak_near_blocks"] * BLOCK, instance["near_capacity_bytes_per_request"])
                    if r["information"] == "ideal":
                        continue
                    self.assertGreaterEqual(r["total_s"], answer["bounds"]["perfect_split_s"] * (1 - 1e-12))
                    exclusive = options["mode"] == "exclusive"
                    self.assertEqual(r["demotions"], r["evictions"] if exclusive else 0)
                    # Reads and promotions from far; new KV and demotions to far.
                    self.assertGreaterEqual(r["far_read_bytes"], r["far_reads"] * size)
                    self.assertLessEqual(r["far_read_bytes"], (r["far_reads"] + r["promotions"]) * size)
                    new_kv = STEPS * LAYERS * size
                    if exclusive:
                        self.assertGreaterEqual(r["far_write_bytes"], r["demotions"] * size)
                        self.assertLessEqual(r["far_write_bytes"], r["demotions"] * size + new_kv)
                    else:
                        self.assertEqual(r["far_write_bytes"], new_kv)

    def test_information_is_what_the_list_says(self) -> None:
        listed = {p["name"]: p["information"] for p in json.loads(self.ok("list", "policies", "--json"))
                  if not p["requires_ranking"]}
        flags = [flag for name in listed for flag in ("--policy", name if name != "sa" else "sa:iterations=2")]
        found = {r["policy"]: r["information"] for r in self.compare("--near-blocks-per-layer", 6, *flags)["results"]}
        self.assertEqual(found, listed)

    def test_all_are_those_that_run_in_one_pass_on_the_trace(self) -> None:
        listed = json.loads(self.ok("list", "policies", "--json"))
        for trace, ranked in ((self.trace, False), (cli.SOURCE_DIR / "data/smollm2-holmes-token-k64-ranked.kvt", True)):
            flags = ("--block-bytes", BLOCK, "--near-blocks-per-layer", 6, "--policy", "all")
            found = [r["policy"] for r in self.json("compare", trace, *flags)["results"]]
            wanted = {p["name"] for p in listed if ranked or not p["requires_ranking"]} - {"sa", "planned"}
            self.assertEqual(set(found), wanted)
            self.assertEqual(len(found), len(wanted))
        oracles = self.compare("--near-blocks-per-layer", 6, "--start", "free", "--policy", "all")["results"]
        self.assertEqual({r["information"] for r in oracles}, {"oracle"})

    def test_policies_in_the_order_asked_for(self) -> None:
        asked = ["sa-guided:w=9,r=0.25", "lru", "belady", "sa-guided", "lru"]
        flags = [flag for policy in asked for flag in ("--policy", policy)]
        results = self.compare("--near-blocks-per-layer", 6, *flags)["results"]
        self.assertEqual([r["policy"] for r in results], [policy.split(":")[0] for policy in asked])
        self.assertEqual(results[0]["parameters"], {"w": 9, "r": 0.25, "accuracy": 1})
        self.assertEqual(results[3]["parameters"], {"w": 5, "r": 0.5, "accuracy": 1})
        self.assertEqual(results[1], results[4])
        self.assertNotEqual(results[0]["total_s"], results[3]["total_s"])

    def test_sa_finds_no_worse_than_where_it_starts(self) -> None:
        results = self.compare("--near-blocks-per-layer", 6, "--policy", "sa-guided", "--policy",
                               "sa:iterations=15")["results"]
        self.assertLessEqual(results[1]["total_s"], results[0]["total_s"])
        found = results[1]["found"]
        again = self.compare("--near-blocks-per-layer", 6, "--policy", found)["results"][0]
        self.assertEqual(again["total_s"], results[1]["total_s"])

    def test_threads_change_nothing(self) -> None:
        flags = ["--near-blocks-per-layer", 5, "--seed", 3, "--json"]
        for verb in (["compare", self.trace, "--block-bytes", BLOCK, *flags], ["info", self.trace, "--json"],
                     ["compare", cli.BUNDLED, "--hardware", "h100-sxm-pcie5", *flags]):
            one, two = (self.ok(*verb, "--threads", threads) for threads in (1, 2))
            self.assertEqual(one, two)
            json.loads(one)

    def test_a_bound_says_whether_placement_matters(self) -> None:
        table = self.ok("compare", self.trace, "--block-bytes", BLOCK, "--near-blocks-per-layer", 6)
        self.assertNotIn("does not matter", table)
        # What is compared may be alike, and placement matter all the same.
        alike = ("compare", self.trace, "--block-bytes", BLOCK, "--near-blocks-per-layer", 6, "--weight-bytes-per-step",
                 0, "--policy", "lru", "--policy", "bucketed-lru:buckets=1024")
        found = self.json(*alike)
        times = [result["total_s"] for result in found["results"]]
        self.assertLess(max(times), 1.01 * min(times))
        self.assertIs(found["placement_matters"], True)
        self.assertGreater(found["static_s"], 1.01 * max(times))
        self.assertIn("but placement matters here: static", self.ok(*alike))
        table = self.ok("compare", self.trace, "--block-bytes", BLOCK, "--near-fraction", 1, "--weight-bytes-per-step",
                        "1GB",
                        "--policy", "static")
        self.assertIn("does not matter", table.lower())

    def test_table_has_every_policy_and_fits(self) -> None:
        table = self.ok("compare", self.trace, "--block-bytes", BLOCK, "--near-blocks-per-layer", 6)
        for name in POLICIES - {"sa"}:
            self.assertIn("\n" + name, table)
        self.assertNotIn("\x1b", table)


class Info(cli.CliTest):
    def test_keys_and_numbers(self) -> None:
        path = self.make_trace("t.kvt", ROWS, PROMPT)
        info = self.json("info", path)
        Contract.assert_has(self, info, INFO_KEYS)
        reads = sum(len(ids) for row in ROWS for ids in row)
        self.assertEqual([info[k] for k in ("layers", "steps", "prompt_tokens", "block_tokens", "blocks", "reads",
                                            "ranks")],
                         [LAYERS, STEPS, PROMPT, 1, PROMPT + STEPS, reads, False])
        self.assertAlmostEqual(info["reads_per_step"], reads / (LAYERS * STEPS), places=12)
        for l, overlap in enumerate(info["overlap_by_layer"]):
            shares = [len(set(ROWS[t][l]) & set(ROWS[t - 1][l])) / len(ROWS[t][l]) for t in range(1,
                                                                                                  STEPS) if ROWS[t][l]]
            self.assertAlmostEqual(overlap, sum(shares) / len(shares), places=12)
        self.assertAlmostEqual(info["overlap"], sum(info["overlap_by_layer"]) / LAYERS, places=12)
        windows = [len({i for t in range(first, first + 50) for i in ROWS[t][l]})
                   for first in range(STEPS - 49) for l in range(LAYERS)]
        self.assertAlmostEqual(info["working_set"], sum(windows) / len(windows), places=9)
        misses = [info["lru_miss_by_capacity"][k] for k in sorted(info["lru_miss_by_capacity"], key=int)]
        self.assertEqual(misses, sorted(misses, reverse=True))
        self.assertTrue(all(0 <= miss <= 1 for miss in misses))

    def test_bundled_trace(self) -> None:
        info = self.json("info", cli.BUNDLED, "--check")
        self.assertEqual([info[k] for k in ("layers", "steps", "prompt_tokens", "block_tokens", "reads")],
                         [30, 4096, 4096, 16, 4096 * 30 * 64])
        self.assertIn("7,864,320", self.ok("info", cli.BUNDLED))

    def test_rankings(self) -> None:
        array = cli.topk_array([[[4, 1, 3, 0], [0, 2, 3, 4]]] * 3)
        np.save(self.path("r.npy"), array)
        self.ok("import", "r.npy", "-o", "r.kvt", "--format", "topk-npy", "--read", 2, "--prompt-tokens", 5)
        info = self.json("info", "r.kvt")
        self.assertEqual((info["ranks"], info["reads"]), (True, 2 * 2 * 3))
        self.ok("export", "r.kvt", "-o", "reads.npy", "--format", "topk-npy")
        self.ok("export", "r.kvt", "-o", "ranks.npy", "--format", "topk-npy", "--ranking")
        self.assertEqual(np.load(self.path("ranks.npy")).tolist(), array.tolist())
        self.assertEqual(np.load(self.path("reads.npy")).tolist(), [[[1, 4], [0, 2]]] * 3)


class Listings(cli.CliTest):
    def test_policies(self) -> None:
        listed = json.loads(self.ok("list", "policies", "--json"))
        self.assertLessEqual(POLICIES, {p["name"] for p in listed})
        table = self.ok("list", "policies")
        for policy in listed:
            self.assertIn(policy["information"], INFORMATION)
            self.assertIn("\n" + policy["name"] + " ", "\n" + table)
            for parameter in policy["parameters"]:
                self.assertTrue(parameter["unit"], parameter)
                self.assertLessEqual(parameter["least"], parameter["default"])
                self.assertLessEqual(parameter["default"], parameter["most"])

    def test_presets(self) -> None:
        for what, folder, needed in (("hardware", "hardware", "near.bandwidth"),
                                     ("models", "models", "kv_bytes_per_token_per_layer")):
            listed = {p["name"]: p for p in json.loads(self.ok("list", what, "--json"))}
            self.assertEqual(set(listed), {f.stem for f in (cli.SOURCE_DIR / "presets" / folder).glob("*.toml")})
            table = self.ok("list", what)
            for name, preset in listed.items():
                self.assertIn(name, table)
                self.assertTrue(preset["provenance"], name)
                self.assertRegex(str(preset[needed]), r"\d[kKMGT]?i?B(/s)?$")
        self.assertIn("fang2025", self.ok("list", "hardware"))

    def test_formats(self) -> None:
        listed = {f["name"]: f for f in json.loads(self.ok("list", "formats", "--json"))}
        self.assertLessEqual({"fang-csv", "fang-moe-csv", "topk-npy", "oracle-general", "sglang", "vllm"}, set(listed))
        self.assertEqual({n for n, f in listed.items() if f["export"]},
                         {"fang-csv", "fang-moe-csv", "topk-npy", "oracle-general"})
        self.assertEqual({n for n, f in listed.items() if not f["import"]}, {"oracle-general"})

    def test_help_and_version(self) -> None:
        self.assertRegex(self.ok("--version"), r"^kvplace \d+\.\d+")
        for verb in ("import", "info", "export", "compare", "replay", "list", "show-config", "demo"):
            self.assertIn(verb, self.ok("--help"))
            self.assertIn("Usage: kvplace " + verb, self.ok(verb, "--help"))


if __name__ == "__main__":
    unittest.main()
