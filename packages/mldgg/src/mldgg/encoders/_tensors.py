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
        y: (N,) labels, -1 where unknown.
        classes: number of classes.
    """

    name: str
    x: Tensor | Sparse
    hop: Sparse
    y: Tensor
    classes: int

    @classmethod
    def of(cls, graph: Graph, x: Any) -> GraphTensors:
        """Tensors of `graph` with (N, D) input `x`."""
        rows = torch.from_numpy(np.ascontiguousarray(x, np.float32)) if isinstance(x, np.ndarray) else Sparse(x)
        hop = Sparse(graph.step(None), symmetric=True)
        return cls(graph.name, rows, hop, torch.from_numpy(graph.y), len(graph.classes))

    def __len__(self) -> int:
        return self.y.numel()

    @property
    def width(self) -> int:
        """Columns of the input."""
        return int(tuple(self.x.shape)[1])
