"""Models from a config.json, the dtype of the KV cache, weights by batch and several GPUs, through the command."""

from __future__ import annotations

import json
import os
import re
import shutil
import unittest

import cli

CONFIGS = cli.SOURCE_DIR / "tests/data/configs"
LAYERS, STEPS, PROMPT = 80, 4, 256


class DeploymentTest(cli.CliTest):
    """Traces of a few steps; every block is read in each of them."""

    def dense_trace(self, layers: int, block_tokens: int, prompt_tokens: int, steps: int = STEPS) -> str:
        blocks = prompt_tokens // block_tokens + 1
        return self.make_trace(f"d{layers}.kvt", [[list(range(blocks))] * layers] * steps, prompt_tokens, block_tokens)

    def instance(self, trace: str, *arguments: object) -> dict:
        return self.json("compare", trace, "--policy", "static", *arguments)["instance"]


class Models(DeploymentTest):
    def test_a_folder_a_file_and_toml_are_one_model(self) -> None:
        folder = self.path("my-model")
        shutil.copytree(CONFIGS / "qwen3-30b-a3b", folder)
        trace = self.dense_trace(48, 64, PROMPT)
        self.write("run.toml", 'model = "my-model"\n')
        by_folder = self.ok("show-config", trace, "--model", "my-model", "--near-fraction", 0.5)
        self.assertIn('name = "my-model"', by_folder)
        self.assertEqual(self.ok("show-config", trace, "--model", "my-model/config.json", "--near-fraction", 0.5), by_folder)
        self.assertEqual(self.ok("show-config", trace, "--config", "run.toml", "--near-fraction", 0.5), by_folder)
        # What it prints runs again, without the folder.
        self.write("shown.toml", by_folder)
        shutil.rmtree(folder)
        self.assertEqual(self.ok("show-config", "--config", "shown.toml"), by_folder)

    def test_no_such_model(self) -> None:
        os.mkdir(self.path("none"))
        self.refused(self.run_cli("model", "none"), cli.BAD_INPUT, "none/config.json")
        self.refused(self.run_cli("model", "x.json"), cli.BAD_INPUT, "x.json")
        self.write("bert.json", '{"model_type": "bert"}')
        self.refused(self.run_cli("model", "bert.json"), cli.BAD_INPUT, "no known family", "[[layer]] tables",
                     "docs/deployments.md")
        self.refused(self.run_cli("model", "glm-5", "--set", "hardware.name=x"), cli.BAD_INPUT, "no field of a model")

    def test_the_text_shows_groups_of_layers(self) -> None:
        text = self.ok("model", CONFIGS / "gpt-oss-120b")
        self.assertRegex(text, r"parameters +116,829,156,672")
        self.assertRegex(text, r"0-34/2 +18 window 128")
        self.assertRegex(text, r"1-35/2 +18 full ")
        self.assertRegex(text, r"windows +4\.50 MiB of a request")


