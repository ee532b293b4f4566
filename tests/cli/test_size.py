"""size: its JSON against comparisons of the command itself, its targets, and what it refuses."""

from __future__ import annotations

import json
import shlex
import unittest

import cli

LAYERS, STEPS, PROMPT = 3, 50, 40
FLAGS = ("--block-bytes", "4kB", "--weight-bytes-per-step", 0, "--set", "hardware.far.link_read=60GB/s", "--set",
         "hardware.far.link_write=60GB/s")
PROBE_KEYS = {"value", "near_capacity_bytes", "link_bytes_per_s", "batch", "total_s", "tokens_per_s", "reached"}


class Size(cli.CliTest):
    def setUp(self) -> None:
        super().setUp()
        self.trace = self.make_trace("t.kvt", cli.random_rows(5, LAYERS, STEPS, PROMPT), PROMPT)

    def size(self, *flags: object) -> dict:
        return self.json("size", self.trace, *FLAGS, *flags)

    def test_keys_and_brackets(self) -> None:
        found = self.size("--target", "80%", "--near-blocks-per-layer", 10)
        self.assertLessEqual({"manifest", "instance", "target", "find", "status", "range", "all_near_tokens_per_s",
                              "answers", "engine_settings"}, set(found))
        self.assertEqual(found["status"], "complete")
        self.assertEqual(found["range"], {"least": 0, "most": 4000 * LAYERS * (PROMPT + STEPS),
                                          "most_because": "everything-near"})
        self.assertEqual(found["target"], "80% of all-near")
        self.assertEqual([a["policy"] for a in found["answers"]][:2], ["lru", "lru-global"])
        self.assertEqual([a["certified"] for a in found["answers"]], [False] * (len(found["answers"]) - 1) + [True])
        for answer in found["answers"]:
            with self.subTest(policy=answer["policy"]):
                values = [probe["value"] for probe in answer["brackets"]]
                self.assertEqual(values, sorted(values))
                self.assertEqual(set(answer["answer"]), PROBE_KEYS)
                self.assertIn(answer["answer"], answer["brackets"])
                self.assertIn(answer["neighbour"], answer["brackets"])
                self.assertEqual(answer["ended_by"], "target")
                self.assertTrue(answer["answer"]["reached"])
                self.assertFalse(answer["neighbour"]["reached"])
                self.assertLess(answer["neighbour"]["value"], answer["answer"]["value"])
                for key, value in answer["worth"].items():
                    self.assertEqual(value is None, key == "capacity_price_s_per_gib" and not answer["certified"], key)
        bound = found["answers"][-1]["answer"]
        for answer in found["answers"][:-1]:
            self.assertLessEqual(bound["value"], answer["answer"]["value"])

    def test_answers_are_what_compare_says(self) -> None:
        reference = self.json("compare", self.trace, *FLAGS, "--near-blocks-per-layer", 10, "--policy", "lru")
        all_near = STEPS / reference["bounds"]["all_near_s"]
        found = self.size("--target", "80%", "--find", "near-capacity", "--policy", "lru-global")
        self.assertAlmostEqual(found["all_near_tokens_per_s"], all_near)
        answer = found["answers"][0]
        for probe in (answer["answer"], answer["neighbour"]):
            compared = self.results(self.trace, *FLAGS, "--near-capacity", f"{probe['value']:.0f}B", "--policy",
                                    "lru-global")["lru-global"]
            self.assertEqual(compared["total_s"], probe["total_s"])
            self.assertEqual(compared["tokens_per_s"], probe["tokens_per_s"])
            self.assertEqual(probe["reached"], probe["tokens_per_s"] >= 0.8 * all_near)
        worth = answer["worth"]
        one_more = self.results(self.trace, *FLAGS, "--near-capacity", f"{answer['answer']['value']:.0f}B", "--policy",
                                "lru-global", "--set", "hardware.far.link_read=61GB/s", "--set",
                                "hardware.far.link_write=61GB/s")["lru-global"]
        self.assertAlmostEqual(worth["gb_s_link_tokens_per_s"] / (one_more["tokens_per_s"] -
                                                                  answer["answer"]["tokens_per_s"]), 1, places=6)
        everything = self.results(self.trace, *FLAGS, "--near-fraction", 1, "--policy", "lru-global")["lru-global"]
        self.assertAlmostEqual(worth["gib_near_tokens_per_s"] / (everything["tokens_per_s"] -
                                                                 answer["answer"]["tokens_per_s"]), 1, places=9)

    def test_certified_side_is_what_bound_says(self) -> None:
        found = self.size("--target", "80%", "--policy", "lru")["answers"][-1]
        for probe in (found["answer"], found["neighbour"]):
            proven = self.json("bound", self.trace, *FLAGS, "--near-capacity", f"{probe['value']:.0f}B", "--start", "free",
                               "-o", "t.cert")
            self.assertEqual(proven["bound_s"], probe["total_s"])

    def test_every_find(self) -> None:
        near = ("--near-blocks-per-layer", 30)
        link = self.size("--target", "60%", "--find", "link", *near)["answers"][0]
        self.assertEqual(link["answer"]["value"], link["answer"]["link_bytes_per_s"])
        self.assertLess(link["answer"]["value"] / link["neighbour"]["value"], 1.0011)
        buffer = self.size("--target", "80%", "--find", "buffer")
        self.assertEqual([a["policy"] for a in buffer["answers"]], ["lru", "kvplace-budgets", "(certified)"])
        self.assertEqual(buffer["answers"][0]["answer"]["value"] - buffer["answers"][0]["neighbour"]["value"], 1)
        # Requests share the weights: two are nearly twice as fast as one.
        heavy = ("size", self.trace, "--block-bytes", "4kB", "--weight-bytes-per-step", "1GB", "--find", "batch",
                 "--near-capacity", "1GB", "--policy", "lru")
        rate = self.json(*heavy, "--target", "1%")["all_near_tokens_per_s"]
        least = self.json(*heavy, "--target", f"{1.9 * rate}tokens/s")["answers"][0]
        self.assertEqual((least["answer"]["batch"], least["neighbour"]["batch"]), (2, 1))
        largest = self.size("--target", "80%", "--find", "batch", "--near-capacity", "2MB")["answers"][0]
        self.assertGreater(largest["neighbour"]["value"], largest["answer"]["value"])

    def test_what_ends_a_batch(self) -> None:
        kv = 4000 * LAYERS * (PROMPT + STEPS)
        near = 4000 * LAYERS * 20  # of each request
        ask = ("--find", "batch", "--policy", "lru")
        for because, most, words, flags in (
                ("far-memory", 12, "far memory holds",
                 ("--near-capacity", "100MB", "--set", f"hardware.far.capacity={12 * kv + 5000}B")),
                ("near-memory", 7, "near memory has room for",
                 ("--near-blocks-per-layer", 20, "--set", f"hardware.near.capacity={7 * near + 5000}B")),
                ("search-limit", 2**20, "is tried",
                 ("--near-capacity", "100MB", "--set", "hardware.far.capacity=1000000GB"))):
            with self.subTest(because=because):
                # So little is asked for that as many as may be reach it.
                found = self.size(*ask, "--target", "0.001%", *flags)
                self.assertEqual(found["range"], {"least": 1, "most": most, "most_because": because})
                self.assertEqual([a["answer"]["batch"] for a in found["answers"]], [most, most])
                self.assertEqual({a["ended_by"] for a in found["answers"]}, {"range"})
                self.assertIn(words, self.ok("size", self.trace, *FLAGS, *ask, "--target", "0.001%", *flags))
                # And so much that none does.
                found = self.size(*ask, "--target", "1e15tokens/s", *flags)
                self.assertEqual([a["answer"] for a in found["answers"]], [None, None])
                self.assertEqual(found["answers"][1]["brackets"][-1]["batch"], most)
                text = self.ok("size", self.trace, *FLAGS, *ask, "--target", "1e15tokens/s", *flags)
                self.assertRegex(text, r"\(certified\): no policy reaches the target with a batch of 1, 2.*" + words)

    def test_experts_compete_for_near_memory(self) -> None:
        """A target that compare reaches is reached, and one that nothing reaches is said to be with everything near."""
        lines = ["query_id,token_id,layer_id,experts,attention"]
        rows = cli.random_rows(7, LAYERS, 30, PROMPT)
        for t, layers in enumerate(rows):
            for l, ids in enumerate(layers):
                lines.append(f'0,{t},{l},"[{(t + l) % 4}, {4 + t % 3}]","{sorted(ids)}"')
        self.write("moe.csv", "\n".join(lines) + "\n")
        self.ok("import", "moe.csv", "-o", "moe.kvt", "--format", "fang-moe-csv", "--prompt-tokens", PROMPT)
        moe = ("moe.kvt", *FLAGS, "--model", "mixtral-8x7b", "--set", "model.experts.bytes_per_expert=1MB", "--policy",
               "lru")
        everything = self.json("compare", *moe, "--near-fraction", 1)
        share = everything["bounds"]["all_near_s"] / everything["results"][0]["total_s"]
        for target, reached in ((0.9 * share, True), (1.01 * share, False)):
            with self.subTest(reached=reached):
                found = self.json("size", *moe, "--near-capacity", "1GB", "--target", f"{100 * target}%")
                answer = found["answers"][0]
                self.assertEqual(answer["answer"] is not None, reached)
                for probe in filter(None, (answer["answer"], answer["neighbour"])):
                    compared = self.results(*moe, "--near-capacity", f"{probe['value']:.0f}B")["lru"]
                    self.assertEqual(compared["total_s"], probe["total_s"])
                    self.assertEqual(probe["reached"], compared["total_s"] * target <= everything["bounds"]["all_near_s"])
        text = self.ok("size", *moe, "--near-capacity", "1GB", "--target", "1000%")
        self.assertRegex(text, r"\(certified\): no policy reaches the target even with [0-9.]+ MiB, which hold all KV and "
                               r"all experts\.")

    def test_time_limit(self) -> None:
        """The brackets so far hold, whatever they are, and say what is open."""
        instance = (cli.BUNDLED, "--hardware", "h100-sxm-pcie5", "--weight-bytes-per-step", 0)
        ran = self.run_cli("size", *instance, "--target", "80%", "--policy", "lru", "--policy", "clock", "--time-limit",
                           "1s", "--json")
        if ran.code != cli.DONE and not ran.out:  # a slow machine: not even the all-near speed was known
            self.refused(ran, cli.LIMIT_REACHED, "time limit")
            return
        self.assertEqual(ran.code, cli.LIMIT_REACHED, ran)
        found = json.loads(ran.out)
        self.assertEqual(found["status"], "time_limit")
        self.assertEqual(found["answers"][-1]["ended_by"], "time_limit")
        for answer in found["answers"]:
            self.assertIsNone(answer["worth"])
            for probe, reached in ((answer["answer"], True), (answer["neighbour"], False)):
                if probe is not None:
                    self.assertIn(probe, answer["brackets"])
                    self.assertEqual(probe["reached"], reached)
                    if not answer["certified"]:
                        compared = self.results(*instance, "--near-capacity", f"{probe['value']:.0f}B", "--policy",
                                                answer["policy"])[answer["policy"]]
                        self.assertEqual(compared["total_s"], probe["total_s"])

    def test_crossover(self) -> None:
        # Two requests fit; their weights are shared, so that more are faster if the link is.
        kv = 4000 * LAYERS * (PROMPT + STEPS)
        found = self.json("size", self.trace, "--block-bytes", "4kB", "--weight-bytes-per-step", "1MB", "--target", "50%",
                          "--near-capacity", f"{2 * kv + 1000}B", "--crossover", "--policy", "lru")
        self.assertEqual(found["all_near_batch"], 2)
        answer = found["answers"][0]
        self.assertGreater(answer["crossover"]["tokens_per_s"], found["all_near_batch_tokens_per_s"])
        self.assertGreaterEqual(answer["crossover"]["batch"], 3)
        self.assertIn(answer["crossover"], answer["crossover_brackets"])

    def test_cost(self) -> None:
        prices = ("--price-near", 1000, "--price-link", 1)
        found = self.size("--target", "cost=50", *prices, "--policy", "lru")
        self.assertEqual(found["find"], "near-capacity and link")
        answer, bound = found["answers"]
        cost = answer["answer"]["near_capacity_bytes"] / 2**30 * 1000 + answer["answer"]["link_bytes_per_s"] / 1e9
        self.assertLessEqual(cost, 50 * (1 + 1e-9))
        self.assertLessEqual(answer["answer"]["tokens_per_s"], bound["answer"]["tokens_per_s"])
        self.assertEqual(answer["answer"]["total_s"], min(probe["total_s"] for probe in answer["brackets"]))

    def test_out_of_reach(self) -> None:
        found = self.size("--target", "1000%", "--near-blocks-per-layer", 10, "--find", "link", "--policy", "lru")
        for answer in found["answers"]:
            self.assertIsNone(answer["answer"])
            self.assertIsNone(answer["worth"])
        self.assertIsNone(found["engine_settings"])
        self.assertEqual(found["no_engine_settings"], "lru has no answer")
        text = self.ok("size", self.trace, *FLAGS, "--target", "1000%", "--find", "link", "--policy", "lru")
        self.assertIn("out of reach", text)
        self.assertIn("no policy reaches the target", text)

    def test_settings_for_engines_only_where_they_serve_the_model(self) -> None:
        found = self.size("--target", "80%", "--near-blocks-per-layer", 10, "--policy", "lru")
        self.assertIsNone(found["engine_settings"])
        self.assertIn("DeepSeek sparse attention", found["no_engine_settings"])
        text = self.ok("size", self.trace, *FLAGS, "--target", "80%", "--policy", "lru")
        self.assertIn("no settings for engines: HiSparse serves models with DeepSeek sparse attention", text)
        self.assertNotIn("--enable-hisparse", text)
        self.ok("generate", "dsa-32k", "--layers", 2, "--steps", 6, "--prompt-tokens", 4096, "-o", "dsa.kvt")
        flags = ("dsa.kvt", "--model", "deepseek-v3.2", "--weight-bytes-per-step", 0, "--near-blocks-per-layer", 100,
                 "--hardware", "h100-sxm-pcie5", "--target", "80%", "--find", "buffer", "--policy", "lru")
        found = self.json("size", *flags)
        settings = found["engine_settings"]
        self.assertIsNone(found["no_engine_settings"])
        self.assertEqual(settings["top_k"], 2048)
        self.assertEqual(settings["device_buffer_size"], max(2048, found["answers"][0]["answer"]["value"]))
        self.assertIn("--disaggregation-mode decode", settings["sglang"])
        self.assertIn(f'"device_buffer_size":{settings["device_buffer_size"]}', settings["sglang"])
        transfer, connector, attention, hisparse = shlex.split(settings["vllm"])
        self.assertEqual((transfer, attention), ("--kv-transfer-config", "--attention-config"))
        self.assertEqual(json.loads(connector), {
            "kv_connector": "HiSparseConnector", "kv_role": "kv_both",
            "kv_connector_extra_config": {"host_pool_gib": settings["host_pool_gib"]}})
        self.assertEqual(json.loads(hisparse),
                         {"hisparse_config": {"device_buffer_size": settings["device_buffer_size"]}})

    def test_threads_change_nothing(self) -> None:
        one, two = (self.ok("size", self.trace, *FLAGS, "--target", "80%", "--threads", threads, "--json")
                    for threads in (1, 2))
        self.assertEqual(one, two)

    def test_bad_input(self) -> None:
        def refused(fragments: tuple, *arguments: object) -> None:
            self.refused(self.run_cli("size", self.trace, *FLAGS, *arguments), cli.BAD_INPUT, *fragments)

        refused(("--target",))
        for target in ("120", "0%", "-3%", "fast", "cost=0", "tokens/s", "5000%"):
            refused(("target", target), f"--target={target}")
        refused(("near-capacity", "buffer"), "--target", "80%", "--find", "memory")
        refused(("--price-near",), "--target", "cost=10")
        refused(("--find",), "--target", "cost=10", "--price-near", 1, "--price-link", 1, "--find", "link")
        refused(("lru-global", "no buffer per layer"), "--target", "80%", "--find", "buffer", "--policy", "lru-global")
        refused(("best-case",), "--target", "80%", "--policy", "best-case")
        refused(("tolerance",), "--target", "80%", "--tolerance", 2)
        refused(("--start free",), "--target", "80%", "--start", "free", "--policy", "lru")
        refused(("nearest",), "--target", "80%", "--policy", "lrv")
        refused(("has no rankings",), "--target", "80%", "--policy", "score-rank")
        refused(("--price-near", "cost"), "--target", "80%", "--price-near", 3)
        refused(("time limit",), "--target", "80%", "--time-limit", "0s")


if __name__ == "__main__":
    unittest.main()
