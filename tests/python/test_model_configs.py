"""kvplace model counts what transformers' own model of a config.json has: all parameters, those of each layer without
routed experts, and those of one expert. The models are on the meta device, so that nothing is computed."""

from __future__ import annotations

import json
import logging
import os
import unittest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from python_test import SOURCE_DIR, CliTest
from transformers import AutoConfig, AutoModelForCausalLM

SMALL = dict(hidden_size=64, intermediate_size=96, num_attention_heads=4, num_key_value_heads=2, vocab_size=512)
MLA = dict(kv_lora_rank=32, q_lora_rank=24, qk_rope_head_dim=8, qk_nope_head_dim=16, v_head_dim=12, n_routed_experts=8,
           num_experts_per_tok=2, moe_intermediate_size=40, n_shared_experts=1, n_group=1, topk_group=1)
INDEXER = dict(index_topk=16, index_n_heads=2, index_head_dim=8)
DELTA_NET = dict(linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=16,
                 linear_conv_kernel_dim=4, head_dim=32)
EXPERTS = dict(num_local_experts=4, num_experts_per_tok=2)
QWEN_EXPERTS = dict(num_experts=6, num_experts_per_tok=2, moe_intermediate_size=40)
SHARED = dict(shared_expert_intermediate_size=48)
V4 = dict(hidden_size=64, num_attention_heads=4, head_dim=32, vocab_size=512, num_hidden_layers=6, q_lora_rank=24,
          o_groups=2, o_lora_rank=8, moe_intermediate_size=40, n_routed_experts=8, num_experts_per_tok=2, hc_mult=2,
          **INDEXER)
MAMBA = dict(mamba_n_heads=8, mamba_d_head=16, mamba_d_state=16, shared_intermediate_size=48)

# model_type and the fields that differ from its class; the kinds of its layers, one letter each.
CASES = (
    ("llama", dict(SMALL, num_hidden_layers=3, attention_bias=True, mlp_bias=True), "fff"),
    ("llama", dict(SMALL, num_hidden_layers=2, tie_word_embeddings=True, num_key_value_heads=4), "ff"),
    ("llama4_text", dict(SMALL, num_hidden_layers=8, head_dim=16, num_local_experts=4, num_experts_per_tok=1,
                         intermediate_size_mlp=128, interleave_moe_layer_step=2), "wwwfwwwf"),
    ("mistral", dict(SMALL, num_hidden_layers=2, head_dim=24, sliding_window=None), "ff"),
    ("mistral", dict(SMALL, num_hidden_layers=2, sliding_window=64), "ww"),
    ("ministral", dict(SMALL, num_hidden_layers=4, head_dim=16, sliding_window=128,
                       layer_types=["sliding_attention"] * 3 + ["full_attention"]), "wwwf"),
    ("ministral3", dict(SMALL, num_hidden_layers=2, head_dim=16), "ff"),
    ("mixtral", dict(SMALL, num_hidden_layers=2, **EXPERTS), "ff"),
    ("qwen2", dict(SMALL, num_hidden_layers=4, use_sliding_window=True, sliding_window=32, max_window_layers=2), "ffww"),
    ("qwen2_moe", dict(SMALL, num_hidden_layers=3, mlp_only_layers=[0], **QWEN_EXPERTS, **SHARED), "fff"),
    ("qwen3", dict(SMALL, num_hidden_layers=2, head_dim=32, attention_bias=True), "ff"),
    ("qwen3_moe", dict(SMALL, num_hidden_layers=4, head_dim=32, decoder_sparse_step=2, **QWEN_EXPERTS), "ffff"),
    ("qwen3_next", dict(SMALL, **DELTA_NET, **QWEN_EXPERTS, **SHARED, num_hidden_layers=4), "sssf"),
    ("qwen3_5_text", dict(SMALL, **DELTA_NET, num_hidden_layers=4), "sssf"),
    ("qwen3_5_moe_text", dict(SMALL, **DELTA_NET, **QWEN_EXPERTS, **SHARED, num_hidden_layers=4), "sssf"),
    ("gemma2", dict(SMALL, num_hidden_layers=4, head_dim=32, sliding_window=64), "wfwf"),
    ("gemma3_text", dict(SMALL, num_hidden_layers=7, head_dim=32, sliding_window=64), "wwwwwfw"),
    ("gemma4_text", dict(SMALL, num_hidden_layers=12, head_dim=16, global_head_dim=32, num_global_key_value_heads=1,
                         attention_k_eq_v=True, hidden_size_per_layer_input=0, enable_moe_block=True, num_experts=4,
                         top_k_experts=2, moe_intermediate_size=24), "wwwwwf" * 2),
    ("gemma4_text", dict(SMALL, num_hidden_layers=12, head_dim=16, num_kv_shared_layers=6, use_double_wide_mlp=True,
                         hidden_size_per_layer_input=8, vocab_size_per_layer_input=512), "wwwwwf" + "s" * 6),
    ("gpt_oss", dict(SMALL, num_hidden_layers=4, head_dim=16, sliding_window=16, **EXPERTS), "wfwf"),
    ("deepseek_v3", dict(SMALL, **MLA, num_hidden_layers=4, first_k_dense_replace=1), "mmmm"),
    ("deepseek_v3", dict(SMALL, **{**MLA, "q_lora_rank": None, "n_shared_experts": 2}, num_hidden_layers=2,
                         first_k_dense_replace=1, attention_bias=True), "mm"),
    ("deepseek_v32", dict(SMALL, **MLA, **INDEXER, num_hidden_layers=4, first_k_dense_replace=2), "mmmm"),
    ("deepseek_v4", dict(V4, layer_types=["sliding_attention", *["heavily_compressed_attention"] * 2,
                                          *["compressed_sparse_attention"] * 3]), "wmmmmm"),
    ("deepseek_v4", V4, "mmmmmm"),
    ("glm", dict(SMALL, num_hidden_layers=2, head_dim=16, pad_token_id=0), "ff"),
    ("glm4", dict(SMALL, num_hidden_layers=2, head_dim=16, pad_token_id=0), "ff"),
    ("glm4_moe", dict(SMALL, num_hidden_layers=3, head_dim=16, use_qk_norm=True, attention_bias=True, n_routed_experts=4,
                      num_experts_per_tok=2, moe_intermediate_size=40, first_k_dense_replace=1), "fff"),
    ("glm4_moe_lite", dict(SMALL, **MLA, num_hidden_layers=3), "mmm"),
    ("glm_moe_dsa", dict(SMALL, **MLA, **INDEXER, num_hidden_layers=10, index_topk_freq=4), "m" * 10),
    ("glm_moe_dsa", dict(SMALL, **MLA, **INDEXER, num_hidden_layers=10, index_topk_freq=4, index_skip_topk_offset=3),
     "m" * 10),
    ("minimax_m2", dict(SMALL, num_hidden_layers=2, head_dim=32, **EXPERTS), "ff"),
    ("phi3", dict(SMALL, num_hidden_layers=2, pad_token_id=0), "ff"),
    ("phi3", dict(SMALL, num_hidden_layers=2, pad_token_id=0, sliding_window=32), "ww"),
    ("phimoe", dict(SMALL, num_hidden_layers=2, attention_bias=True, lm_head_bias=True, **EXPERTS), "ff"),
    ("granite", dict(SMALL, num_hidden_layers=2, attention_bias=True, mlp_bias=True), "ff"),
    ("granitemoe", dict(SMALL, num_hidden_layers=2, **EXPERTS), "ff"),
    ("granitemoeshared", dict(SMALL, num_hidden_layers=2, shared_intermediate_size=48, **EXPERTS), "ff"),
    ("granitemoehybrid", dict(SMALL, **MAMBA, **EXPERTS, num_hidden_layers=4, mamba_proj_bias=True,
                              layer_types=["mamba", "mamba", "attention", "mamba"]), "ssfs"),
    ("granitemoehybrid", dict(SMALL, **MAMBA, num_hidden_layers=2, num_local_experts=0,
                              layer_types=["mamba", "attention"]), "sf"),
)


