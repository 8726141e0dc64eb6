"""Graph attention as an encoder: two layers of PyG's GATConv, 8 heads (extra `pyg`)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
import torch
from ninefold.errors import require
from ninefold_graphs import Graph
from torch import Tensor, nn
from torch.nn import functional as F

from mecoin.encoders._encoder import Encoder, train_encoder


class Gat(nn.Module):
    """d -> 2h (8 heads) -> h, ELU and dropout between."""

    def __init__(self, width: int, hidden: int, heads: int = 8) -> None:
        super().__init__()
        with warnings.catch_warnings(action="ignore"):  # what PyG says at import is not the user's concern
            convolution = require("torch_geometric.nn", "mecoin", "pyg").GATConv
        self.first = convolution(width, max(1, 2 * hidden // heads), heads=heads, dropout=0.5)
        self.second = convolution(max(1, 2 * hidden // heads) * heads, hidden, heads=1, dropout=0.5)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """x (n, d), edges (2, E) -> (n, h)."""
        inner = F.dropout(F.elu(self.first(x, edges)), 0.5, self.training)
        return self.second(inner, edges)


class GatEncoder(Encoder):
    """As `GcnEncoder`, with attention; features are made dense."""

    kind = "gat"

    def __init__(self, hidden: int = 128, epochs: int = 2000, lr: float = 5e-3, weight_decay: float = 5e-4) -> None:
        super().__init__()
        self.dim, self.epochs, self.lr, self.weight_decay = hidden, epochs, lr, weight_decay

    def fit(self, graph: Graph, train: np.ndarray, validation: np.ndarray, seed: int = 0) -> GatEncoder:
        """Cross-entropy on the training nodes, early stop on the validation nodes."""
        torch.manual_seed(seed)
        self._embeddings.clear()
        self.width, self.classes = graph.width, np.unique(graph.y[train])
        self.module, classifier = Gat(graph.width, self.dim), nn.Linear(self.dim, self.classes.size)
        x, edges = dense(graph), torch.from_numpy(graph.edge_index)
        train_encoder(
            self.module, classifier, lambda places: self.module(x, edges)[places], graph.y, train, validation,
            epochs=self.epochs, lr=self.lr, weight_decay=self.weight_decay,
        )  # fmt: skip
        return self

    def _embed(self, graph: Graph) -> np.ndarray:
        with torch.no_grad():
            return self.module(dense(graph), torch.from_numpy(graph.edge_index)).numpy()

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights of both layers."""
        return {key: value.numpy() for key, value in self.module.state_dict().items()}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""
        self.dim, self.width = arrays["second.bias"].shape[0], arrays["first.lin.weight"].shape[1]
        self.module = Gat(self.width, self.dim)
        self.module.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
        self.module.eval().requires_grad_(False)


def dense(graph: Graph) -> Tensor:
    """(n, d) features as a dense tensor."""
    return torch.from_numpy(graph.x.toarray() if sp.issparse(graph.x) else graph.x)
