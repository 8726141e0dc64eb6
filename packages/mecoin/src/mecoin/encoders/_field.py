"""What the encoding of some nodes depends on: all of it, or so much that a step of training stays small.

PyG's samplers need compiled extensions; rows of a compressed sparse matrix are all that is wanted here.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from ninefold_graphs import Graph, Sparse


def receptive_field(graph: Graph, places: np.ndarray, hops: int = 2) -> tuple[np.ndarray, list[Sparse]]:
    """What the encoding of some nodes depends on.

    Returns:
        places of the nodes whose features are needed, and one block of the normalised adjacency a hop, innermost first:
        (rows of the next layer's nodes, columns of this layer's). `Gcn(features[places], blocks)` are exact rows.
    """
    return _field(graph, places, hops, None, None)


def sampled_field(
    graph: Graph, places: np.ndarray, fanout: int, draws: np.random.Generator, hops: int = 2
) -> tuple[np.ndarray, list[Sparse]]:
    """As `receptive_field`, with at most `fanout` edges of each node, drawn anew for each hop.

    What stays of a row is weighted by how much was left out, so that a layer's sums are right on average. The cost is
    bounded by len(places) * fanout^hops, whatever the size of the graph. (GraphSAGE, arXiv 1706.02216, section 3.1.)
    """
    return _field(graph, places, hops, fanout, draws)


def _field(
    graph: Graph, places: np.ndarray, hops: int, fanout: int | None, draws: np.random.Generator | None
) -> tuple[np.ndarray, list[Sparse]]:
    blocks: list[Sparse] = []
    rows = np.asarray(places)
    for _ in range(hops):
        block = graph.normalized[rows]
        if fanout is not None and draws is not None:
            block = thinned(block, fanout, draws)
        columns = np.unique(block.indices)
        blocks.insert(0, sp.csr_array(block[:, columns]))
        rows = columns
    return rows, blocks


def thinned(matrix: Sparse, fanout: int, draws: np.random.Generator) -> Sparse:
    """At most `fanout` entries of each row, drawn without replacement and times entries / fanout; float32."""
    counts = np.diff(matrix.indptr)
    row = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((draws.random(row.size, np.float32), row))
    kept = order[np.arange(row.size) - matrix.indptr[row] < fanout]
    weights = matrix.data[kept] * np.maximum(counts / fanout, 1).astype(np.float32)[row[kept]]
    ends = np.concatenate([[0], np.cumsum(np.minimum(counts, fanout))])
    return sp.csr_array((weights, matrix.indices[kept], ends), shape=matrix.shape)
