"""What a packed network consists of: bits, bytes and products of each layer, by precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bnn_fsg.runtime import _graph
from bnn_fsg.runtime._model import PackedModel


@dataclass(frozen=True)
class Row:
    """One operation.

    Attributes:
        name, op: its name and kind.
        bits: of a weight and of an input: "1/1", "1/32", "32/32", or "".
        weights: how many.
        nbytes: bytes of all its arrays in the file.
        products: multiplications (or xnor) for one sample.
        shape: of its output, (height, width, channels).
    """

    name: str
    op: str
    bits: str
    weights: int
    nbytes: int
    products: int
    shape: tuple[int, ...]


_BITS = {"conv_bits": "1/1", "conv_signs": "1/32", "conv": "32/32"}


def summary(model: PackedModel) -> list[Row]:
    """A row for each node of the file, in order."""
    rows = []

    def add(node: _graph.Node, output: np.ndarray) -> None:
        shape = output.shape
        weight = node.arrays.get("weight", node.arrays.get("bits")) if node.op in _graph.CONVOLUTIONS else None
        count = 0 if weight is None else weight.size
        channels = 0 if weight is None else len(weight)
        size = sum(-(-one.size // 8) if one.dtype == bool else one.nbytes for one in node.arrays.values())
        out = (*shape[1:3], channels) if channels else shape[1:]
        rows.append(
            Row(node.name, node.op, _BITS.get(node.op, ""), count, size, count * shape[1] * shape[2], tuple(out))
        )

    model.trace(add)
    return rows
