"""The neighbour sampler against the definition of what it draws."""

from __future__ import annotations

import pytest
import torch
from mldgg import NeighborSampler
from ninefold.errors import InputError

from ..small import domains


def graph():
    one = domains()["north"]
    return torch.from_numpy(one.edge_index), len(one)


def neighbours(edges, node):
    return set(edges[0][edges[1] == node].tolist())


def test_all_neighbours_are_those_of_the_graph():
    edges, nodes = graph()
    sample = NeighborSampler(edges, nodes, [-1]).sample(torch.arange(10))
    drawn = sample.nodes[sample.edge_index]
    for node in range(10):
        assert set(drawn[0][drawn[1] == node].tolist()) == neighbours(edges, node)


@pytest.mark.parametrize("replace", [True, False])
def test_fanout_bounds_what_is_drawn_and_edges_are_real(replace):
    edges, nodes = graph()
    sample = NeighborSampler(edges, nodes, [3, 2], replace=replace).sample(
        torch.tensor([5, 0, 7]), torch.Generator().manual_seed(0)
    )
    assert sample.nodes[:3].tolist() == [5, 0, 7]
    assert sample.nodes.unique().numel() == sample.nodes.numel()
    known = set(map(tuple, edges.T.tolist()))
    drawn = sample.nodes[sample.edge_index].T.tolist()
    assert all(tuple(pair) in known for pair in drawn)
    first = sample.nodes[sample.edge_index[:, sample.edge_index[1] < 3]]
    for node in (5, 0, 7):
        own = first[0][first[1] == node].tolist()
        size = len(neighbours(edges, node))
        assert len(own) == min(3, size)
        if not replace:
            assert len(set(own)) == len(own)


def test_without_replacement_each_neighbour_is_as_likely():
    edges = torch.stack([torch.arange(1, 6), torch.zeros(5, dtype=torch.long)])
    sampler, generator = NeighborSampler(edges, 6, [2]), torch.Generator().manual_seed(0)
    counts = torch.zeros(6)
    for _ in range(3000):
        counts[sampler.sample(torch.tensor([0]), generator).nodes[1:]] += 1
    assert torch.allclose(counts[1:] / 3000, torch.full((5,), 0.4), atol=0.04)


def test_same_state_gives_the_same_batches_and_all_seeds_come():
    edges, nodes = graph()
    sampler = NeighborSampler(edges, nodes, [4, 4])

    def once():
        return list(sampler.batches(torch.arange(nodes), 32, torch.Generator().manual_seed(1)))

    first, again = once(), once()
    assert all(torch.equal(a.nodes, b.nodes) for a, b in zip(first, again, strict=True))
    seeds = torch.cat([one.nodes[: one.seeds] for one in first])
    assert seeds.sort().values.tolist() == list(range(nodes))


def test_node_without_neighbours_is_alone():
    sample = NeighborSampler(torch.zeros(2, 0, dtype=torch.long), 4, [2]).sample(torch.tensor([3]))
    assert sample.nodes.tolist() == [3]
    assert sample.edge_index.shape == (2, 0)


def test_bad_fanouts_are_refused():
    with pytest.raises(InputError, match="fanouts"):
        NeighborSampler(torch.zeros(2, 0, dtype=torch.long), 4, [0])
