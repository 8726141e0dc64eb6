"""Source-centred ridge: W = W_src + argmin |Y - Z (W_src + D)|^2 + lambda |D|^2, by number of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

KNOTS = (1.0, 5.0, 20.0)  # labels a class


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
class Ridge:
    """Source weights and what rehearsals on the sources say of how far to trust them.

    Attributes:
        weights: (d, C) W_src, or zeros where classes or features are not shared.
        strengths: lambda at 1, 5 and 20 labels a class; between them it is interpolated in the logarithms.
        sharpness: of the softmax that makes scores probabilities.
    """

    weights: np.ndarray
    strengths: tuple[float, ...] = (10.0, 10.0, 10.0)
    sharpness: float = 4.5

    def strength_at(self, shots: float) -> float:
        """Lambda at so many labels a class."""
        at = np.interp(np.log(max(shots, 1.0)), np.log(KNOTS), np.log(self.strengths))
        return float(np.exp(at))

    def update(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(d, C) weights after the support's (n, d) features and (n,) labels; W_src if there is none."""
        if not len(y):
            return self.weights
        classes = self.weights.shape[1]
        residual = torch.from_numpy(one_hot(y, classes) - z @ self.weights)
        strength = torch.tensor(self.strength_at(len(y) / classes))
        return self.weights + centred_update(torch.from_numpy(z), residual, strength).numpy()

    def probabilities(self, z: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(N, C) from (N, d) features and (d, C) weights."""
        return softmax(self.sharpness * (z @ weights))

    def arrays(self) -> dict[str, np.ndarray]:
        """What `load` needs."""
        return {"weights": self.weights, "strength": np.array([*self.strengths, self.sharpness])}

    @classmethod
    def load(cls, arrays: dict[str, Any]) -> Ridge:
        """The solver that gave `arrays`."""
        *strengths, sharpness = map(float, arrays["strength"])
        return cls(arrays["weights"], tuple(strengths), sharpness)