class KvDtype(DeploymentTest):
    def test_it_decides_the_size_always(self) -> None:
        trace = self.dense_trace(80, 64, PROMPT)
        sizes = {}
        for model in ("llama-3.1-70b", CONFIGS / "llama-3.1-70b"):
            for flags in ([], ["--kv-dtype", "fp8"], ["--set", "model.attention.dtype=fp8"], ["--kv-dtype", "int8"],
                          ["--kv-dtype", "nvfp4"]):
                found = self.instance(trace, "--model", model, "--near-fraction", 0.5, *flags)
                sizes[str(model), " ".join(flags)] = found["block_bytes"]
                shown = found["model"]
                self.assertEqual(shown["kv_bytes_per_token_per_layer"],
                                 {4096: "4KiB", 2048: "2KiB", 1152: "1152B"}[found["block_bytes"] // 64])
        self.assertEqual(sorted(sizes.values()), [1152 * 64] * 2 + [2048 * 64] * 6 + [4096 * 64] * 2)
        rows = self.json("model", CONFIGS / "deepseek-v3", "--kv-dtype", "fp8-flashmla")
        self.assertEqual(rows["kv_bytes_per_token"], 61 * 656)

    def test_it_is_an_error_where_it_cannot_decide(self) -> None:
        trace = self.dense_trace(4, 64, PROMPT)
        near = ("--near-fraction", 0.5)
        self.refused(self.run_cli("compare", trace, "--kv-dtype", "fp8", *near), cli.BAD_INPUT, "needs a model")
        self.refused(self.run_cli("compare", trace, "--kv-dtype", "fp8", "--block-bytes", 4096, *near), cli.BAD_INPUT,
                     "needs a model")
        self.refused(self.run_cli("compare", trace, "--model", "qwen3-8b", "--kv-dtype", "fp8", "--block-bytes", 4096, *near),
                     cli.BAD_INPUT, "give one of them")
        self.refused(self.run_cli("compare", trace, "--model", "qwen3-8b", "--kv-dtype", "fp8-flashmla", *near),
                     cli.BAD_INPUT, "fp8-flashmla")
        self.refused(self.run_cli("compare", trace, "--model", "qwen3-8b", "--kv-dtype", "fp7", *near), cli.BAD_INPUT,
                     "none of fp32")

    def test_sizes_with_decimals(self) -> None:
        trace = self.dense_trace(4, 64, PROMPT)
        found = self.instance(trace, "--block-bytes", 4096, "--near-capacity", "5.38GiB")
        self.assertEqual(found["near_capacity_bytes_per_request"], 5_776_731_013)


class Weights(DeploymentTest):
    FP8 = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}

    def deepseek_r1(self) -> str:
        config = json.loads((CONFIGS / "deepseek-v3/config.json").read_text(encoding="utf-8"))
        return self.write("r1.json", json.dumps({**config, **self.FP8}))

    def test_deepseek_r1_on_eight_h200(self) -> None:
        """Weights alone at 38.4 TB/s: 4.2 and 15.2 ms of the 12.8 and 34.6 ms that are published."""
        trace = self.dense_trace(61, 64, PROMPT)
        model = self.deepseek_r1()
        for batch, experts, milliseconds in ((1, 8, 0.98), (8, 57.4, 4.2), (64, 222.4, 15.2)):
            found = self.instance(trace, "--hardware", "8xh200", "--model", model, "--gpus", 8, "--batch", batch)
            share = found["deployment"]
            self.assertAlmostEqual(share["distinct_experts_per_step"], experts, delta=0.05)
            self.assertAlmostEqual(found["weight_bytes_per_step"] * 61 / 4.8e12 * 1e3, milliseconds, delta=0.05)

    def test_compare_bound_and_size_charge_them(self) -> None:
        trace = self.dense_trace(48, 64, PROMPT)
        base = ("--hardware", "h200-sxm-pcie5", "--model", "qwen3-30b-a3b", "--near-fraction", 1)
        dense, expert, bandwidth = 19140864 * 2, 9 * 2**20, 4.8e12
        for batch in (1, 4, 32):
            distinct = 128 * (1 - (1 - 8 / 128) ** batch)
            step = (dense + expert * distinct) / bandwidth
            kv = batch * 2048 * (5 * 64 + 1) / bandwidth  # five blocks, and the new token
            wanted = STEPS * 48 * (step + kv)
            told = self.json("compare", trace, *base, "--batch", batch, "--policy", "static", "--bound")
            self.assertAlmostEqual(told["bounds"]["all_near_s"] / wanted, 1, delta=2e-3)
            # The bound is of the same traffic: far serves a little beside near.
            self.assertGreater(told["bounds"]["certified_s"], 0.9 * wanted)
            self.assertLessEqual(told["bounds"]["certified_s"], told["results"][0]["total_s"] * (1 + 1e-9))
        # A rate that the largest batch reaches and the smallest does not: the search charges each batch its own weights.
        reached = self.json("size", trace, *base[:-2], "--near-capacity", "60GB", "--find", "batch",
                            "--target", "2000tokens/s", "--policy", "lru")
        answer = reached["answers"][0]["answer"]
        batch = answer["batch"]
        distinct = 128 * (1 - (1 - 8 / 128) ** batch)
        least = STEPS * 48 * (dense + expert * distinct) / bandwidth
        self.assertLessEqual(answer["tokens_per_s"], STEPS * batch / least)
        alone = self.json("compare", trace, *base[:-2], "--near-capacity", "60GB", "--batch", batch, "--policy", "lru")
        self.assertAlmostEqual(alone["results"][0]["tokens_per_s"] / answer["tokens_per_s"], 1, delta=1e-9)

    def test_llama_70b_with_half_of_its_kv_behind_pcie(self) -> None:
        """One H200, 32K, batch 4, dense: about 107 ms per token with half of the KV far over 55 GB/s, 10.0 all near."""
        trace = self.dense_trace(LAYERS, 4096, 32768, steps=2)
        told = self.json("compare", trace, "--hardware", "h200-sxm-pcie5", "--model", CONFIGS / "llama-3.1-70b",
                         "--set", "hardware.far.link_read=55GB/s", "--set", "hardware.near.bandwidth=4475GB/s",
                         "--batch", 4, "--overlap", "none", "--near-blocks-per-layer", 4, "--start", "recent",
                         "--policy", "static")
        tokens = 2 * 4
        self.assertAlmostEqual(told["bounds"]["all_near_s"] / tokens * 1e3, 10.0, delta=0.4)
        # Of 8 blocks of the prompt 4 are near; the newest is appended to, and near in any case.
        self.assertAlmostEqual(told["results"][0]["total_s"] / tokens * 1e3, 107, delta=6)


class UnlikeLayers(DeploymentTest):
    GLM = ("--hardware", "8xb300", "--model", "glm-5.2", "--kv-dtype", "fp8", "--gpus", 8, "--attention-dp", 8,
           "--expert-parallel", "--batch", 64)

    def test_a_layer_stands_for_those_that_share_its_choice(self) -> None:
        """GLM-5.2 has 21 indexers for 78 layers: 47,700 bytes of a token (published: 47,702), their keys included."""
        trace = self.dense_trace(21, 64, PROMPT)
        flags = (*self.GLM, "--near-blocks-per-layer", 3)
        self.assertIn("layers    the 21 of glm-5.2 with an indexer, each with those that read what it picks (57 more)\n",
                      self.ok("compare", trace, *flags, "--policy", "lru"))
        self.assertIn("# the trace's layers: the 21 of glm-5.2", self.ok("show-config", trace, *flags))
        found = self.instance(trace, *flags)
        self.assertEqual(sum(found["block_bytes"]) // 64 + 21 * 132, 47700)
        self.assertEqual({size // 64 // 576 for size in found["block_bytes"]}, {1, 4})
        self.assertEqual(found["near_capacity_bytes_per_request"], 3 * sum(found["block_bytes"]))
        self.assertEqual(found["deployment"]["near"]["other_kv_bytes"], 0)
        self.assertEqual(found["notes"], [])
        # Nothing is left of the three blocks of each layer, whatever their size.
        results = self.results(trace, *flags, "--policy", "lru", "--policy", "static")
        self.assertEqual({r["peak_near_blocks"] for r in results.values()}, {3 * 21})

    def test_requests_whose_kv_is_near_have_index_keys_too(self) -> None:
        """What a GPU has left, through what a request takes: its KV in 78 layers and 21 index keys of each token."""
        trace = self.dense_trace(21, 64, 33000 // 64 * 64, steps=1)
        left = self.instance(trace, *self.GLM)["deployment"]["near"]
        of_request = (78 * 576 * 64 * (33000 // 64 + 1)) + 21 * 132 * (33000 // 64 * 64 + 1)
        sized = self.json("size", trace, *self.GLM, "--target", "50%", "--policy", "lru", "--crossover")
        self.assertEqual(sized["all_near_batch"], 8 * ((left["kv_bytes"] + left["selector_bytes"]) // of_request))

    def test_index_keys_fill_a_pool_as_kv_does(self) -> None:
        """143.2 GB hold 78.6 requests of 32K + 1K tokens with 78 indexers, 91.0 with 21 (published: 79 and 91)."""
        for model, layers, of_token, requests in (("glm-5", 78, 55224, 78), ("glm-5.2", 21, 47700, 91)):
            prompt = 32896  # and the token of the step: 32,960 of whole blocks
            trace = self.dense_trace(layers, 64, prompt, steps=1)
            sized = self.json("size", trace, "--model", model, "--kv-dtype", "fp8", "--near-capacity", "143.2GB", "--target",
                              "50%", "--find", "batch", "--policy", "lru", "--crossover")
            keys = (78 if model == "glm-5" else 21) * 132
            of_request = (of_token - keys) * (prompt + 64) + keys * (prompt + 1)
            self.assertEqual(sized["all_near_batch"], 143_200_000_000 // of_request)
            self.assertEqual(sized["all_near_batch"], requests)
            # What is left of the pool for the KV of more requests: of those, KV is far.
            answer = sized["answers"][0]["crossover"]
            if answer is not None:
                self.assertGreater(answer["batch"], requests)

    def test_fixed_traffic_grows_with_the_context(self) -> None:
        """Index keys of 132 bytes are read of the whole context: a step later of one token more."""
        trace = self.dense_trace(21, 64, PROMPT, steps=2)
        told = self.json("bound", trace, *self.GLM, "--near-blocks-per-layer", 3, "-o", "c.cert")
        verified = self.json("verify", trace, "c.cert")
        self.assertEqual(verified["bound_exact"], told["bound_exact"])
        fixed = verified["certificate"]["fixed_bytes"]
        self.assertEqual([near for near, *_ in (layer for layer in fixed)][0][1], 8 * 132)
        self.assertEqual(len(fixed), 21)
        self.refused(self.run_cli("budgets", trace, *self.GLM, "--near-blocks-per-layer", 3, "-o", "b.toml"),
                     cli.BAD_INPUT, "blocks of one size", "--block-bytes")

    def test_weights_count_the_tokens_of_a_step(self) -> None:
        for tokens in (1, 4):
            self.ok("generate", "quest-64k", "-o", "t.kvt", "--layers", 48, "--prompt-tokens", 4096, "--steps", 8,
                    "--tokens-per-step", tokens)
            found = self.instance("t.kvt", "--hardware", "h200-sxm-pcie5", "--model", CONFIGS / "qwen3-30b-a3b", "--batch",
                                  2, "--near-blocks-per-layer", 100)
            self.assertAlmostEqual(found["deployment"]["distinct_experts_per_step"],
                                   128 * (1 - (1 - 8 / 128)**(2 * tokens)))
            self.assertEqual((found["steps"], found["tokens"]), (8, 8 * tokens))


class Gpus(DeploymentTest):
    def test_the_head_is_a_sum(self) -> None:
        trace = self.dense_trace(78, 64, PROMPT)
        out = self.ok("compare", trace, "--hardware", "8xh200", "--model", "glm-5.2", "--kv-dtype", "fp8", "--gpus", 8,
                      "--attention-dp", 8, "--expert-parallel", "--batch", 64, "--policy", "static")
        self.assertRegex(out, r"gpus +8, attention tensor-parallel 1, data-parallel 8; of one: 8 of 64 requests, 32 of 256 "
                              r"experts\n")
        self.assertRegex(out, r"near +131 GiB = weights [\d.]+ GiB \+ reserve 13\.1 GiB \+ index keys [\d.]+ MiB \+ [\d.]+ GiB left")
        self.assertRegex(out, r"step +weights [\d.]+ [MG]iB \(2\d\d(\.\d)? of 256 experts read\)")
        sizing = ("size", trace, "--hardware", "8xh200", "--model", "glm-5.2", "--kv-dtype", "fp8", "--gpus", 8,
                  "--attention-dp", 8, "--batch", 64, "--target", "50%", "--policy", "lru")
        sized = self.ok(*sizing)
        self.assertIn(" = weights ", sized)
        # Blocks per layer are those of a request, of which one of 8 GPUs has 8.
        near = self.json(*sizing)["answers"][0]["answer"]["near_capacity_bytes"]
        per_layer = re.search(r"^lru +[\d.]+ \w+ +([\d.]+) ", sized, re.MULTILINE)
        self.assertAlmostEqual(float(per_layer[1]), near / 8 / (78 * 64 * 576), delta=1e-3 * float(per_layer[1]))

    def test_shares_add_up(self) -> None:
        trace = self.dense_trace(36, 64, PROMPT)
        for gpus in (1, 2, 8):
            found = self.instance(trace, "--hardware", "8xh100", "--model", "gpt-oss-120b", "--gpus", gpus, "--batch", 8)
            near = found["deployment"]["near"]
            self.assertEqual(near["memory_bytes"], 80_000_000_000)
            self.assertEqual(near["memory_bytes"], sum(near.values()) - near["memory_bytes"])
            self.assertAlmostEqual(near["weights_bytes"] * gpus, 65_248_815_744, delta=gpus)
            self.assertEqual(found["near_capacity_bytes_per_request"], near["kv_bytes"] // 8)
            self.assertEqual(found["block_bytes"], 64 * 2048 // gpus)

    def test_one_gpu_of_all_is_as_fast_as_a_share(self) -> None:
        """Two GPUs with half of everything decode as fast as one that has twice what each of them has."""
        trace = self.dense_trace(80, 64, PROMPT)
        half = ("--hardware", "8xb300", "--model", CONFIGS / "llama-3.1-70b", "--batch", 8, "--near-fraction", 1)
        two = self.results(trace, *half, "--gpus", 2, "--policy", "static")["static"]
        twice = ("near.bandwidth=15.5TB/s", "far.link_read=256GB/s", "far.link_write=256GB/s", "far.shared_by=4")
        one = self.results(trace, *half, "--policy", "static",
                           *(part for field in twice for part in ("--set", f"hardware.{field}")))["static"]
        self.assertAlmostEqual(two["total_s"] / one["total_s"], 1, delta=1e-6)
        self.assertAlmostEqual(two["tokens_per_s"] / one["tokens_per_s"], 1, delta=1e-6)

    def test_what_does_not_divide_is_refused(self) -> None:
        trace = self.dense_trace(80, 64, PROMPT)
        base = ("compare", trace, "--hardware", "8xh200", "--model", CONFIGS / "llama-3.1-70b")
        self.refused(self.run_cli(*base, "--gpus", 3), cli.BAD_INPUT, "3 GPUs do not divide the 64 query heads")
        self.refused(self.run_cli(*base, "--gpus", 16), cli.BAD_INPUT, "more than the 8 of 8xh200")
        self.refused(self.run_cli(*base, "--gpus", 8, "--attention-tp", 3), cli.BAD_INPUT, "--gpus 8 are not")
        self.refused(self.run_cli(*base, "--gpus", 0), cli.BAD_INPUT, "1 to 4096")
        self.refused(self.run_cli(*base, "--gpus", 8, "--expert-parallel"), cli.BAD_INPUT, "routed experts")
        for model in (CONFIGS / "deepseek-v3", "deepseek-v3.2"):  # 2,048 columns, 256 experts
            seven = ("compare", trace, "--hardware", "8xh200", "--model", model, "--gpus", 7, "--attention-dp", 7)
            self.refused(self.run_cli(*seven), cli.BAD_INPUT, "7 GPUs do not divide the columns of an expert")
            self.refused(self.run_cli(*seven, "--expert-parallel"), cli.BAD_INPUT, "7 GPUs do not divide the 256 experts")
        self.refused(self.run_cli(*base[:-2], "--gpus", 8, "--block-bytes", 4096), cli.BAD_INPUT, "needs --model")
        self.refused(self.run_cli(*base), cli.BAD_INPUT, "does not hold", "weights", "--gpus")

    def test_a_bound_of_a_share_verifies(self) -> None:
        trace = self.dense_trace(18, 64, PROMPT)
        flags = ("--hardware", "8xh200", "--model", CONFIGS / "gpt-oss-120b", "--gpus", 4, "--batch", 6,
                 "--near-blocks-per-layer", 3)
        told = self.json("bound", trace, *flags, "-o", "c.cert")
        self.assertTrue(self.json("verify", trace, "c.cert")["valid"])
        static = self.results(trace, *flags, "--policy", "static")["static"]
        self.assertLessEqual(told["bound_s"], static["total_s"] * (1 + 1e-9))


if __name__ == "__main__":
    unittest.main()
