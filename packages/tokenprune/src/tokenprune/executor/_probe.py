"""A trial before anything else: the executor that keeps every token must give the model's own logits."""

from __future__ import annotations

import torch
from ninefold.errors import InputError

from tokenprune.executor._cache import PrunedCache
from tokenprune.executor._executor import Executor
from tokenprune.models._layout import Layout

_TOKENS = 8


@torch.no_grad()
def probe(layout: Layout, tolerance: float = 1e-3) -> None:
    """Compare the executor with the model on a few tokens.

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
        executor, cache = Executor(layout), PrunedCache(len(layout.blocks))
        ours = layout.logits(executor.tail(executor.prefill(executor.start(ids), cache), _TOKENS))
    except torch.OutOfMemoryError:
        raise
    except (TypeError, AttributeError, ValueError, RuntimeError, LookupError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError("model", got=f"{kind}: its blocks cannot be driven one by one ({reason})",
                         expected="a supported decoder") from None  # fmt: skip
    finally:
        layout.model.train(training)
    other = next((block for block, held in enumerate(cache.held) if held is None), None)
    if other is not None:
        raise InputError("model", got=f"{kind}: block {other} has no softmax attention, or hides it",
                         expected="a supported decoder")  # fmt: skip
    ours = ours.to(dense.device)
    gap = float((ours.float() - dense.float()).abs().max()) / max(1.0, float(dense.float().abs().max()))
    if dense.dtype != torch.float32:
        tolerance = 0.05
    if not gap <= tolerance:
        raise InputError("model", got=f"{kind}: driven block by block its logits differ by {gap:.2g}",
                         expected="a supported decoder, whose forward is its blocks one after another")  # fmt: skip
