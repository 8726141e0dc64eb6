"""Where a model is redundant: how little each block changes the stream."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenprune.executor._executor import Executor
from tokenprune.executor._router import Everything
from tokenprune.executor._scored import Scored
from tokenprune.models._layout import Layout


@dataclass(frozen=True)
class Redundancy:
    """Of each block, over the tokens it saw.

    Attributes:
        cosines: (N, T) cosine of each token's state before and after each block.

    Examples:
        >>> from tokenprune import Layout, datasets, redundancy, tiny_model, windows

        >>> model = tiny_model()
        >>> ids = datasets.tokens(datasets.embedded_text(), None)  # no tokenizer: bytes
        >>> texts = windows(ids, length=48, scored=8, count=4)

        >>> found = redundancy(Layout.of(model), texts)
        >>> order = found.influence.argsort()  # blocks that change the stream least come first
        >>> sorted(order.tolist()), found.share_above(0.8).shape
        ([0, 1, 2, 3], torch.Size([4]))
    """

    cosines: Tensor

    @property
    def influence(self) -> Tensor:
        """(N,) block influence BI_i = 1 - mean_t cos(x_t^i, x_t^{i+1}) (ShortGPT)."""
        return 1 - self.cosines.mean(1)

    def share_above(self, cosine: float = 0.8) -> Tensor:
        """(N,) share of tokens whose cosine is above that."""
        return (self.cosines > cosine).float().mean(1)


@torch.no_grad()
def redundancy(layout: Layout, data: Scored) -> Redundancy:
    """Run the dense model once and compare the stream before and after each block.

    Examples:
        >>> from tokenprune import Layout, datasets, redundancy, tiny_model, windows

        >>> model = tiny_model()
        >>> ids = datasets.tokens(datasets.embedded_text(), None)  # no tokenizer: bytes
        >>> texts = windows(ids, length=48, scored=8, count=4)

        >>> found = redundancy(Layout.of(model), texts)
        >>> found.cosines.shape, bool((found.influence >= 0).all())
        (torch.Size([4, 188]), True)
    """
    executor = Executor(layout, Everything())
    stream = data.start(executor)
    cosines = []
    for block in range(executor.blocks):
        before = stream.x
        executor.step(stream, block)
        cosines.append(torch.nn.functional.cosine_similarity(before.float(), stream.x.float(), dim=-1).cpu())
    return Redundancy(torch.stack(cosines))
