"""What users hand in, checked and in our form."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import UNKNOWN, Graph, array_of
from torch import nn

from mecoin.encoders._encoder import Encoder, ModuleEncoder
from mecoin.encoders._shared import ENCODERS

SHOT = 5  # labelled nodes of a class, fewer than which are logged
_log = logging.getLogger("mecoin")


def checked_support(support: Any, graph: Graph) -> dict[Hashable, np.ndarray]:
    """Node ids by label. Warns of nodes without neighbours.

    Raises: InputError if it is no mapping of labels to lists, or lists no class, a node that is not in the graph, or a
        node twice.
    """
    given = _listed(support)
    if not given:
        raise InputError("support", got="no class", expected="{label: [node ids]}")
    owners: dict[int, Hashable] = {}
    for label, nodes in given.items():
        if nodes.size == 0:
            raise InputError(f"support of {label!r}", got="no node", expected="at least one")
        places = graph.positions(nodes, f"support of {label!r}")
        for node in nodes.tolist():
            if node in owners:
                twice = "twice" if owners[node] == label else f"under {owners[node]!r} and {label!r}"
                raise InputError(f"support node {graph.title(node)}", got=f"listed {twice}", expected="one place")
            owners[node] = label
        alone = nodes[graph.degree[places] == 0]
        if alone.size:
            text = f"support node {graph.title(alone[0])} of {label!r} has no neighbours"
            warnings.warn(text, UserWarning, stacklevel=3)
        if nodes.size < SHOT:
            _log.info("class %r has %d labelled nodes, fewer than %d", label, nodes.size, SHOT)
    return given


def _listed(support: Any) -> dict[Hashable, np.ndarray]:
    if not isinstance(support, Mapping):
        raise InputError("support", got=type(support).__name__, expected="{label: [node ids]}")
    made: dict[Hashable, np.ndarray] = {}
    for label, nodes in support.items():
        if label is None or label != label or label == UNKNOWN:
            raise InputError(f"label {label!r}", got="what stands for an unknown class", expected="a name")
        held = array_of(nodes)
        if isinstance(held, str) or not isinstance(held, Iterable) or (getattr(held, "shape", None) == ()):
            raise InputError(f"support of {label!r}", got=type(nodes).__name__, expected="a list of node ids")
        made[label] = np.asarray(list(held))
    return made


def encoder_of(kind: str | Encoder | nn.Module, hidden: int) -> Encoder:
    """The encoder of that name, or the module or encoder that was given."""
    if isinstance(kind, Encoder):
        return kind
    if isinstance(kind, nn.Module):
        return ModuleEncoder(kind)
    if kind not in ENCODERS:
        raise InputError("encoder", got=repr(kind), expected=f"one of {', '.join(ENCODERS)}, or a module")
    return ENCODERS[kind](hidden)  # pyright: ignore[reportCallIssue]


def mask_of(name: str, mask: Any, graph: Graph) -> np.ndarray:
    """A bool mask over the nodes; InputError if it is none."""
    made = np.asarray(array_of(mask))
    if made.dtype != bool or made.shape != (len(graph),):
        raise InputError(name, got=f"{made.dtype} of shape {made.shape}", expected=f"bool of shape ({len(graph)},)")
    return made
