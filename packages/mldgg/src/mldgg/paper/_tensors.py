"""What the network sees of a graph, and dropout whose masks stay fixed within one inner trajectory."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ninefold_graphs import Graph
from torch import Tensor


@dataclass(frozen=True, eq=False)
class GraphTensors:
    """Tensors of one graph.

    Attributes:
        name: of the graph, for messages.
        x: (N, D) features, dense or CSR.
        hop: (N, N) normalised adjacency with self-loops, CSR.
        y: (N,) labels, -1 where unknown.
        classes: number of classes.
    """

    name: str
    x: Tensor
    hop: Tensor
    y: Tensor
    classes: int

    @classmethod
    def of(cls, graph: Graph) -> GraphTensors:
        """Tensors of `graph`."""
        x = torch.from_numpy(graph.x) if isinstance(graph.x, np.ndarray) else csr_of(graph.x)
        return cls(graph.name, x, csr_of(graph.normalized), torch.from_numpy(graph.y), len(graph.classes))

    def __len__(self) -> int:
        return self.y.numel()

    @property
    def width(self) -> int:
        """Columns of the features."""
        return self.x.shape[1]


class Masks:
    """Draws the mask of each place in the network from (seed, place).

    Args:
        seed: another one for each trajectory.
        rate: share of entries that is dropped; 0 or `seed` None leaves all.
    """

    def __init__(self, seed: int | None = None, rate: float = 0.0) -> None:
        self.seed, self.rate = seed, rate

    def __call__(self, z: Tensor, place: int) -> Tensor:
        """`z` with a share of its entries dropped and the others scaled up."""
        if self.seed is None or self.rate == 0:
            return z
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + place) % 2**63)
        kept = torch.rand(z.shape, generator=generator) >= self.rate
        return z * kept / (1 - self.rate)


def csr_of(matrix: Any) -> Tensor:
    """A scipy CSR matrix as a torch one, whose product with a dense matrix torch differentiates twice."""
    parts = (torch.from_numpy(np.array(part)) for part in (matrix.indptr, matrix.indices, matrix.data))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Ss]parse CSR tensor support is in beta.*")
        return torch.sparse_csr_tensor(*parts, size=matrix.shape, check_invariants=False)
