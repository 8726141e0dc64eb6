"""PyTorch Geometric's `Data` in and out; the one module that imports it (extra `pyg`)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from ninefold.errors import InputError, require

from ninefold_graphs._doors import array_of
from ninefold_graphs._foreign import from_library, recoded
from ninefold_graphs._graph import Graph


def from_pyg(
    data: Any, name: str = "graph", *, classes: Sequence[Hashable] | None = None, directed: str = "keep"
) -> Graph:
    """A `torch_geometric.data.Data`, or anything with x, edge_index and optionally y, as a Graph; a Graph as it is.

    Graphs of networkx (node attributes `x` and `y`, edge attribute `weight`) and AnnData (`X`, `obsp`, a column of
    `obs` such as `label`) are accepted as well.

    Args:
        data: y has class codes, -1 where unknown; without it no label is known. `data.node_ids`, if set, names the
            nodes, and `data.class_names` (or `data.classes`) the classes. `data.edge_weight`, or an `edge_attr` of one
            number an edge, weights the edges; several attributes an edge, or several types of edges, are refused.
        name: how messages call the graph.
        classes: names of the classes by code, instead of the data's own.
        directed: what becomes of edges without their reverse: "keep", "refuse", or "symmetrise", which adds it.
    Raises: InputError if a part is missing or wrong, naming node, column or edge.

    Examples:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> from ninefold_graphs import from_pyg
        >>> data = Data(x=torch.eye(3), edge_index=torch.tensor([[0, 1], [1, 0]]), y=torch.tensor([0, 1, -1]))
        >>> from_pyg(data).y.tolist()
        [0, 1, -1]
    """
    if directed not in ("keep", "refuse", "symmetrise"):
        raise InputError("directed", got=repr(directed), expected="keep, refuse or symmetrise")
    if isinstance(data, Graph):
        return data
    foreign = from_library(data, name)
    if foreign is not None:
        return _with_directions(recoded(foreign, classes) if classes else foreign, directed, name)
    labels, given = array_of(getattr(data, "y", None)), getattr(data, "class_names", None)
    names = classes if classes is not None else given if given is not None else getattr(data, "classes", None)
    if names is not None and classes is None and labels is not None and np.size(labels):
        most = int(np.max(labels))
        if most >= len(names):
            raise InputError("data.class_names", got=f"{len(names)} names", expected=f"{most + 1}, as y has codes")
    ids = getattr(data, "node_ids", None)
    x, edges, weight = getattr(data, "x", None), getattr(data, "edge_index", None), _weight_of(data, name)
    how: dict[str, Any] = {"ids": ids, "classes": names, "name": name, "weight": weight}
    return _with_directions(Graph.of(x, edges, labels, undirected=False, **how), directed, name)


def _with_directions(made: Graph, directed: str, name: str) -> Graph:
    """The graph as it is, or with the reverse of each edge; InputError for a directed one that is to be refused."""
    if directed == "keep":
        return made
    both = made.symmetrised()
    missing = both.edge_index.shape[1] - made.edge_index.shape[1]
    if missing and directed == "refuse":
        got, where = f"a directed graph: {missing} edges have no reverse", f"graph {name!r}"
        hint = "symmetrise=True adds them"
        raise InputError("edge_index", got=got, expected="both directions", where=where, hint=hint)
    return both


def _weight_of(data: Any, name: str) -> Any:
    """Weights of the edges of PyG's data; None without any. InputError for what is more than one number an edge."""
    where = f"graph {name!r}"
    types = getattr(data, "edge_types", None)
    if isinstance(types, list | tuple) and len(types) > 0:
        listed = ", ".join("/".join(one) if isinstance(one, tuple) else str(one) for one in types)
        hint = "give the edges of one type as a graph, or data.to_homogeneous() if all types may count alike"
        raise InputError("data", got=f"edges of types {listed}", expected="edges of one type", where=where, hint=hint)
    given = {key: array_of(getattr(data, key, None)) for key in ("edge_weight", "edge_attr")}
    found = {key: one for key, one in given.items() if one is not None}
    for key in ("edge_type",):
        kinds = array_of(getattr(data, key, None))
        if kinds is not None and np.unique(np.asarray(kinds)).size > 1:
            got, hint = f"{np.unique(np.asarray(kinds)).size} types of edges", "keep the edges of one type"
            raise InputError(f"data.{key}", got=got, expected="one type of edges", where=where, hint=hint)
    weight, attributes = found.get("edge_weight"), found.get("edge_attr")
    if weight is not None:
        return weight
    if attributes is not None and np.ndim(attributes) == 2 and np.shape(attributes)[1] > 1:
        got = f"{np.shape(attributes)[1]} attributes of each edge"
        hint = "set data.edge_weight to the number that weights an edge, or delete edge_attr to count all edges alike"
        raise InputError("data.edge_attr", got=got, expected="one number an edge", where=where, hint=hint)
    return attributes


def to_pyg(graph: Graph, *, dense: bool = True) -> Any:
    """A Graph as `torch_geometric.data.Data`: x (sparse COO if `dense` is off and it is sparse here), y as codes,
    `node_ids`, `class_names`, and `edge_weight` of a weighted graph.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import Graph, to_pyg
        >>> to_pyg(Graph.of(np.eye(3), [[0, 1], [1, 2]], [0, 1, 1])).num_edges
        4
    """
    torch = require("torch", "ninefold_graphs", "pyg")
    data = require("torch_geometric.data", "ninefold_graphs", "pyg")
    if isinstance(graph.x, np.ndarray):
        x = torch.from_numpy(graph.x)
    elif dense:
        x = torch.from_numpy(graph.x.toarray())
    else:
        listed = graph.x.tocoo()
        places = torch.from_numpy(np.stack([listed.row, listed.col]).astype(np.int64))
        x = torch.sparse_coo_tensor(places, torch.from_numpy(listed.data), listed.shape, check_invariants=True)
        x = x.coalesce()
    made = data.Data(x=x, edge_index=torch.from_numpy(graph.edge_index), y=torch.from_numpy(graph.y))
    if graph.weight is not None:
        made.edge_weight = torch.from_numpy(graph.weight)
    made.node_ids, made.class_names = torch.from_numpy(graph.ids), list(graph.classes)
    return made
