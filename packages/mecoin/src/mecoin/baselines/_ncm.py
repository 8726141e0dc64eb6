"""Nearest class mean on a frozen encoder."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ninefold_graphs import Graph

from mecoin.memory._smu import unit
from mecoin.protocol._learner import Learner


class SgcNcm(Learner):
    """Class means, frozen in the session that brought the class; cosine similarity."""

    name = "SGC-NCM"
    source = "training-free; SGC: Wu et al. 2019, arXiv 1902.07153; nearest class mean: Mensink et al. 2013"
    encoder_kind = "sgc"

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        self.means = np.zeros((0, self.encoder.dim), np.float32)
        self._add(graph, support)

    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        z = unit(self.encoder.embed(graph))
        self.means = np.concatenate([self.means, *(z[places].mean(0, keepdims=True) for places in support.values())])

    def _scores(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        return unit(self.encoder.embed(graph)[places]) @ unit(self.means).T

    def memory_bytes(self) -> int:
        """The means."""
        return self.means.nbytes
