"""Linear discriminant analysis on a frozen encoder, with and without the refinement that `mecoin+` has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ninefold_graphs import Graph, whitening

from mecoin.memory._smu import Smu, refine, unit
from mecoin.protocol._learner import Learner

SHRINKAGES = (0.01, 0.03, 0.1, 0.3)


class SgcLda(Learner):
    """Class means, frozen in their session; one covariance, of the base classes, shrunk toward its mean variance.

    Score z' S^-1 mu - mu' S^-1 mu / 2: classes count alike, however many nodes they have.

    Attributes:
        shrinkage: of the covariance.
        rounds: of expectation-maximisation with the unlabelled nodes of a session's graph.
    """

    name = "SGC-LDA"
    source = "training-free; SGC: Wu et al. 2019, arXiv 1902.07153; LDA: Fisher 1936"
    encoder_kind = "sgc"
    grid = tuple({"shrinkage": value} for value in SHRINKAGES)
    shrinkage: float = 0.1
    rounds: int = 0

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        self.transform = whitening(unit(self.encoder.embed(graph)), support, self.shrinkage)
        self.smu = Smu.means(self._keys(graph), support)

    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        keys = self._keys(graph)
        new = Smu.means(keys, support)
        if self.rounds:
            new = refine(self.smu, new, keys, list(support.values()), int(self.rounds))
        self.smu = self.smu.extended(new)

    def _keys(self, graph: Graph) -> np.ndarray:
        return unit(self.encoder.embed(graph)) @ self.transform

    def _scores(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        return self.smu.closeness(self._keys(graph)[places])

    def memory_bytes(self) -> int:
        """Means and whitening matrix."""
        return self.smu.prototypes.nbytes + self.transform.nbytes


class SgcLdaEm(SgcLda):
    """SGC-LDA that is given the unlabelled nodes as `mecoin+` is."""

    name = "SGC-LDA + EM"
    rounds: int = 3


class Lda(SgcLda):
    """LDA on the encoder of `mecoin+`, without unlabelled nodes."""

    name = "LDA"
    source = "control: the encoder of mecoin+, and nothing else of it"
    encoder_kind = "gcn"


class LdaEm(Lda):
    """LDA on the encoder of `mecoin+`, with the same unlabelled nodes."""

    name = "LDA + EM"
    rounds: int = 3
