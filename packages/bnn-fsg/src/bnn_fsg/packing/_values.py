"""What is made while a module is read: values on their way, and the graph of nodes so far."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from bnn_fsg.graph._graph import Node


class Value:
    """A tensor on its way: its name in the graph and its shape in torch, batch included.

    `view` says how torch sees the picture of that name: "" as it is; "last", channels last; "grouped" and "shuffled",
    see `_views`; "pixels", for a handler that is to work on the channels of each pixel.
    """

    def __init__(self, name: str, shape: tuple[int, ...], view: str = "") -> None:
        self.name, self.shape, self.view = name, shape, view

    @property
    def usable(self) -> bool:
        """Whether it has a dimension 1, and not more than a picture; else something before it was refused."""
        return len(self.shape) in (2, 3, 4) or bool(self.view)

    @property
    def channels(self) -> int:
        """Size of dimension 1."""
        return self.shape[1]


class Graph:
    """Nodes so far, and what could not be said in them."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.values: dict[str, Tensor] = {}  # what torch computed, as pictures
        self.refused: list[str] = []

    def add(self, op: str, inputs: list[Value], name: str, settings: Any = None, arrays: Any = None) -> None:
        """Append a node; arrays are torch tensors, or numpy bool for bits."""
        kept = {}
        for key, array in (arrays or {}).items():
            kept[key] = array if not isinstance(array, Tensor) else array.detach().float().contiguous().numpy()
            if kept[key].dtype != bool and not np.isfinite([kept[key].min(), kept[key].max()]).all():
                self.refused.append(f"{name}: NaN or infinity in its {key}")
        self.nodes.append(Node(op, [one.name for one in inputs], name, settings or {}, kept))
