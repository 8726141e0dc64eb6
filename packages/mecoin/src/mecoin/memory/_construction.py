"""Keys of nodes: by MeCs and GraphInfo (the publication), or whitened (ours). Learnt in the base session, then fixed.

Keys query the *base* prototypes in every session: would they query prototypes that come later, then the keys of old
classes' nodes would move away from the prototypes that were made of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from mecoin.memory._edge_loss import edge_loss
from mecoin.memory._graphinfo import graphinfo_projection
from mecoin.memory._mecs import MeCs


class Construction(ABC):
    """Encoder output (n, m) -> keys (n, k)."""

    @abstractmethod
    def fit(self, z: np.ndarray, support: Mapping[int, np.ndarray], seed: int) -> None:
        """Learn from the base classes: support gives each class's rows of z."""

    @abstractmethod
    def features(self, z: np.ndarray) -> np.ndarray:
        """What the head takes: z at a fixed scale."""

    @abstractmethod
    def keys(self, z: np.ndarray) -> np.ndarray:
        """(n, m) -> (n, k) float32."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """What it learnt: constant, whatever the number of classes."""

    @abstractmethod
    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""


def whitening(z: np.ndarray, support: Mapping[int, np.ndarray], shrinkage: float = 0.1) -> np.ndarray:
    """(m, m) float32 W with W W^T the inverse of the shrunk pooled within-class covariance of z.

    Args:
        z: (n, m).
        support: by class the rows of z that are labelled with it.
        shrinkage: weight of the scaled identity.
    Euclidean distances of z W are Mahalanobis distances of z: nearest means there are linear discriminant analysis.
    """
    residuals = np.concatenate([z[rows] - z[rows].mean(axis=0) for rows in support.values()]).astype(np.float64)
    covariance = residuals.T @ residuals / len(residuals)
    m = len(covariance)
    level = max(float(np.trace(covariance)) / m, 1e-12)
    values, vectors = np.linalg.eigh((1 - shrinkage) * covariance + shrinkage * level * np.eye(m))
    return (vectors * np.maximum(values, 1e-12 * level) ** -0.5).astype(np.float32)


class Whitened(Construction):
    """Keys are z of unit length in the space where base classes are round. Ours."""

    def __init__(self, shrinkage: float = 0.1) -> None:
        self.shrinkage = shrinkage

    def fit(self, z: np.ndarray, support: Mapping[int, np.ndarray], seed: int) -> None:  # noqa: ARG002
        """The pooled within-class covariance of the base classes' labelled nodes."""
        self.transform = whitening(unit(z), support, self.shrinkage)

    def features(self, z: np.ndarray) -> np.ndarray:
        """The keys, scaled to about unit length."""
        return self.keys(z) / np.float32(np.sqrt(z.shape[1]))

    def keys(self, z: np.ndarray) -> np.ndarray:
        """(n, m) -> (n, m)."""
        return unit(z) @ self.transform

    def arrays(self) -> dict[str, np.ndarray]:
        """The whitening matrix."""
        return {"transform": self.transform}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""
        self.transform = arrays["transform"]


@dataclass(frozen=True)
class Published:
    """Settings of `Constructed`; switches are for ablations.

    Attributes:
        readout: dimensions of H'.
        graphinfo: dimensions of G.
        edge: weight of the edge loss.
        mecs: have H' in the key.
        info: have G in the key.
        tau: temperature of soft matching, by which gradients reach W_Q, W_K and W_V.
    """

    readout: int = 64
    graphinfo: int = 13
    edge: float = 0.1
    mecs: bool = True
    info: bool = True
    tau: float = 0.01
    steps: int = 150
    lr: float = 5e-3
    batch: int = 256


class Constructed(Construction):
    """kappa = [H' ; G]: MeCs' read-out beside GraphInfo (paper).

    In the base session there are no old prototypes to query: MeCs queries the base classes' prototypes of GraphInfo.
    """

    def __init__(self, settings: Published) -> None:
        self.settings = settings

    def fit(self, z: np.ndarray, support: Mapping[int, np.ndarray], seed: int) -> None:
        """Train MeCs by soft matching of base nodes to base prototypes, and by the edge loss."""
        settings, generator = self.settings, torch.Generator().manual_seed(seed)
        self.scale = np.float32(1 / max(float(np.linalg.norm(z, axis=1).mean()), 1e-12))
        self.projection = graphinfo_projection(z.shape[1], settings.graphinfo, seed)
        self.mecs = MeCs(z.shape[1], settings.graphinfo, settings.readout, generator)
        x = torch.from_numpy(z[np.concatenate(list(support.values()))] * self.scale)
        y = torch.from_numpy(np.repeat(np.arange(len(support)), [len(rows) for rows in support.values()]))
        self.attended = _means(x @ torch.from_numpy(self.projection), y, len(support))
        if not settings.mecs:
            return
        optimiser = torch.optim.Adam(self.mecs.parameters(), lr=settings.lr)
        for _ in range(settings.steps):
            some = torch.randint(len(x), (min(settings.batch, len(x)),), generator=generator)
            optimiser.zero_grad()
            self._loss(x[some], y[some]).backward()
            optimiser.step()
        self.mecs.requires_grad_(False)

    def _loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of soft matching to the means of the batch's classes, and the edge loss."""
        keys, (present, target) = self._keys(x), torch.unique(y, return_inverse=True)
        squares = (keys[:, None] - _means(keys, target, len(present))[None]).square().sum(2)
        loss = F.cross_entropy(-squares / self.settings.tau, target)
        return loss + self.settings.edge * edge_loss(keys, x) if self.settings.edge else loss

    def _keys(self, x: torch.Tensor) -> torch.Tensor:
        parts = []
        if self.settings.mecs:
            parts.append(self.mecs(x, self.attended))
        else:
            parts.append(x.new_zeros(len(x), self.settings.readout))
        info = x @ torch.from_numpy(self.projection)
        parts.append(info if self.settings.info else torch.zeros_like(info))
        return torch.cat(parts, dim=1)

    def features(self, z: np.ndarray) -> np.ndarray:
        """z of about unit length."""
        return z * self.scale

    def keys(self, z: np.ndarray) -> np.ndarray:
        """(n, m) -> (n, readout + graphinfo)."""
        with torch.no_grad():
            return self._keys(torch.from_numpy(z * self.scale)).numpy()

    def arrays(self) -> dict[str, np.ndarray]:
        """Projections of MeCs and GraphInfo, and the base prototypes that are queried."""
        named = {f"mecs.{key}": value.numpy() for key, value in self.mecs.state_dict().items()}
        scale = np.array([self.scale], np.float32)
        return named | {"projection": self.projection, "attended": self.attended.numpy(), "scale": scale}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""
        self.projection, self.scale = arrays["projection"], arrays["scale"][0]
        self.attended = torch.from_numpy(arrays["attended"])
        width, readout = arrays["mecs.readout"].shape
        self.mecs = MeCs(width, self.attended.shape[1], readout, torch.Generator())
        state = {key.removeprefix("mecs."): torch.from_numpy(arrays[key]) for key in arrays if key.startswith("mecs.")}
        self.mecs.load_state_dict(state)
        self.mecs.requires_grad_(False)


def _means(x: torch.Tensor, y: torch.Tensor, classes: int) -> torch.Tensor:
    """(classes, k) mean of the rows of x in each class."""
    sums = x.new_zeros(classes, x.shape[1]).index_add(0, y, x)
    return sums / torch.bincount(y, minlength=classes)[:, None]


def unit(z: np.ndarray) -> np.ndarray:
    """Rows at length 1; rows of zeros stay."""
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
