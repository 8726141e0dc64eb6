"""The encoder that needs no training: words weighted by rarity, nodes at unit length, a truncated SVD, hops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from ninefold_graphs import Features, Graph

from mecoin.encoders._encoder import Encoder


class SgcEncoder(Encoder):
    """Simplified graph convolution without training: SVD of the features, then `hops` hops.

    Bags of words (sparse features) are weighted by inverse document frequency, and each node's at unit length, so that
    nodes with many words do not decide for their neighbours.

    Examples:
        >>> import numpy as np
        >>> from mecoin import SgcEncoder, Simulated
        >>> graph = Simulated(classes=3, topics=1, largest=30, smallest=20, vocabulary=40).draw(0)
        >>> nodes = np.random.default_rng(0).permutation(len(graph))
        >>> SgcEncoder(8).fit(graph, nodes[:40], nodes[40:]).embed(graph).shape == (len(graph), 8)
        True
    """

    kind = "sgc"
    version = 2

    def __init__(self, dim: int = 128, hops: int = 2) -> None:
        super().__init__()
        self.dim, self.hops = dim, hops

    def fit(self, graph: Graph, train: np.ndarray, validation: np.ndarray, seed: int = 0) -> SgcEncoder:  # noqa: ARG002  (labels are not needed)
        """Document frequencies and right singular vectors of the base session's nodes, labelled or not."""
        from sklearn.decomposition import TruncatedSVD

        self._embeddings.clear()
        self.width = graph.width
        words = sp.issparse(graph.x) and bool((graph.x.data >= 0).all())
        frequency = np.bincount(graph.x.indices, minlength=self.width) if words else np.zeros(self.width)
        self.weights = np.log((1 + len(graph)) / (1 + frequency)) if words else np.ones(self.width)
        self.weights = self.weights.astype(np.float32)
        self.unit = sp.issparse(graph.x)
        self.dim = max(1, min(self.dim, self.width, len(graph) - 1))
        if self.width == 1:  # which scikit-learn refuses; there is nothing to choose
            self.components = np.ones((1, 1), np.float32)
            return self
        svd = TruncatedSVD(self.dim, random_state=seed, n_iter=4)
        components: Any = svd.fit(self._weighted(graph.x)).components_
        self.components = components.T.astype(np.float32)
        return self

    def _weighted(self, x: Features) -> Features:
        """Weighted features; as in `fit` each node's at unit length or not, however the matrix is kept now."""
        if not sp.issparse(x):
            made = x * self.weights
            return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12) if self.unit else made
        made = sp.csr_array((x.data * self.weights[x.indices], x.indices, x.indptr), shape=x.shape)
        if not self.unit:
            return made
        length = np.sqrt(np.asarray((made * made).sum(axis=1)).ravel())
        made.data /= np.repeat(np.maximum(length, 1e-12), np.diff(made.indptr))
        return made

    def _embed(self, graph: Graph) -> np.ndarray:
        z = np.asarray(self._weighted(graph.x) @ self.components, np.float32)
        for _ in range(self.hops):
            z = graph.normalized @ z
        return z

    def arrays(self) -> dict[str, np.ndarray]:
        """IDF weights (d,), singular vectors (d, dim), hops (1,), whether nodes get unit length (1,)."""
        held = {"weights": self.weights, "components": self.components, "hops": np.array([self.hops])}
        return held | {"unit": np.array([self.unit], np.uint8)}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""
        self.weights, self.components, self.hops = arrays["weights"], arrays["components"], int(arrays["hops"][0])
        self.width, self.dim = self.components.shape
        self.unit = bool(arrays["unit"][0])
