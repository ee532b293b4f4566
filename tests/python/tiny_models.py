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

FAMILIES = {
    "llama": lambda: transformers.LlamaConfig(**COMMON),
    "qwen2": lambda: transformers.Qwen2Config(**COMMON),
    "qwen3": lambda: transformers.Qwen3Config(**COMMON),
    "mistral": lambda: transformers.MistralConfig(**COMMON, sliding_window=None),
    "mistral-sliding": lambda: transformers.MistralConfig(**COMMON, sliding_window=24),
    "gemma": lambda: transformers.GemmaConfig(**COMMON),
    "gemma3": lambda: transformers.Gemma3TextConfig(
        **COMMON, sliding_window=24, layer_types=["sliding_attention", "full_attention", "sliding_attention"]
    ),
    "mixtral": lambda: transformers.MixtralConfig(**COMMON, num_local_experts=6, num_experts_per_tok=2),
}


def tiny_model(family, seed=0, dtype=torch.float64):
    """In double precision: a pass and single steps then differ by less than what rounding to float32 keeps."""
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(FAMILIES[family]()).to(dtype).eval()
    if family == "mixtral":
        model.set_experts_implementation("eager")  # the others compute in at most single precision
    with torch.no_grad():  # initial weights are so small that attention is nearly uniform
        for name, parameter in model.named_parameters():
            if "q_proj" in name or "k_proj" in name:
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
