"""What a network sees of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ninefold_graphs import Graph
from torch import Tensor

from mldgg.encoders._sparse import Sparse


@dataclass(frozen=True, eq=False)
class GraphTensors:
    """Tensors of one graph.

    Attributes:
        name: of the graph, for messages.
        x: (N, D) input, a tensor or a `Sparse` matrix.
        hop: normalised adjacency with self-loops.
        edge_index: (2, E); `edge_weight` (E,), ones unless a gate has set them.
        y: (N,) labels, -1 where unknown.
        classes: number of classes.
    """

    name: str
    x: Tensor | Sparse
    hop: Sparse
    edge_index: Tensor
    edge_weight: Tensor
    y: Tensor
    classes: int

    @classmethod
    def of(cls, graph: Graph, x: Any, weight: np.ndarray | None = None) -> GraphTensors:
        """Tensors of `graph` with (N, D) input `x` and (E,) edge weights."""
        hop = Sparse(graph.step(weight), symmetric=True)
        weights = np.ones(graph.edge_index.shape[1], np.float32) if weight is None else weight.astype(np.float32)
        rows = torch.from_numpy(np.ascontiguousarray(x, np.float32)) if isinstance(x, np.ndarray) else Sparse(x)
        return cls(
            graph.name, rows, hop, torch.from_numpy(graph.edge_index), torch.from_numpy(weights),
            torch.from_numpy(graph.y), len(graph.classes),
        )  # fmt: skip

    def __len__(self) -> int:
        return self.y.numel()

    @property
    def width(self) -> int:
        """Columns of the input."""
        return int(tuple(self.x.shape)[1])
