"""The learnt part of the router: which heads of later blocks find what is asked, before these blocks have run.

On prompts whose answer stands somewhere in them, every head of the later blocks looks at the states that the dense
blocks leave: its last queries on all keys. A head's score is how much of its attention meets the answer's place or its
neighbourhood, divided by the most that it pays to any other token, a mean over prompts. The best few then look ahead in
every prompt (`Observation.heads`). No gradient, and no pass through the later blocks: seconds a prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tokenprune.datasets import LongTask
from tokenprune.executor._executor import Executor

HEADS = 3
_NEAR, _END = 12, 8  # tokens before an answer that count as its place; last ones that are none


def place_of(task: LongTask) -> Tensor:
    """(n,) whether a token of the prompt stands at the answer's place or shortly before it."""
    ids, count = task.ids[: -task.answer], task.answer
    stands = (ids.unfold(0, count, 1) == task.ids[-count:]).all(1).nonzero()[:, 0]
    near = torch.zeros(len(ids), dtype=torch.bool)
    for at in stands[stands < len(ids) - count - 20].tolist():
        near[max(1, at - _NEAR) : at + count + 2] = True
    return near


@torch.no_grad()
def worth(executor: Executor, tasks: Sequence[LongTask]) -> dict[tuple[int, int], float]:
    """How well each head of the later blocks finds answers' places, 0 to some 1 and more.

    Args:
        executor: under the router that heads are to be learnt for.
        tasks: whose answer stands in the prompt; others are left out.
    Returns: by (block, head).
    """
    layout, shares = executor.layout, []
    first = executor.router.whole_blocks(executor.blocks)
    every = {block: tuple(range(layout.heads)) for block in range(first, executor.blocks)}
    for task in tasks:
        near = place_of(task)
        if not near.any():
            continue
        stream = executor.start(task.ids[None, : -task.answer])
        for block in range(first):
            executor.step(stream, block)
        scores = executor.look_ahead(stream, every).cpu()
        scores[:, 0] = scores[:, -_END:] = 0.0
        shares.append(scores[:, near].amax(1) / scores.amax(1).clamp(min=1e-9))
    pairs = [(block, head) for block, heads in every.items() for head in heads]
    return dict(zip(pairs, torch.stack(shares).mean(0).tolist(), strict=True)) if shares else {}
