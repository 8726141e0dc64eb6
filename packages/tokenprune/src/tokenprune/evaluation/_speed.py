"""Prefill with last-position logits, timed against the same model without pruning, in turn, in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from ninefold.measure import compare

from tokenprune.executor._executor import Executor
from tokenprune.executor._router import Everything
from tokenprune.models._layout import Layout
from tokenprune.routers._observation_router import ObservationRouter
from tokenprune.routers._schedule import dense_first, uniform
from tokenprune.routers._static_router import StaticRouter


def prefill(
    model: Any, length: int, sparsities: Sequence[float], *, rows: int = 1, padding: float = 0.0, repeats: int = 7,
    seed: int = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Time the model, the executor that skips nothing, and the routers at each sparsity.

    Args:
        model: a causal language model.
        length: tokens of the longest prompt.
        sparsities: to time.
        rows: prompts in a batch; the first is of full length, the last shorter by the share `padding`.
        padding: of the shortest row, on the left.
        repeats: rounds, all arms in turn in each.
        seed: random seed of the ids.
    Returns: for each arm tokens, arm, seconds, ratio to dense with its interval, operations, the bound they set on the
        ratio.
    """
    layout = Layout.of(model)
    generator = torch.Generator().manual_seed(seed)
    vocabulary = layout.decoder.embed_tokens.weight.shape[0]
    ids = torch.randint(1, vocabulary, (rows, length), generator=generator).to(layout.device)
    mask = torch.ones_like(ids)
    for row in range(rows):
        mask[row, : round(length * padding * row / max(1, rows - 1))] = 0
    arms = {"nothing skipped": Executor(layout, Everything())}
    for s in sparsities:
        schedule = uniform(s, len(layout.blocks))
        arms[f"static {s:g}"] = Executor(layout, StaticRouter(schedule))
        arms[f"observation {s:g}"] = Executor(layout, ObservationRouter(dense_first(s, len(layout.blocks))))

    @torch.no_grad()
    def dense() -> Any:
        return model(ids, attention_mask=None if padding == 0 else mask, logits_to_keep=1, use_cache=False)

    def finished(call: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            out = call()
            if ids.is_cuda:  # a GPU returns before it is done
                torch.cuda.synchronize(ids.device)
            return out

        return run

    calls = {"dense": finished(dense)} | {
        name: finished(lambda one=one: one.logits(ids, mask)) for name, one in arms.items()
    }
    whole = (
        arms["nothing skipped"].costs.dense([length] * rows, logits=rows).flops
    )  # the dense model computes padding as well
    lines = []
    for name, timing in compare(calls, repeats=repeats).items():
        one = arms.get(name)  # the dense model is no executor
        flops = whole if one is None else one.cost(one.logits(ids, mask)[1], logits=rows).flops
        lines.append({"tokens": length, "rows": rows, "arm": name, "seconds": timing.seconds, "ratio": timing.ratio,
                      "low": timing.low, "high": timing.high, "flops": flops, "bound": whole / flops})  # fmt: skip
    return lines
