"""What a packed network consists of: bits, bytes and products of each layer, by precision."""

from __future__ import annotations

from dataclasses import dataclass

from bnn_fsg.graph import _graph
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
    for node in model.nodes:
        shape = model.sizes[node.output].shape
        weight = node.arrays.get("weight", node.arrays.get("bits")) if node.op in _graph.CONVOLUTIONS else None
        count = 0 if weight is None else weight.size
        size = sum(-(-one.size // 8) if one.dtype == bool else one.nbytes for one in node.arrays.values())
        products = count * shape[0] * shape[1]
        rows.append(Row(node.name, node.op, _BITS.get(node.op, ""), count, size, products, shape))
    return rows
