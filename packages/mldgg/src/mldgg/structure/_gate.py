"""Edge gate: how likely the nodes of an edge have the same label, learnt from labelled graphs.

Ours, not the publication's. It reweights the edges that a graph has; pivot passing (`_pivots`) adds others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

from mldgg.structure._pairs import FEATURES_ONLY

HIDDEN, STEPS, RATE, DECAY = 16, 200, 0.03, 1e-4
_MOST = 60_000  # pairs of a graph that it is fitted to


@dataclass(frozen=True)
class EdgeGate:
    """A two-layer network over pair features.

    Attributes:
        columns: which pair features it sees, by position.
        mean, scale: of those columns in training.
        hidden: (columns, HIDDEN) weights; `bias` (HIDDEN,).
        out: (HIDDEN + 1,) weights of the output, the last being its bias.
    """

    columns: tuple[int, ...]
    mean: np.ndarray
    scale: np.ndarray
    hidden: np.ndarray
    bias: np.ndarray
    out: np.ndarray

    @classmethod
    def fit(
        cls, features: Sequence[np.ndarray], agrees: Sequence[np.ndarray], *, seed: int = 0,
        columns: Sequence[int] | None = None,
    ) -> EdgeGate:  # fmt: skip
        """Learn from pairs whose labels are known at both ends.

        Args:
            features: for each graph (E, F) `pair_features`, in later rounds with `refined_features` next to them.
            agrees: for each graph (E,) bool: both ends have one label. Every graph counts alike.
            seed: of the start and of the pairs taken where there are more than 60,000.
            columns: pair features to use; all by default.
        """
        chosen = tuple(columns if columns is not None else range(features[0].shape[1]))
        draws = np.random.default_rng(seed)
        blocks, targets, weights = [], [], []
        for rows, truth in zip(features, agrees, strict=True):
            some = draws.permutation(len(rows))[:_MOST]
            if some.size:
                blocks.append(rows[some][:, chosen])
                targets.append(truth[some])
                weights.append(np.full(some.size, 1 / some.size))
        if not blocks:
            raise InputError("edges", got="none with a label at both ends", expected="labelled neighbours in a source")
        x = np.concatenate(blocks)
        mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
        x = torch.from_numpy((x - mean) / scale)
        y = torch.from_numpy(np.concatenate(targets).astype(np.float32))
        weight = torch.from_numpy(np.concatenate(weights).astype(np.float32)) / len(blocks)
        generator = torch.Generator().manual_seed(seed)
        hidden = torch.randn(len(chosen), HIDDEN, generator=generator) / len(chosen) ** 0.5
        parts = [hidden, torch.zeros(HIDDEN), torch.randn(HIDDEN + 1, generator=generator) * 0.1]
        _train(parts, x, y, weight)
        hidden, bias, out = (part.detach().numpy() for part in parts)
        return cls(chosen, mean, scale, hidden, bias, out)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(E, F) pair features -> (E,) probability that both ends have one label, float32."""
        x = (features[:, self.columns] - self.mean) / self.scale
        scores = np.tanh(x @ self.hidden + self.bias) @ self.out[:-1] + self.out[-1]
        return (1 / (1 + np.exp(-np.clip(scores, -30, 30)))).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """What `load` needs, as arrays."""
        return {**vars(self), "columns": np.array(self.columns, np.int64)}

    @classmethod
    def load(cls, arrays: dict[str, Any]) -> EdgeGate:
        """The gate that gave `arrays`."""
        held = {name: arrays[name] for name in ("mean", "scale", "hidden", "bias", "out")}
        columns, hidden = len(arrays["columns"]), held["bias"].size
        needed = {"mean": (columns,), "scale": (columns,), "hidden": (columns, hidden), "out": (hidden + 1,)}
        for name, shape in needed.items():
            if held[name].shape != shape:
                raise ValueError(f"{name} of the gate has shape {held[name].shape}, where {shape} is needed")
        return cls(tuple(int(one) for one in arrays["columns"]), **held)


def features_only(features: Sequence[np.ndarray], agrees: Sequence[np.ndarray], *, seed: int = 0) -> EdgeGate:
    """The gate that sees the cosine of the two nodes' own features and nothing else: a control."""
    return EdgeGate.fit(features, agrees, seed=seed, columns=FEATURES_ONLY)


def _train(parts: list[Tensor], x: Tensor, y: Tensor, weight: Tensor) -> None:
    for part in parts:
        part.requires_grad_()
    optimizer = torch.optim.Adam(parts, lr=RATE, weight_decay=DECAY)
    hidden, bias, out = parts
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS) + 1e-4
        scores = torch.tanh(x @ hidden + bias) @ out[:-1] + out[-1]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, y, weight=weight, reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
