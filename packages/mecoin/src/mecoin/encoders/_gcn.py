"""The publication's encoders: two graph convolutions, or two layers of attention, with a linear classifier.

The convolutions are written on scipy's sparse product, which is four times as fast on a CPU as PyG's layers
(`experiments/benchmarks/bench_add.py`), and takes sparse features as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from ninefold.errors import InputError, require
from ninefold_graphs import Features, Graph, Sparse
from torch import Tensor, nn
from torch.nn import functional as F

from mecoin.encoders._encoder import TrainedEncoder, dense


class _Gather(torch.autograd.Function):
    """sparse (m, n) @ dense (n, h) with a gradient for the dense factor; scipy does it without copies of edges."""

    @staticmethod
    def forward(ctx: Any, matrix: Sparse, dense: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.matrix = matrix
        return torch.from_numpy(matrix @ dense.detach().numpy())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None, torch.from_numpy(ctx.matrix.T @ grad.contiguous().numpy())


def gather(matrix: Sparse, dense: Tensor) -> Tensor:
    """Sparse (m, n) times dense (n, h) float32 -> (m, h), differentiable in `dense`."""
    return _Gather.apply(matrix, dense)  # pyright: ignore[reportReturnType]


def relu_drop_half(x: Tensor) -> Tensor:
    """ReLU, then dropout at rate .5: one product, and one random bit an entry, far cheaper than a random number."""
    bits = torch.randint(256, ((x.numel() + 7) // 8,), dtype=torch.uint8).numpy()
    kept = torch.from_numpy(np.unpackbits(bits, count=x.numel()).reshape(x.shape))
    kept &= x.detach() > 0
    return x * kept.float().mul_(2)


class Gcn(nn.Module):
    """Two graph convolutions, d -> 2h -> h, ReLU and dropout .5 between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.weight1 = nn.Parameter(nn.init.xavier_uniform_(torch.empty(width, 2 * hidden)))
        self.bias1 = nn.Parameter(torch.zeros(2 * hidden))
        self.weight2 = nn.Parameter(nn.init.xavier_uniform_(torch.empty(2 * hidden, hidden)))
        self.bias2 = nn.Parameter(torch.zeros(hidden))

    def forward(self, x: Features, blocks: Sequence[Sparse]) -> Tensor:
        """x (n, d), blocks: [adjacency] * 2 for the whole graph, or parts of it (n, n') and (m, n) -> (m, h).

        The first block is None where x has been gathered over it already (`gathered`).
        """
        first = gather(x, self.weight1) if sp.issparse(x) else torch.from_numpy(x) @ self.weight1
        inner = (first if blocks[0] is None else gather(blocks[0], first)) + self.bias1
        inner = relu_drop_half(inner) if self.training else F.relu(inner)
        return gather(blocks[1], inner @ self.weight2) + self.bias2


def gathered(x: Features, blocks: Sequence[Sparse]) -> tuple[Features, list[Sparse]]:
    """The same input of `Gcn`, its first block applied once for all if x is (nearly) dense: steps are then cheap."""
    if sp.issparse(x) and x.nnz < 0.05 * x.shape[0] * x.shape[1]:
        return x, list(blocks)
    dense = x.toarray() if sp.issparse(x) else x
    return np.ascontiguousarray(blocks[0] @ dense, np.float32), [None, *blocks[1:]]


class GcnEncoder(TrainedEncoder):
    """The publication's encoder: GCN d -> 2h -> h and a linear classifier.

    Examples:
        >>> import numpy as np
        >>> from mecoin import GcnEncoder, Simulated
        >>> graph = Simulated(classes=3, topics=1, largest=30, smallest=20, vocabulary=40).draw(0)
        >>> nodes = np.random.default_rng(0).permutation(len(graph))
        >>> GcnEncoder(8, epochs=10).fit(graph, nodes[:40], nodes[40:]).embed(graph).shape == (len(graph), 8)
        True
    """

    kind, kernel, width_axis = "gcn", Gcn, ("gcn.weight1", 0)
    version = 2

    def _encoding(self, graph: Graph) -> Callable[[], Tensor]:
        x, blocks = gathered(graph.x, [graph.normalized] * 2)
        return lambda: self.module(x, blocks)

    def _embed(self, graph: Graph) -> np.ndarray:
        with torch.no_grad():
            return self.module(graph.x, [graph.normalized] * 2).numpy()


class Gat(nn.Module):
    """d -> 2h (8 heads) -> h by PyG's GATConv, ELU and dropout between (extra `pyg`)."""

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


class GatEncoder(TrainedEncoder):
    """As `GcnEncoder`, with attention; features are made dense. Graphs with edge weights are refused."""

    kind, kernel, width_axis = "gat", Gat, ("gat.first.lin.weight", 1)

    def _encoding(self, graph: Graph) -> Callable[[], Tensor]:
        if graph.weight is not None:
            hint = "or drop the weights, so that all edges count alike"
            raise InputError("encoder", got="gat, which ignores edge weights", expected="sgc or gcn", hint=hint)
        x, edges = dense(graph), torch.from_numpy(graph.edge_index)
        return lambda: self.module(x, edges)
