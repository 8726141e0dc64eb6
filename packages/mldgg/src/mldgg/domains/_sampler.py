"""Neighbour sampling from compressed rows, in plain torch: no compiled extension."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from ninefold.errors import InputError
from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """A sampled subgraph.

    Attributes:
        nodes: (n,) global indices; the seeds come first, in their order.
        edge_index: (2, e) edges from a sampled neighbour (row 0) to the node that drew it (row 1), local indices.
        edge_id: (e,) position of each edge in the sampler's sorted edges.
        seeds: number of seeds.
    """

    nodes: Tensor
    edge_index: Tensor
    edge_id: Tensor
    seeds: int


class NeighborSampler:
    """Draws neighbours hop by hop. The same generator state gives the same sample.

    Args:
        edge_index: (2, E) edges from source (row 0) to destination (row 1); neighbours of a node are its sources.
        num_nodes: number of nodes.
        fanouts: neighbours drawn in each hop; -1 takes all.
        replace: draw with replacement, which is faster; else each neighbour at most once.
    """

    def __init__(self, edge_index: Tensor, num_nodes: int, fanouts: Sequence[int], *, replace: bool = False) -> None:
        if not fanouts or any(one < -1 or one == 0 for one in fanouts):
            raise InputError("fanouts", got=list(fanouts), expected="positive numbers, or -1 for all neighbours")
        edge_index = torch.as_tensor(edge_index)
        order = torch.argsort(edge_index[1], stable=True)
        self.sources = edge_index[0][order]
        self.starts = torch.zeros(num_nodes + 1, dtype=torch.long)
        self.starts[1:] = torch.bincount(edge_index[1], minlength=num_nodes).cumsum(0)
        self.fanouts, self.replace, self.num_nodes = tuple(fanouts), replace, num_nodes

    def sample(self, seeds: Tensor, generator: torch.Generator | None = None) -> Sample:
        """Draw the neighbourhood of (n,) distinct seed nodes."""
        nodes, frontier = seeds, seeds
        place = torch.full((self.num_nodes,), -1, dtype=torch.long)
        place[seeds] = torch.arange(seeds.numel())
        rows, columns, ids = [], [], []
        for fanout in self.fanouts:
            owner, edges = self._draw(frontier, fanout, generator)
            drawn = self.sources[edges]
            unseen = drawn[place[drawn] < 0]
            place[unseen] = self.num_nodes  # marks each once, without a sort
            fresh = (place == self.num_nodes).nonzero()[:, 0]
            place[fresh] = torch.arange(nodes.numel(), nodes.numel() + fresh.numel())
            nodes = torch.cat([nodes, fresh])
            rows.append(place[drawn])
            columns.append(place[frontier[owner]])
            ids.append(edges)
            frontier = fresh
        return Sample(nodes, torch.stack([torch.cat(rows), torch.cat(columns)]), torch.cat(ids), seeds.numel())

    def batches(self, nodes: Tensor, size: int, generator: torch.Generator) -> Iterator[Sample]:
        """Samples around all `nodes`, shuffled, `size` seeds at a time."""
        for seeds in nodes[torch.randperm(nodes.numel(), generator=generator)].split(size):
            yield self.sample(seeds, generator)

    def _draw(self, nodes: Tensor, fanout: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """(place of the drawing node in `nodes`, position of the drawn edge), sorted by the first."""
        start, degree = self.starts[nodes], self.starts[nodes + 1] - self.starts[nodes]
        if fanout == -1:
            return self._all(start, degree)
        if self.replace:
            owner = torch.arange(nodes.numel()).repeat_interleave(degree.clamp(max=fanout))
            shift = (torch.rand(owner.numel(), generator=generator) * degree[owner]).long()
            return owner, start[owner] + shift.clamp(max=degree[owner] - 1)
        owner, edges = self._all(start, degree.clamp(max=fanout))  # right where there are no more than fanout
        many = (degree > fanout).nonzero()[:, 0]
        if many.numel():
            first = degree.clamp(max=fanout).cumsum(0)[many] - fanout
            edges[first[:, None] + torch.arange(fanout)] = start[many][:, None] + _floyd(
                degree[many], fanout, generator
            )
        return owner, edges

    @staticmethod
    def _all(start: Tensor, degree: Tensor) -> tuple[Tensor, Tensor]:
        owner = torch.arange(start.numel()).repeat_interleave(degree)
        before = degree.cumsum(0) - degree
        return owner, start[owner] + torch.arange(owner.numel()) - before[owner]


def _floyd(sizes: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """(n, count) distinct numbers below each of (n,) sizes > count, all rows at once (Floyd's sampling)."""
    guesses = torch.rand(count, sizes.numel(), generator=generator)
    chosen = torch.full((count, sizes.numel()), -1, dtype=torch.long)
    for step in range(count):
        last = sizes - count + step
        guess = (guesses[step] * (last + 1)).long().minimum(last)
        known = (chosen[:step] == guess).any(dim=0)
        chosen[step] = torch.where(known, last, guess)
    return chosen.T
