"""kvplace advise and --workload: the answers beside sums by hand, their form, and what is refused."""

from __future__ import annotations

import json
import re
import unittest

import cli

POINT = {"batch", "buffer_blocks", "engine_buffer_blocks", "experts_near", "all_near", "engine", "best_policy", "bound",
         "spent"}


class AdviseTest(cli.CliTest):
    def advise(self, *arguments: object) -> dict:
        return self.json("advise", *arguments, "--quiet", "--time-limit", "100s", timeout=250)

    def refuses(self, words: str, *arguments: object) -> None:
        self.refused(self.run_cli(*arguments), cli.BAD_INPUT, words)


    def engine(self, name: str) -> dict:
        return next(engine for engine in json.loads(self.ok("list", "engines", "--json")) if engine["name"] == name)

    def check_crossover(self, advice: dict) -> None:
        """The least batch found at which tiering is faster than the most requests all near."""
        most = advice["most_all_near"]["tokens_per_s"]
        paying = [point["batch"] for point in advice["points"]
                  if point["batch"] > advice["requests_all_near"] and point["engine"] is not None
                  and point["engine"]["tokens_per_s"] > most]
        self.assertTrue(paying)
        self.assertGreater(advice["crossover_batch"], advice["requests_all_near"])
        self.assertLessEqual(advice["crossover_batch"], min(paying))


