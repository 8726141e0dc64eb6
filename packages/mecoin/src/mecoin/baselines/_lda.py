"""SGC-LDA: linear discriminant analysis in the space of the training-free encoder."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mecoin.baselines._ncm import _unit
from mecoin.baselines._options import Tunable
from mecoin.graphs._graph import Graph


class SgcLda(Tunable):
    """Class means, frozen in their session; one covariance, of the base classes, shrunk toward its mean variance.

    Score z' S^-1 mu - mu' S^-1 mu / 2: classes count alike, however many nodes they have.
    """

    name = "SGC-LDA"
    source = "training-free; SGC: Wu et al. 2019, arXiv 1902.07153; LDA: Fisher 1936"
    encoder_kind = "sgc"
    grid = tuple({"shrinkage": value} for value in (0.001, 0.01, 0.1, 0.3))
    shrinkage: float = 0.1

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        z = _unit(self.encoder.embed(graph))
        inside = np.concatenate([z[places] - z[places].mean(0) for places in support.values()])
        self.precision = np.linalg.inv(shrunk_covariance(inside, self.shrinkage)).astype(np.float32)
        self.means = np.zeros((0, self.encoder.dim), np.float32)
        self._add(graph, support)

    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        z = _unit(self.encoder.embed(graph))
        self.means = np.concatenate([self.means, *(z[places].mean(0, keepdims=True) for places in support.values())])

    def _scores(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        weights = self.means @ self.precision
        return _unit(self.encoder.embed(graph)[places]) @ weights.T - 0.5 * (weights * self.means).sum(axis=1)

    def memory_bytes(self) -> int:
        """Means and precision matrix."""
        return self.means.nbytes + self.precision.nbytes


def shrunk_covariance(inside: np.ndarray, shrinkage: float) -> np.ndarray:
    """(1 - s) C + s tr(C)/d I of (n, d) deviations from class means, in float64; a flat C gives s I."""
    inside = inside.astype(np.float64)
    covariance = inside.T @ inside / max(len(inside), 1)
    spread = np.trace(covariance) / covariance.shape[0] or 1.0
    return (1 - shrinkage) * covariance + shrinkage * spread * np.eye(covariance.shape[0])
