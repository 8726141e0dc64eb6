"""Linear discriminant analysis on a frozen encoder, with and without the refinement that `mecoin+` has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ninefold_graphs import Graph

from mecoin.baselines._options import Tunable
from mecoin.memory._construction import Whitened
from mecoin.memory._refine import refine
from mecoin.memory._smu import Smu

SHRINKAGES = (0.01, 0.03, 0.1, 0.3)


class SgcLda(Tunable):
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
        z = self.encoder.embed(graph)
        self.space = Whitened(self.shrinkage, self.encoder.parts)
        self.space.fit(z, support, self.seed)
        self.smu = Smu(np.zeros((0, z.shape[1]), np.float32), np.zeros(0, np.int64))
        self.smu = self.smu.extended(self._means(graph, support, 0))

    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        self.smu = self.smu.extended(self._means(graph, support, int(self.rounds)))

    def _means(self, graph: Graph, support: Mapping[int, np.ndarray], rounds: int) -> Smu:
        keys = self.space.keys(self.encoder.embed(graph))
        means = np.stack([keys[places].mean(0) for places in support.values()])
        new = Smu(means, np.array(list(support), np.int64))
        return refine(self.smu, new, keys, list(support.values()), rounds) if rounds else new

    def _scores(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        return self.smu.closeness(self.space.keys(self.encoder.embed(graph)[places]))

    def memory_bytes(self) -> int:
        """Means and whitening matrix."""
        return self.smu.prototypes.nbytes + sum(array.nbytes for array in self.space.arrays().values())


class SgcLdaEm(SgcLda):
    """SGC-LDA that is given the unlabelled nodes as `mecoin+` is."""

    name = "SGC-LDA + EM"
    rounds: int = 3


class Lda(SgcLda):
    """LDA on the encoder of `mecoin+`, without unlabelled nodes."""

    name = "LDA"
    source = "control: the encoder of mecoin+, and nothing else of it"
    encoder_kind = "both"


class LdaEm(Lda):
    """LDA on the encoder of `mecoin+`, with the same unlabelled nodes."""

    name = "LDA + EM"
    rounds: int = 3
