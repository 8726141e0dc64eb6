"""The publication's encoder: two graph convolutions, a linear classifier beside them.

The convolutions are written on scipy's sparse product, which is four times as fast on a CPU as PyG's layers
(`experiments/benchmarks/bench_embed.py`), and takes sparse features as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from ninefold_graphs import Features, Graph, Sparse
from torch import Tensor, nn
from torch.nn import functional as F

from mecoin.encoders._encoder import Encoder, train_encoder
from mecoin.encoders._field import sampled_field

WHOLE_GRAPH_NODES = 200_000  # nodes up to which a step of training encodes the whole graph
BATCH, FANOUT = 1024, 15  # beyond: labelled nodes a step, edges of a node that a step follows
VALIDATION_NODES = 10_000  # and validation nodes at most


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
        """x (n, d), blocks: [adjacency] * 2 for the whole graph, or those of `receptive_field` -> (m, h).

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


class GcnEncoder(Encoder):
    """The publication's encoder: GCN d -> 2h -> h and a linear classifier, Adam, early stop on base validation.

    A graph of more than `WHOLE_GRAPH_NODES` nodes is trained on by batches of labelled nodes, whose neighbourhoods are
    drawn for them.

    Examples:
        >>> import numpy as np
        >>> from mecoin import GcnEncoder, Simulated
        >>> graph = Simulated(classes=3, topics=1, largest=30, smallest=20, vocabulary=40).draw(0)
        >>> nodes = np.random.default_rng(0).permutation(len(graph))
        >>> GcnEncoder(8, epochs=10).fit(graph, nodes[:40], nodes[40:]).embed(graph).shape == (len(graph), 8)
        True
    """

    kind = "gcn"
    version = 2

    def __init__(self, hidden: int = 128, epochs: int = 2000, lr: float = 5e-3, weight_decay: float = 5e-4) -> None:
        super().__init__()
        self.dim, self.epochs, self.lr, self.weight_decay = hidden, epochs, lr, weight_decay
        self.classes = np.zeros(0, np.int64)

    def fit(self, graph: Graph, train: np.ndarray, validation: np.ndarray, seed: int = 0) -> GcnEncoder:
        """Cross-entropy on the training nodes; checks every 10 epochs, stops after 10 checks without a gain."""
        torch.manual_seed(seed)
        self._embeddings.clear()
        self.width, self.classes = graph.width, np.unique(graph.y[train])
        self.module, self.classifier = Gcn(graph.width, self.dim), nn.Linear(self.dim, self.classes.size)
        encode, batch = self._whole(graph), None
        if len(graph) > WHOLE_GRAPH_NODES:
            draws = np.random.default_rng(seed)
            encode, batch = self._drawn(graph, draws), BATCH
            if len(validation) > VALIDATION_NODES:
                validation = draws.choice(validation, VALIDATION_NODES, replace=False)
        train_encoder(
            self.module, self.classifier, encode, graph.y, train, validation,
            epochs=self.epochs, lr=self.lr, weight_decay=self.weight_decay, batch=batch,
        )  # fmt: skip
        return self

    def _whole(self, graph: Graph) -> Callable[[np.ndarray], Tensor]:
        x, blocks = gathered(graph.x, [graph.normalized] * 2)
        return lambda places: self.module(x, blocks)[places]

    def _drawn(self, graph: Graph, draws: np.random.Generator) -> Callable[[np.ndarray], Tensor]:
        def encode(places: np.ndarray) -> Tensor:
            rows, blocks = sampled_field(graph, places, FANOUT, draws)
            return self.module(graph.x[rows], blocks)

        return encode

    def _embed(self, graph: Graph) -> np.ndarray:
        with torch.no_grad():
            return self.module(graph.x, [graph.normalized] * 2).numpy()

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights of the convolutions and of the base classifier, and the classes it knows."""
        named = {f"gcn.{key}": value.numpy() for key, value in self.module.state_dict().items()}
        named |= {f"classifier.{key}": value.numpy() for key, value in self.classifier.state_dict().items()}
        return named | {"classes": self.classes}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""
        self.classes, weight = arrays["classes"], arrays["gcn.weight1"]
        self.width, self.dim = weight.shape[0], weight.shape[1] // 2
        self.module, self.classifier = Gcn(self.width, self.dim), nn.Linear(self.dim, self.classes.size)
        for prefix, part in (("gcn.", self.module), ("classifier.", self.classifier)):
            part.load_state_dict(
                {key.removeprefix(prefix): torch.from_numpy(arrays[key]) for key in arrays if key.startswith(prefix)}
            )
        for part in (self.module, self.classifier):
            part.eval().requires_grad_(False)
