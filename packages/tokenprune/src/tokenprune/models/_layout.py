"""What of a causal language model the executor needs, found by looking at it; a clear refusal if it is another kind.

Supported are decoders of blocks with attention and rotary positions that are called one after another, whatever is
inside a block: norms before or after, mixtures of experts, sliding windows, soft caps, sinks (`_families.py` lists the
tested ones). Names are checked first, then the executor's own forward is compared with the model's on a few tokens
(`_probe.py`), so that a model that looks alike and computes something else is refused as well.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

ATTACHED = "_tokenprune_attached"  # marks a decoder under a pruner
_SUPPORTED = "decoder blocks with attention and rotary positions, as LLaMA, Mistral, Qwen or Gemma have"


@dataclass(frozen=True)
class Layout:
    """The parts of a causal language model.

    Attributes:
        model: the whole model, with its head.
        decoder: the module that owns embeddings, blocks and the final norm.
        blocks: the decoder blocks, in order.
        heads, kv_heads, head_dim: of attention.
        window: sliding window in tokens, if any block has one.
        limit: longest sequence the positions were made for.
        turns: kinds of blocks that have rotary angles of their own, as Gemma 3's; none where all share one.

    Examples:
        >>> import torch
        >>> from tokenprune import Layout, tiny_model

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = torch.arange(1, 41)[None]

        >>> layout = Layout.of(model)
        >>> len(layout.blocks), layout.heads, layout.kv_heads, layout.head_dim
        (4, 4, 2, 16)
        >>> layout.limit  # longest sequence
        512
    """

    model: Any
    decoder: Any
    blocks: tuple[Any, ...]
    heads: int
    kv_heads: int
    head_dim: int
    window: int | None
    limit: int
    turns: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: Any) -> Layout:
        """Find the parts of `model`.

        Raises:
            InputError: names what is missing or different.
        """
        if getattr(model, "config", None) is None or not hasattr(model, "get_output_embeddings"):
            raise InputError("model", got=type(model).__name__, expected="a transformers causal language model")
        decoder: Any = model.get_decoder() if hasattr(model, "get_decoder") else getattr(model, "model", None)
        decoder = decoder if hasattr(decoder, "layers") else getattr(model, "model", decoder)  # Llama 4 names itself
        blocks = getattr(decoder, "layers", None)
        kind = type(model).__name__
        check_free(decoder)
        for name in ("embed_tokens", "layers", "norm", "rotary_emb"):
            if not hasattr(decoder, name):
                raise _other(kind, f"its decoder has no `{name}`")
        if model.get_output_embeddings() is None:
            raise _other(kind, "it has no language-model head")
        if not isinstance(blocks, nn.ModuleList) or len(blocks) < 1:
            raise _other(kind, "its decoder has no list of blocks")
        config = decoder.config  # a model of several parts has one for each
        if len(blocks) != config.num_hidden_layers:
            raise InputError(
                "model", got=f"{len(blocks)} blocks where its config says {config.num_hidden_layers}",
                expected="a whole model, not one that is already pruned",
            )  # fmt: skip
        _check_alike(kind, config)
        for number, block in enumerate(blocks):
            _check_block(kind, number, block)
        heads = config.num_attention_heads
        return cls(
            model=model, decoder=decoder, blocks=tuple(blocks), heads=heads, window=_window(config),
            kv_heads=getattr(config, "num_key_value_heads", None) or heads, limit=_limit(config),
            head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads, turns=_turns(config, decoder),
        )  # fmt: skip

    @property
    def config(self) -> Any:
        """The model's config."""
        return self.decoder.config

    @property
    def device(self) -> torch.device:
        """Where token ids belong: where the embeddings are, or are brought to when accelerate holds them elsewhere."""
        weight = self.decoder.embed_tokens.weight
        if weight.device.type == "meta":
            return torch.device(self.decoder.embed_tokens._hf_hook.execution_device)
        return weight.device

    @property
    def quantised(self) -> bool:
        """Whether the weights are packed, so that gradients cannot be had."""
        return getattr(self.model, "hf_quantizer", None) is not None or any(
            not parameter.is_floating_point() for parameter in self.model.parameters()
        )

    def embed(self, ids: Tensor) -> Tensor:
        """Token ids, any shape -> the stream that enters block 0."""
        return self.entering(self.decoder.embed_tokens(ids))

    def entering(self, embeds: Tensor) -> Tensor:
        """Embeddings -> the stream that enters block 0."""
        factor = getattr(self.config, "embedding_multiplier", None)  # Granite's
        return embeds if factor is None else embeds * factor

    def angles(self, stream: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (T,) -> cosines and sines (1, T, width); those of several kinds of blocks side by side."""
        if not self.turns:
            found = self.decoder.rotary_emb(stream, positions[None])
            return found if isinstance(found, tuple) else (found.real, found.imag)  # Llama 4's are complex
        found = [self.decoder.rotary_emb(stream, positions[None], kind) for kind in self.turns]
        cos, sin = (torch.cat(parts, -1) for parts in zip(*found, strict=True))
        return cos, sin

    def angles_of(self, block: int, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor] | Tensor:
        """What one block is to have of `angles`."""
        if hasattr(self.config, "attention_chunk_size"):
            return torch.complex(cos, sin)
        if not self.turns:
            return cos, sin
        at = self.turns.index(self.config.layer_types[block])
        return cos.chunk(len(self.turns), -1)[at], sin.chunk(len(self.turns), -1)[at]

    def logits(self, stream: Tensor) -> Tensor:
        """Stream (..., d) after the last block -> logits (..., vocabulary)."""
        found = self.model.get_output_embeddings()(self.decoder.norm(stream))
        config: Any = self.model.config
        if getattr(config, "logits_scaling", None) is not None:  # Granite
            found = found / config.logits_scaling
        if getattr(self.model, "logit_scale", None) is not None:  # Cohere
            found = found * self.model.logit_scale
        if getattr(config, "final_logit_softcapping", None) is not None:  # Gemma 2
            found = config.final_logit_softcapping * torch.tanh(found / config.final_logit_softcapping)
        return found


def check_free(decoder: Any) -> None:
    """InputError if a pruner is attached to this decoder."""
    if getattr(decoder, ATTACHED, False):
        raise InputError("model", got="a pruner attached to it already", expected="one at a time: detach the other")


def _check_alike(kind: str, config: Any) -> None:
    """InputError where blocks differ in their heads, share keys or have inputs of their own, as Gemma 3n's and 4's."""
    if str(getattr(config, "model_type", "")).startswith(("gemma3n", "gemma4")):
        raise _other(kind, "its blocks differ in the width of their heads, share keys, or have inputs of their own")


def _check_block(kind: str, number: int, block: Any) -> None:
    foreign = [name for name in ("cross_attn", "crossattention", "mixer", "mamba", "linear_attn", "conv")
               if hasattr(block, name)]  # fmt: skip
    if foreign:
        raise _other(kind, f"block {number} has `{foreign[0]}`")
    if not hasattr(block, "self_attn"):
        raise _other(kind, f"block {number} ({type(block).__name__}) has no `self_attn`")
    signature = inspect.signature(block.forward).parameters
    takes_more = any(one.kind is one.VAR_KEYWORD for one in signature.values())
    if "position_embeddings" not in signature or not takes_more:
        raise _other(kind, f"block {number} does not take `position_embeddings` and further keyword arguments")


def _other(kind: str, reason: str) -> InputError:
    return InputError("model", got=f"{kind}: {reason}", expected=_SUPPORTED)


def _turns(config: Any, decoder: Any) -> tuple[str, ...]:
    if "layer_type" not in inspect.signature(decoder.rotary_emb.forward).parameters:
        return ()
    return tuple(sorted(set(config.layer_types)))


def _limit(config: Any) -> int:
    """Longest sequence; of Llama 4 up to where it cuts attention into chunks, and scales queries by position."""
    chunk = getattr(config, "attention_chunk_size", None) or config.max_position_embeddings
    tuned = config.floor_scale - 1 if getattr(config, "attn_temperature_tuning", False) else chunk
    return min(config.max_position_embeddings, chunk, int(tuned))


def _window(config: Any) -> int | None:
    if getattr(config, "use_sliding_window", True) is False:
        return None
    kinds = getattr(config, "layer_types", None)
    if kinds is not None and "sliding_attention" not in kinds:
        return None
    return getattr(config, "sliding_window", None)
