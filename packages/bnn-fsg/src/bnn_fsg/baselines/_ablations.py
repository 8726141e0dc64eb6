"""FSG with one part left out or replaced."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bnn_fsg.fsg._fsg import FSG, Preset
from bnn_fsg.fsg._layouts import Layout, agree

_PART = 1 << 14


class _Fixed(FSG):
    """FSG with some of its options fixed."""

    fixed: ClassVar[dict[str, Any]] = {}

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, **options: Any) -> None:
        super().__init__(model, optimizer, **{**options, **self.fixed})


class OneGradient(_Fixed):
    """L = 1: the slow-net sees the newest gradient alone."""

    name: ClassVar[str] = "fsg-l1"
    fixed: ClassVar[dict[str, Any]] = {"history": 1}


class NoRecognition(_Fixed):
    """No layer recognition embedding."""

    name: ClassVar[str] = "fsg-no-lre"
    fixed: ClassVar[dict[str, Any]] = {"recognition": False}


class FastAlone(_Fixed):
    """alpha = 0: no slow gradient."""

    name: ClassVar[str] = "fsg-alpha-0"
    fixed: ClassVar[dict[str, Any]] = {"alpha": 0.0}


class FlatLayout(_Fixed):
    """The layer's history as one sequence."""

    name: ClassVar[str] = "fsg-flat"
    fixed: ClassVar[dict[str, Any]] = {"layout": "flat"}


class NoNorm(_Fixed):
    """Raw gradients as history."""

    name: ClassVar[str] = "fsg-no-norm"
    fixed: ClassVar[dict[str, Any]] = {"history_norm": None}


class FastOnly(_Fixed):
    """The slow gradient acts in W_meta alone, as in the author's code."""

    name: ClassVar[str] = "fsg-fast-only"
    fixed: ClassVar[dict[str, Any]] = {"update": "fast_only"}


class StandardStart(_Fixed):
    """The hypernets start as torch and Mamba initialise them."""

    name: ClassVar[str] = "fsg-standard-start"
    fixed: ClassVar[dict[str, Any]] = {"start": "standard"}


class _Average(nn.Module):
    """Exponential moving average over the queue, weights 0.9^age, normalised; nothing is learned."""

    def forward(self, history: Tensor, layer: int, scale: float) -> Tensor:
        """See `Layout`."""
        weights = 0.9 ** torch.arange(len(history) - 1, -1, -1, dtype=history.dtype, device=history.device)
        return (weights / weights.sum()) @ history * scale

    def descend(self) -> None:
        """It does."""


class _Recurrent(nn.Module):
    """An LSTM of 8 units over the layer's embedding and the history, and a linear map of its last output."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(layers, 1)
        self.lstm = nn.LSTM(1, 8, batch_first=True)
        self.out = nn.Linear(8, 1, bias=False)

    def descend(self) -> None:
        """Start with the sign of the newest gradient."""
        agree(self, self.out)

    def _last(self, u: Tensor, token: Tensor) -> Tensor:
        sequence = torch.cat([token.expand(len(u), 1), u], 1)
        return self.out(self.lstm(sequence[..., None])[0][:, -1])[:, 0]

    def forward(self, history: Tensor, layer: int, scale: float) -> Tensor:
        """See `Layout`."""
        token = self.embedding.weight[layer]
        parts = (history.T * scale).split(_PART)
        return torch.cat([checkpoint(self._last, part, token, use_reentrant=False) for part in parts])  # type: ignore[misc]


class AverageSlow(FSG):
    """slow = moving average of g."""

    name: ClassVar[str] = "fsg-ema"

    def make_slow(self, sizes: Preset, recognition: bool) -> Layout:
        return _Average()  # type: ignore[return-value]


class RecurrentSlow(FSG):
    """slow = LSTM over the history."""

    name: ClassVar[str] = "fsg-lstm"

    def make_slow(self, sizes: Preset, recognition: bool) -> Layout:
        return _Recurrent(len(self.layers))  # type: ignore[return-value]
