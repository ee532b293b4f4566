"""Tiny random models of several families, and a tokenizer of single characters, for tests of capture."""

import torch
import transformers

VOCABULARY = 97
COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}

MLA = {
    **{key: value for key, value in COMMON.items() if key != "head_dim"},
    "num_key_value_heads": 4,
    "moe_intermediate_size": 24,
    "n_routed_experts": 6,
    "num_experts_per_tok": 2,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
    "kv_lora_rank": 32,
    "q_lora_rank": 24,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
}
INDEXER = {"index_topk": 12, "index_head_dim": 16, "index_n_heads": 16}  # so many that no score is 0, which would tie

FAMILIES = {
    "llama": lambda: transformers.LlamaConfig(**COMMON),
    "qwen2": lambda: transformers.Qwen2Config(**COMMON),
    "qwen3": lambda: transformers.Qwen3Config(**COMMON),
    "qwen3-moe": lambda: transformers.Qwen3MoeConfig(
        **COMMON, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=24
    ),
    # Layer 1 has no rotary positions.
    "smollm3": lambda: transformers.SmolLM3Config(**COMMON, no_rope_layers=[1, 0, 1]),
    "mistral": lambda: transformers.MistralConfig(**COMMON, sliding_window=None),
    "mistral-sliding": lambda: transformers.MistralConfig(**COMMON, sliding_window=24),
    # The window holds the prompt of the tests and some decode steps, but not all.
    "mistral-outgrowing": lambda: transformers.MistralConfig(**COMMON, sliding_window=90),
    "gemma": lambda: transformers.GemmaConfig(**COMMON),
    "gemma3": lambda: transformers.Gemma3TextConfig(
        **COMMON, sliding_window=24, layer_types=["sliding_attention", "full_attention", "sliding_attention"]
    ),
    # Scores are capped, and every other layer has a window.
    "gemma2": lambda: transformers.Gemma2Config(
        **COMMON, sliding_window=24, attn_logit_softcapping=5.0, query_pre_attn_scalar=16
    ),
    # Layer 0 has a window; heads have sinks.
    "gpt-oss": lambda: transformers.GptOssConfig(**COMMON, sliding_window=24, num_local_experts=6, num_experts_per_tok=2),
    # Layers 0 and 2 keep a state in the place of keys and values.
    "qwen3-next": lambda: transformers.Qwen3NextConfig(
        **COMMON, layer_types=["linear_attention", "full_attention", "linear_attention"], linear_num_value_heads=4,
        linear_num_key_heads=2, linear_key_head_dim=8, linear_value_head_dim=8, num_experts=6, num_experts_per_tok=2,
        moe_intermediate_size=24, shared_expert_intermediate_size=24,
    ),
    "lfm2": lambda: transformers.Lfm2Config(
        **COMMON, layer_types=["conv", "full_attention", "conv"], block_ff_dim=48, block_auto_adjust_ff_dim=False
    ),
    "mixtral": lambda: transformers.MixtralConfig(**COMMON, num_local_experts=6, num_experts_per_tok=2),
    "deepseek-v3": lambda: transformers.DeepseekV3Config(**MLA),
    "deepseek-v3.2": lambda: transformers.DeepseekV32Config(**MLA, **INDEXER),
    # Layer 2 reuses what layer 1 chose.
    "glm-dsa": lambda: transformers.GlmMoeDsaConfig(**MLA, **INDEXER, indexer_types=["full", "full", "shared"]),
}


def tiny_model(family, seed=0, dtype=torch.float64):
    """In double precision: a pass and single steps then differ by less than what rounding to float32 keeps."""
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(FAMILIES[family]()).to(dtype).eval()
    if getattr(model.config, "num_local_experts", 0) or getattr(model.config, "num_experts", 0):
        model.set_experts_implementation("eager")  # the others compute in at most single precision
    with torch.no_grad():  # initial weights are so small that attention is nearly uniform
        for name, parameter in model.named_parameters():
            if any(part in name for part in ("q_proj", "k_proj", "q_b_proj", "kv_a_proj", "wq_b", "wk.", "weights_proj")):
                parameter.mul_(8)
    return model


class CharacterTokenizer:
    """A character is a token."""

    bos_token_id = None

    def __call__(self, text, **_options):
        return {"input_ids": [ord(character) % VOCABULARY for character in text]}


def random_text(tokens, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return "".join(chr(32 + int(i)) for i in torch.randint(0, 95, (tokens,), generator=generator))


def token_ids(text):
    return torch.tensor([CharacterTokenizer()(text)["input_ids"]])
