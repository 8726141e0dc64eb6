"""Source-centred ridge: W = W_src + argmin |Y - Z (W_src + D)|^2 + lambda |D|^2, with a meta-learned strength."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

_STEPS, _RATE = 50, 0.15


def with_constant(z: np.ndarray) -> np.ndarray:
    """(N, d) -> (N, d + 1) with a column of ones."""
    return np.concatenate([z, np.ones((len(z), 1), z.dtype)], axis=1)


def one_hot(y: np.ndarray, classes: int) -> np.ndarray:
    """(n,) class ids -> (n, C) float32."""
    return np.eye(classes, dtype=np.float32)[y]


def softmax(scores: np.ndarray) -> np.ndarray:
    """(n, C) scores -> (n, C) probabilities."""
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def ridge_weights(z: np.ndarray, targets: np.ndarray, strength: float) -> np.ndarray:
    """(n, d) features, (n, C) targets -> (d, C), the ridge solution."""
    z = z.astype(np.float64)
    gram = z.T @ z
    gram[np.diag_indices_from(gram)] += strength
    return np.linalg.solve(gram, z.T @ targets).astype(np.float32)


def centred_update(z: Tensor, residual: Tensor, strength: Tensor) -> Tensor:
    """D of the support's (n, d) features and (n, C) residuals Y - Z W_src, by an n x n system; differentiable."""
    gram = z @ z.T + strength * torch.eye(z.shape[0], dtype=z.dtype)
    return z.T @ torch.linalg.solve(gram, residual)


@dataclass(frozen=True)
class Episode:
    """One rehearsal of an adaptation on a source: support and query features, labels, and scores of others' weights."""

    support: np.ndarray
    support_y: np.ndarray
    support_scores: np.ndarray
    query: np.ndarray
    query_y: np.ndarray
    query_scores: np.ndarray


@dataclass(frozen=True)
class Ridge:
    """The solver as it was meta-learned.

    Attributes:
        weights: (d, C) W_src, or zeros where classes or features are not shared.
        log_strength: lambda at one label per class is its exponential.
        per_log_shot: added for each unit of log labels per class.
        log_sharpness: of the softmax that makes scores probabilities.
    """

    weights: np.ndarray
    log_strength: float = 2.3
    per_log_shot: float = 0.0
    log_sharpness: float = 1.5

    def meta_learn(self, episodes: Sequence[Episode]) -> Ridge:
        """The same weights, with strength and sharpness by gradient descent on the queries' cross-entropy."""
        values = torch.tensor([self.log_strength, self.per_log_shot, self.log_sharpness], requires_grad=True)
        optimizer = torch.optim.Adam([values], lr=_RATE)
        held = [{name: torch.from_numpy(part) for name, part in vars(one).items()} for one in episodes]
        for _ in range(_STEPS):
            losses = [_query_loss(one, values) for one in held]
            loss = torch.stack(losses).mean() + 1e-3 * values[1].square()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        first, slope, sharpness = values.detach().tolist()
        return Ridge(self.weights, first, slope, sharpness)

    def strength_at(self, shots: float) -> float:
        """Lambda at so many labels a class."""
        return float(np.exp(self.log_strength + self.per_log_shot * np.log(max(shots, 1.0))))

    def update(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(d, C) weights after the support's (n, d) features and (n,) labels; W_src if there is none."""
        if not len(y):
            return self.weights
        residual = one_hot(y, self.weights.shape[1]) - z @ self.weights
        strength = _strength(torch.tensor([self.log_strength, self.per_log_shot]), y, self.weights.shape[1])
        return self.weights + centred_update(torch.from_numpy(z), torch.from_numpy(residual), strength).numpy()

    def probabilities(self, z: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(N, C) from (N, d) features and (d, C) weights."""
        return softmax(np.exp(self.log_sharpness) * (z @ weights))

    def arrays(self) -> dict[str, np.ndarray]:
        """What `load` needs."""
        return {
            "weights": self.weights,
            "strength": np.array([self.log_strength, self.per_log_shot, self.log_sharpness]),
        }

    @classmethod
    def load(cls, arrays: dict[str, Any]) -> Ridge:
        """The solver that gave `arrays`."""
        return cls(arrays["weights"], *map(float, arrays["strength"]))


def _strength(values: Tensor, y: Any, classes: int) -> Tensor:
    return torch.exp(values[0] + values[1] * np.log(max(len(y) / classes, 1.0)))


def _query_loss(episode: dict[str, Tensor], values: Tensor) -> Tensor:
    scores, classes = episode["query_scores"], episode["query_scores"].shape[1]
    if len(episode["support_y"]):
        targets = torch.nn.functional.one_hot(episode["support_y"], classes).float()
        strength = _strength(values, episode["support_y"], classes)
        change = centred_update(episode["support"], targets - episode["support_scores"], strength)
        scores = scores + episode["query"] @ change
    return torch.nn.functional.cross_entropy(values[2].exp() * scores, episode["query_y"])