def counted(model: torch.nn.Module) -> tuple[int, dict[int, int], dict[int, int], int]:
    """All parameters; by layer those outside routed experts, and those of one expert; how many indexers there are."""
    total, dense, expert = 0, {}, {}
    for name, parameter in model.named_parameters():
        total += parameter.numel()
        parts = name.split(".")
        if "layers" in parts:
            layer = int(parts[parts.index("layers") + 1])
            if ".experts." in name:
                expert[layer] = expert.get(layer, 0) + parameter.numel() // parameter.shape[0]
            else:
                dense[layer] = dense.get(layer, 0) + parameter.numel()
    return total, dense, expert, sum(name.endswith("indexer") for name, _ in model.named_modules())


class EveryFamily(CliTest):
    def setUp(self) -> None:
        super().setUp()
        transformers.logging.set_verbosity_error()
        logging.disable(logging.WARNING)
        self.addCleanup(logging.disable, logging.NOTSET)

    def test_counts_are_those_of_transformers(self) -> None:
        for number, (model_type, fields, kinds) in enumerate(CASES):
            config = AutoConfig.for_model(model_type, **fields)
            with torch.device("meta"):
                total, dense, expert, indexers = counted(AutoModelForCausalLM.from_config(config))
            # As transformers writes it, with all defaults; and as a file may have it, without them.
            folder = f"{model_type}-{number}"
            config.save_pretrained(self.path(folder))
            self.write(f"{folder}/short.json", json.dumps({"model_type": model_type, **fields}))
            for name in (folder, f"{folder}/short.json"):
                with self.subTest(model=name):
                    told = self.json("model", name)
                    self.assertEqual(told["parameters"], total)
                    layers = told["layers"]
                    self.assertEqual("".join(layer["kind"][0] for layer in layers), kinds)
                    self.assertEqual([layer["dense_parameters"] for layer in layers],
                                     [dense[i] for i in range(len(layers))])
                    self.assertEqual([layer["expert_parameters"] or 0 for layer in layers],
                                     [expert.get(i, 0) for i in range(len(layers))])
                    self.assertEqual([layer["experts"] > 0 for layer in layers],
                                     [i in expert for i in range(len(layers))])
                    self.assertEqual(sum(layer["selector_bytes_per_token"] > 0 for layer in layers), indexers)
                    # All in bf16, so that what weights weigh is known as well.
                    self.assertEqual(told["weight_bytes"], 2 * total)

    def test_every_family_that_is_known_has_a_case(self) -> None:
        shown = self.run_cli("model", self.write("x.json", '{"model_type": "none of them"}'))
        self.assertEqual(shown.code, 2)
        cases = {model_type for model_type, _, _ in CASES}
        page = self.page()
        listed = {name for row in page.splitlines() if row.startswith("| `") and "transformers" in row
                  for name in row.split("|")[1].replace("`", "").replace(",", " ").split()}
        text_models = {name.removesuffix("_text") for name in cases}
        # Kimi K2 is DeepSeek-V3 under another name, which transformers lacks.
        self.assertEqual(listed - {"kimi_k2", "kimi_k25"}, text_models)

    def page(self) -> str:
        return (SOURCE_DIR / "docs/deployments.md").read_text(encoding="utf-8")


if __name__ == "__main__":
    unittest.main()
