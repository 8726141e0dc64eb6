"""A trial before anything else: the executor that keeps every token must give the model's own logits."""

from __future__ import annotations

import torch
from ninefold.errors import InputError
from torch import Tensor

from tokenprune.executor._cache import PrunedCache
from tokenprune.executor._executor import Executor
from tokenprune.executor._project import keys_and_values
from tokenprune.models._layout import Layout

_TOKENS = 8


@torch.no_grad()
def probe(layout: Layout, tolerance: float = 1e-3, *, projected: bool = False) -> None:
    """Compare the executor with the model on a few tokens; `projected`: and keys and values with those of a cache.

    Raises:
        InputError: if they differ: the blocks look like those of a supported model and compute something else.
    """
    vocabulary = layout.decoder.embed_tokens.weight.shape[0]
    ids = (torch.arange(_TOKENS, device=layout.device) * 7919 % vocabulary)[None]
    kind = type(layout.model).__name__
    training = layout.model.training
    layout.model.eval()
    try:
        dense = layout.model(input_ids=ids, use_cache=False).logits
        ours, _ = Executor(layout).logits(ids, protect=_TOKENS)
        if projected:
            _probe_keys(layout, ids, tolerance if dense.dtype == torch.float32 else 0.05)
    except (TypeError, AttributeError, ValueError) as error:
        raise InputError("model", got=f"{kind}: its blocks cannot be driven one by one ({error})",
                         expected="a supported decoder") from None  # fmt: skip
    finally:
        layout.model.train(training)
    ours = ours.to(dense.device)
    gap = float((ours.float() - dense.float()).abs().max()) / max(1.0, float(dense.float().abs().max()))
    if dense.dtype != torch.float32:
        tolerance = 0.05
    if not gap <= tolerance:
        raise InputError("model", got=f"{kind}: driven block by block its logits differ by {gap:.2g}",
                         expected="a supported decoder, whose forward is its blocks one after another")  # fmt: skip


def _probe_keys(layout: Layout, ids: Tensor, tolerance: float) -> None:
    """Keys and values had without queries must be those that attention itself caches."""
    executor, cache = Executor(layout), PrunedCache(len(layout.blocks))
    stream = executor.start(ids)
    for block in range(executor.blocks):
        cos, sin = stream.cos[None], stream.sin[None]
        alone = keys_and_values(layout, block, stream.x[None], stream.positions[None], cos, sin)
        executor.step(stream, block, cache)
        held = cache.held[block]
        assert held is not None
        for one, other in zip(alone, (held.keys, held.values), strict=True):
            scale = tolerance * max(1.0, float(other.float().abs().max()))
            if one.shape != other.shape or not float((one.float() - other.float()).abs().max()) <= scale:
                raise InputError("skipped_kv", got=f"project for {type(layout.model).__name__}, whose keys and values "
                                 f"cannot be had without queries (block {block})", expected="drop")  # fmt: skip