class Advise(AdviseTest):

    def test_a_deployment_of_dsa(self) -> None:
        advice = self.advise("--model", "deepseek-v3.2", "--hardware", "8xh200", "--context", "64K", "--output", "4K",
                             "--batch", "32", "--engine", "sglang-hisparse")
        near = advice["near"]
        self.assertEqual(near["memory_bytes"], sum(near[key] for key in near if key != "memory_bytes"))
        self.assertEqual(near["reserve_bytes"], 14_100_000_000)
        # 61 layers of 576 x 2 bytes, and of 132 bytes of index keys, for 69,632 tokens of 4 requests.
        self.assertEqual(advice["kv_bytes_per_request"], 61 * 1152 * 69632)
        self.assertEqual(near["selector_bytes"], 61 * 132 * 69632 * 4)
        # The most r on each of 8 GPUs for which KV and index keys fit beside weights and reserve.
        left = near["memory_bytes"] - near["reserve_bytes"] - near["weights_bytes"]
        self.assertEqual(advice["requests_all_near"], 8 * (left // (61 * (1152 + 132) * 69632)))
        # In far memory, 2 TiB for 8 GPUs, all KV; near 6,144 tokens and index keys of each.
        by_near = left // (61 * (1152 * 6144 + 132 * 69632))
        by_far = 2**41 // 8 // (61 * 1152 * 69632)
        self.assertEqual(advice["requests_tiered"], 8 * min(by_near, by_far))
        self.assertEqual([point["batch"] for point in advice["points"]], [8, 16, 32, 64, 128])
        for point in advice["points"]:
            self.assertEqual(set(point), POINT)
            self.assertAlmostEqual(sum(point["spent"].values()), point["engine"]["ms_per_token"], delta=1e-6)
            self.assertLessEqual(point["bound"]["ms_per_token"], point["best_policy"]["ms_per_token"] * (1 + 1e-9))
            self.assertLessEqual(point["best_policy"]["ms_per_token"], point["engine"]["ms_per_token"] * (1 + 1e-9))
            for speed in ("all_near", "engine", "best_policy", "bound"):
                if point[speed] is not None:
                    self.assertAlmostEqual(point[speed]["tokens_per_s"] * point[speed]["ms_per_token"] / 1e3, point["batch"],
                                           delta=1e-6)
            self.assertEqual(point["all_near"] is not None, point["batch"] <= advice["requests_all_near"])
        asked = advice["points"][2]
        tiered = float(self.engine("sglang-hisparse")["tiered_overhead"].removesuffix("us")) / 1e3
        self.assertAlmostEqual(asked["engine"]["ms_per_token"] - asked["all_near"]["ms_per_token"],
                               asked["spent"]["link"] + 61 * tiered, delta=0.1)
        self.check_crossover(advice)
        self.assertEqual(advice["crossover_batch"] % 8, 0)
        self.assertIn("--enable-hisparse", advice["settings"]["sglang"])
        self.assertIn('"device_buffer_size":6144', advice["settings"]["sglang"])
        self.assertTrue(advice["complete"])
        self.assertIn("context", advice["sensitivity"])

    def test_vllm_keeps_requests_near_until_memory_presses(self) -> None:
        advice = self.advise("--model", "deepseek-v3.2", "--hardware", "8xh200", "--context", "64K", "--output", "4K",
                             "--batch", "32", "--engine", "vllm-hisparse")
        for point in advice["points"]:
            if point["all_near"] is not None:
                self.assertAlmostEqual(point["engine"]["ms_per_token"], point["all_near"]["ms_per_token"], delta=1e-6)
            else:
                self.assertGreater(point["engine"]["ms_per_token"], 0)
        self.check_crossover(advice)
        flags = advice["settings"]["vllm"]
        transfer, attention = flags.split(" --attention-config ")
        self.assertIn("host_pool_gib", transfer.split("--kv-transfer-config ")[1])
        self.assertIn("HiSparseConnector", transfer)
        self.assertIn("device_buffer_size", attention)
        self.assertNotIn("host_pool_gib", attention)

    def test_an_ideal_engine_pays_though_the_most_requests_do_not(self) -> None:
        advice = self.advise("--model", "deepseek-v3.2", "--hardware", "8xh200", "--context", "64K", "--output", "4K",
                             "--batch", "64")
        self.check_crossover(advice)
        # Index keys of more requests than these leave no room for what a step reads of each.
        self.assertLess(advice["requests_tiered"], 440)
        self.assertIn("--kv-transfer-config", advice["settings"]["vllm"])

    def test_experts_on_the_host(self) -> None:
        advice = self.advise("--model", "gpt-oss-120b", "--hardware", "rtx5090-pcie5", "--context", "8K", "--batch", "1",
                             "--engine", "llama.cpp")
        self.assertEqual(advice["far_holds"], "experts")
        self.assertEqual(advice["requests_all_near"], 0)
        (point,) = (point for point in advice["points"] if point["batch"] == 1)
        self.assertGreater(point["experts_near"], 0)
        self.assertLess(point["experts_near"], 1)
        # Host: 4 of 128 experts in each of 36 layers, the far share of them, at the share of its memory's bandwidth that they reach.
        host = 36 * 4 * 13.23648e6 * (1 - point["experts_near"]) / (float(self.engine("llama.cpp")["far_efficiency"]) * 89.6e9) * 1e3
        self.assertAlmostEqual(point["spent"]["link"], host, delta=0.02 * host)
        on_host = int(re.search(r"--n-cpu-moe (\d+)", advice["settings"]["llama.cpp"])[1])
        self.assertEqual(on_host, -(-36 * (1 - point["experts_near"]) // 1))

    def test_a_little_too_little_for_all_kv_sends_experts_to_the_host(self) -> None:
        """Weights of 61.06 GB fit 90 % of the memory, and 864 MiB of KV beside them do not."""
        for capacity in ("68GB", "68.5GB", "70GB"):
            advice = self.advise("--model", "qwen3-30b-a3b", "--hardware", "rtx4090-pcie4", "--set",
                                 f"hardware.near.capacity={capacity}", "--context", "8K", "--engine", "llama.cpp")
            (point,) = (point for point in advice["points"] if point["batch"] == 1)
            self.assertIsNotNone(point["engine"])
            self.assertEqual(point["all_near"] is None, capacity != "70GB")
            self.assertEqual(point["experts_near"] < 1, capacity != "70GB")
            self.assertTrue(all(rate["plus_20_percent"] > 0 for rate in advice["sensitivity"].values()))

    def test_one_gpu_of_a_node_may_be_asked_for(self) -> None:
        flags = ("--model", "llama-3.1-8b", "--hardware", "8xh200", "--context", "8K")
        for given, gpus in (((), 8), (("--gpus", 1), 1), (("--set", "options.gpus=1"), 1), (("--gpus", 4), 4)):
            self.assertEqual(self.advise(*flags, *given)["deployment"]["gpus"], gpus)

    def test_what_does_not_serve_or_fit_is_said(self) -> None:
        text = self.ok("advise", "--model", "llama-3.1-8b", "--hardware", "8xh200", "--context", "8K", "--engine",
                       "sglang-hisparse", "--quiet")
        self.assertIn("sglang-hisparse keeps KV far of models with an indexer, which llama-3.1-8b has not", text)
        text = self.ok("advise", "--model", "deepseek-v3.2", "--hardware", "rtx4090-pcie4", "--context", "8K", "--quiet")
        self.assertIn("fits      no request: weights take 628 GiB, near memory has 22.4 GiB, far memory 128 GiB\n", text)
        text = self.ok("advise", "--model", "deepseek-v3.2", "--hardware", "8xh100", "--context", "8K", "--engine",
                       "ktransformers", "--quiet")
        self.assertIn("No bound and no policy but the split: traces of experts are of one GPU.", text)

    def test_weights_that_do_not_fit(self) -> None:
        advice = self.advise("--model", "llama-3.1-70b", "--hardware", "gh200-96", "--context", "128K")
        self.assertEqual(advice["far_holds"], "weights")
        (point,) = (point for point in advice["points"] if point["batch"] == 1)
        # All weights and all KV are read: what is not near comes over the slower of link and LPDDR.
        memory = 0.9 * 96e9
        weights = 141.107412992e9
        kv = 80 * 4096 * (131072 + 512)
        far = 80 * 1.7113088e9 * (1 - memory / weights) + kv
        self.assertAlmostEqual(point["engine"]["ms_per_token"], far / 384e9 * 1e3, delta=0.02 * far / 384e9 * 1e3)

    def test_a_trace_of_ones_own(self) -> None:
        advice = self.advise("--model", "smollm2-135m", "--hardware", "rtx4090-pcie4", "--trace",
                             cli.BUNDLED)
        self.assertFalse(advice["synthetic"])
        self.assertEqual(advice["layers"], advice["trace_layers"])
        self.assertEqual(advice["deployment"]["context"], 4096)

    def test_a_target_of_each_request(self) -> None:
        advice = self.advise("--model", "llama-3.1-8b", "--hardware", "h100-sxm-pcie5", "--context", "8K", "--batch", "4",
                             "--engine", "vllm", "--target", "100tokens/s")
        batch = advice["target_batch"]
        again = self.advise("--model", "llama-3.1-8b", "--hardware", "h100-sxm-pcie5", "--context", "8K", "--batch",
                            str(batch), "--engine", "vllm")
        at = {point["batch"]: point["engine"] for point in again["points"]}
        self.assertLessEqual(at[batch]["ms_per_token"], 10)

    def test_the_text_is_one_screen(self) -> None:
        text = self.ok("advise", "--model", "llama-3.1-8b", "--hardware", "rtx4090-pcie4", "--context", "32K", "--batch",
                            "2", "--engine", "vllm", "--quiet", "--time-limit", "200s", timeout=250)
        self.assertLess(len(text.splitlines()), 45)
        self.assertIn("all KV near", text)

    def test_bad_input_is_one_sentence(self) -> None:
        model = ("--model", "llama-3.1-8b")
        for arguments, words in [
            (("--context", "8K"), "--model"),
            (model, "--context"),
            ((*model, "--context", "8KB"), "--context"),
            ((*model, "--context", "8K", "--near-fraction", "0.5"), "--near-capacity"),
            ((*model, "--context", "8K", "--engine", "vlm"), "vllm"),
            ((*model, "--context", "8K", "--target", "90%"), "--target"),
            ((*model, "--context", "8K", "--workload", "nonsense"), "workload"),
            ((*model, "--context", "8K", "--workload", "experts"), "llama-3.1-8b has no routed experts"),
            ((*model, "--context", "8K", "--gpus", "3", "--attention-tp", "3"), "heads"),
            ((*model, "--context", "8K", "--set", "engine.kv_efficiency=2"), "kv_efficiency"),
        ]:
            self.refuses(words, "advise", *arguments, "--quiet")


class Workloads(AdviseTest):
    def test_dense_split_by_hand(self) -> None:
        """Llama-3.1-70B on one H200, 32K, batch 4, half of the KV far: 107 ms per token, 10.0 with all near."""
        comparison = json.loads(self.ok(
            "compare", "--workload", "dense", "--model", "llama-3.1-70b", "--hardware", "h200-sxm-pcie5", "--context", "32K",
            "--batch", "4", "--near-fraction", "0.5", "--overlap", "none", "--policy", "static", "--json", "--quiet",
            "--set", "hardware.figures=measured", "--set", "hardware.far.link_read_measured=55GB/s"))
        tokens = 4 * comparison["instance"]["steps"]
        self.assertAlmostEqual(comparison["results"][0]["total_s"] / tokens, 0.107, delta=0.002)
        self.assertAlmostEqual(comparison["bounds"]["all_near_s"] / tokens, 0.0100, delta=0.0002)
        self.assertEqual(comparison["manifest"]["inputs"][0]["file"], "workload dense")

    def test_other_verbs_take_one(self) -> None:
        common = ("--workload", "quest", "--model", "llama-3.1-8b", "--context", "4K", "--steps", "16", "--near-fraction",
                  "0.3", "--quiet", "--json")
        self.assertIn("answers", self.ok("size", *common, "--target", "90%", "--policy", "lru"))
        proof = json.loads(self.ok("bound", *common, "-o", "w.cert"))
        self.assertGreater(proof["bound_s"], 0)

    def test_what_is_refused(self) -> None:
        self.refuses("--model", "compare", "--workload", "dense")
        self.refuses("two traces", "compare", cli.BUNDLED, "--workload", "dense")
        self.refuses("--workload", "compare", cli.BUNDLED, "--context", "4K")


class Notes(AdviseTest):
    def test_a_buffer_that_holds_no_block_warns(self) -> None:
        trace = cli.BUNDLED
        text = self.ok("compare", trace, "--near-capacity", "1000B", "--policy", "lru")
        self.assertIn("holds no block", text)
        self.assertIn("all is read from far", text)
        text = self.ok("compare", trace, "--near-capacity", "40KiB", "--policy", "lru")
        self.assertIn("policies with a buffer per layer keep nothing", text)
        text = self.ok("compare", trace, "--near-blocks-per-layer", "1", "--policy", "lru")
        self.assertNotIn("holds no block", text)

    def test_a_model_that_nobody_knows_does_not_matter(self) -> None:
        source = self.write("t.csv", 'n,l,read_kv\n0,0,"[0]"\n1,0,"[1]"\n')
        trace = "t.kvt"
        self.ok("import", source, "-o", trace, "--format", "fang-csv", "--prompt-tokens", "4", "--model",
                     "some/where-else")
        self.ok("info", trace)
        self.ok("compare", trace, "--block-bytes", "1000", "--near-capacity", "1000B")
        self.ok("show-config", trace, "--block-bytes", "1000", "--near-capacity", "1000B")
        self.ok("compare", trace, "--model", "llama-3.1-8b")
        self.refuses("some/where-else", "compare", trace)


if __name__ == "__main__":
    unittest.main()
