"""PyTorch Geometric's `Data` in and out; the one module that imports it (extra `pyg`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from ninefold.errors import InputError, require

from ninefold_graphs._graph import Graph, array_of


def from_pyg(data: Any) -> Graph:
    """A `torch_geometric.data.Data` with x, edge_index and y as a Graph.

    `data.node_ids`, if set, names the nodes, and `data.class_names` the classes, by the codes in y; -1 is unknown.

    Raises: InputError if one of the three is missing or wrong.
    """
    for name in ("x", "edge_index", "y"):
        if getattr(data, name, None) is None:
            raise InputError(f"data.{name}", got="none", expected="a Data object with x, edge_index and y")
    ids, names = getattr(data, "node_ids", None), getattr(data, "class_names", None)
    labels = array_of(data.y).ravel()
    if names is not None:
        if labels.size and labels.max() >= len(names):
            expected = f"{int(labels.max()) + 1}, as y has codes"
            raise InputError("data.class_names", got=f"{len(names)} names", expected=expected)
        labels = [names[code] if code >= 0 else None for code in labels.tolist()]
    return Graph.of(data.x, data.edge_index, labels, ids=ids, undirected=False)


def to_pyg(graph: Graph) -> Any:
    """A Graph as `torch_geometric.data.Data`: x dense, y as codes, `node_ids`, and `class_names`."""
    torch = require("torch", "mecoin", "pyg")
    data = require("torch_geometric.data", "mecoin", "pyg")
    dense = graph.x if isinstance(graph.x, np.ndarray) else graph.x.toarray()
    made = data.Data(
        x=torch.from_numpy(dense), edge_index=torch.from_numpy(graph.edge_index), y=torch.from_numpy(graph.y)
    )
    made.node_ids, made.class_names = torch.from_numpy(graph.ids), list(graph.names)
    return made
