"""The families of models that are tested, each as small random weights of its own kind of config."""

from __future__ import annotations

from typing import Any

import torch
from ninefold.errors import InputError

_TINY = {"vocab_size": 256, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512}  # fmt: skip
_HEAD = {"head_dim": 16}
_EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
_SCALES = {"embedding_multiplier": 3.0, "logits_scaling": 2.0, "residual_multiplier": 0.5}
_PAD = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_GROUPS = {**_EXPERTS, "n_routed_experts": 4, "first_k_dense_replace": 1, "n_shared_experts": 1, "n_group": 1,
           "topk_group": 1}  # fmt: skip
# family -> (transformers' name of it, config values beside the small ones)
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "mistral": ("Mistral", {}),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", _HEAD),
    "phi3": ("Phi3", {"pad_token_id": 0}),
    "gemma": ("Gemma", _HEAD),
    "gemma2": ("Gemma2", _HEAD),
    "gemma3": ("Gemma3", _HEAD),
    "olmo": ("Olmo", _PAD),
    "olmo2": ("Olmo2", _PAD),
    "olmo3": ("Olmo3", _PAD),
    "granite": ("Granite", {**_PAD, **_SCALES}),
    "cohere": ("Cohere", _PAD),
    "cohere2": ("Cohere2", _PAD),
    "smollm3": ("SmolLM3", _PAD),
    "starcoder2": ("Starcoder2", _PAD),
    "glm": ("Glm", {**_HEAD, **_PAD}),
    "glm4": ("Glm4", {**_HEAD, **_PAD}),
    "helium": ("Helium", {**_HEAD, **_PAD}),
    "ernie4_5": ("Ernie4_5", _PAD),
    "seed_oss": ("SeedOss", {**_HEAD, **_PAD}),
    "arcee": ("Arcee", _PAD),
    "exaone4": ("Exaone4", _PAD),
    "qwen2_moe": ("Qwen2Moe", {**_EXPERTS, "shared_expert_intermediate_size": 32}),
    "qwen3_moe": ("Qwen3Moe", {**_HEAD, **_EXPERTS}),
    "mixtral": ("Mixtral", _EXPERTS),
    "gpt_oss": ("GptOss", {**_HEAD, **_EXPERTS, **_PAD}),
    "olmoe": ("Olmoe", {**_EXPERTS, **_PAD}),
    "granitemoe": ("GraniteMoe", {**_EXPERTS, **_PAD, **_SCALES}),
    "dots1": ("Dots1", {**_HEAD, **_GROUPS, **_PAD}),
    "llama4": ("Llama4", {**_HEAD, **_EXPERTS, **_PAD, "intermediate_size_mlp": 128}),
    "ernie4_5_moe": ("Ernie4_5_Moe", {**_EXPERTS, **_PAD, "moe_num_experts": 4, "moe_k": 2}),
}


def tiny_model(family: str = "llama", *, seed: int = 0, **sizes: Any) -> Any:
    """A small model of random weights: it shows the mechanics, and says nothing of quality.

    Args:
        family: one of `FAMILIES`, as "llama", "gemma3" or "qwen3_moe".
        seed: random seed of the weights.
        sizes: config values other than the small defaults.

    Examples:
        >>> from tokenprune import tiny_model

        >>> model = tiny_model("qwen3", seed=1, num_hidden_layers=2)
        >>> type(model).__name__, len(model.model.layers), model.config.vocab_size
        ('Qwen3ForCausalLM', 2, 256)
    """
    import transformers

    if family not in FAMILIES:
        raise InputError("family", got=repr(family), expected=f"one of {', '.join(FAMILIES)}")
    name, more = FAMILIES[family]
    kind = f"{name}TextConfig" if family in ("gemma3", "llama4") else f"{name}Config"
    config = getattr(transformers, kind)(**{**_TINY, **more, **sizes})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, f"{name}ForCausalLM")(config)
    return model.eval()
