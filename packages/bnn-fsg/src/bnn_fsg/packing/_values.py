"""Values and the graph while a module is read.

A value is a tensor of torch that lies somewhere in a picture (height, width, channels). Reshapes and permutations only
change how it is seen: the axes that it was split into, its `atoms`, stay where they are in memory until an operation
needs them in another order. Only then is a node added that moves them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from bnn_fsg.graph._graph import Node
from bnn_fsg.packing._twin import apply, node_tensors

Shape = tuple[int, ...]
Size = tuple[int, int, int]


class RefusedError(ValueError):
    """Why a call cannot be packed."""


class Value:
    """A tensor on its way.

    Attributes:
        name: that of the picture in the graph.
        shape: as torch has it, batch included.
        size: (height, width, channels) of the picture.
        atoms: sizes of the axes of the picture's numbers, in the order of memory; none is 1.
        dims: for each dimension of `shape` its atoms, by index.
        batch: the dimension that grows with the batch.
    """

    def __init__(
        self, name: str, shape: Shape, size: Size, atoms: Sequence[int], dims: Iterable[Sequence[int]]
    ) -> None:
        self.name, self.shape, self.size = name, tuple(shape), size
        self.atoms, self.dims = tuple(atoms), tuple(tuple(one) for one in dims)
        self.batch = 0

    @property
    def order(self) -> list[int]:
        """The atoms as torch's order of dimensions has them."""
        return [atom for dim in self.dims for atom in dim]

    @property
    def lies_first(self) -> bool:
        """Whether it is one sample (1, channels, ...) whose picture has these channels."""
        if len(self.shape) not in (2, 3, 4, 5) or self.shape[0] != 1 or self.size != size_of_first(self.shape):
            return False
        return [atom for dim in first_order(self.shape) for atom in self.dims[dim]] == list(range(len(self.atoms)))

    @property
    def lies_by_rows(self) -> bool:
        """Whether it lies as torch's memory has it."""
        return self.order == list(range(len(self.atoms)))

    def like(self, name: str) -> Value:
        """Other numbers that lie alike."""
        return Value(name, self.shape, self.size, self.atoms, self.dims)

    def permuted(self, order: Sequence[int]) -> Value:
        """The dimensions in another order."""
        return self.seen([self.shape[dim] for dim in order], self.atoms, [self.dims[dim] for dim in order])

    def seen(self, shape: Iterable[int], atoms: Sequence[int], dims: Iterable[Sequence[int]]) -> Value:
        """The same picture by other dimensions."""
        return Value(self.name, tuple(shape), self.size, atoms, dims)

    def picture(self, result: Tensor) -> Tensor:
        """What torch has for this value as the picture (1, channels, height, width)."""
        parts = result.reshape([self.atoms[atom] for atom in self.order] or [1])
        return _picture(parts.permute(np.argsort(self.order).tolist()) if self.atoms else parts, self.size)


def _picture(numbers: Tensor, size: Size) -> Tensor:
    return numbers.reshape(1, *size).permute(0, 3, 1, 2)


class Graph:
    """Nodes so far, and what could not be said in them."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.values: dict[
            str, Tensor
        ] = {}  # of the example, as pictures: what torch computed, or between its values nodes
        self.refused: list[str] = []
        self.names = {"input"}
        self.flat: dict[str, str] = {}  # of a picture that only has another size: that whose numbers it has
        self.made: dict[Any, str] = {}  # pictures that hold other ones in another order or size

    def fresh(self, wanted: str) -> str:
        """A name that no value has: `wanted`, if it is free."""
        name, count = wanted, 0
        while name in self.names:
            count += 1
            name = f"{wanted}_{count}"
        self.names.add(name)
        return name

    def add(self, op: str, inputs: Sequence[Value], name: str, settings: Any = None, arrays: Any = None) -> None:
        """Append a node; arrays are torch tensors, or numpy bool for bits."""
        kept = {}
        for key, array in (arrays or {}).items():
            kept[key] = array if not isinstance(array, Tensor) else array.detach().float().contiguous().numpy()
            if kept[key].dtype != bool and not np.isfinite([kept[key].min(), kept[key].max()]).all():
                self.refused.append(f"{name}: NaN or infinity in its {key}")
        self._append(Node(op, [one.name for one in inputs], name, settings or {}, kept))

    def _append(self, node: Node) -> None:
        self.nodes.append(node)
        self.values[node.output] = apply(node, node_tensors(node), [self.values[one] for one in node.inputs])

    def laid(self, x: Value, order: Sequence[int], size: Size) -> Value:
        """`x` with its dimensions in this order in memory, as a picture of this size; a node moves it where needed."""
        atoms = [atom for dim in order for atom in x.dims[dim]]
        made = laid(x.name, x.shape, order, size)
        made.batch = x.batch
        source, still = self.flat.get(x.name, x.name), atoms == list(range(len(x.atoms)))
        if still:  # the same numbers in the same order, as a picture of another size
            self.made.setdefault((source, (), (), x.size), x.name)
        key = (source, () if still else x.atoms, () if still else tuple(atoms), size)
        if key not in self.made:
            self.made[key] = self.fresh(f"{x.name}.laid")
            settings = {"sizes": list(x.atoms) or [1], "order": atoms or [0], "size": list(size)}
            self._append(Node("rearrange", [source], self.made[key], settings))
            self.flat |= {self.made[key]: source} if still else {}
        made.name = self.made[key]
        return made

    def rows(self, x: Value, size: Size | None = None) -> Value:
        """`x` as torch's memory has it: its last dimension as channels, that before as width."""
        return self.laid(x, range(len(x.shape)), size or size_of_rows(x.shape))

    def first(self, x: Value) -> Value:
        """`x` (n, channels, ...) with its channels last in memory; the frames of (n, channels, t, h, w) one below
        another."""
        if len(x.shape) not in (2, 3, 4, 5):
            raise RefusedError(f"a value of {len(x.shape)} dimensions")
        if x.shape[0] != 1 and len(x.shape) < 5:
            raise RefusedError("where the first dimension is not the batch")
        return self.laid(x, first_order(x.shape), size_of_first(x.shape))

    def reshaped(self, x: Value, shape: Shape) -> Value:
        """`x` with other dimensions; moved only where one of them is no whole number of atoms."""
        found = _split(x, shape)
        if found is None:
            x = self.rows(x)
            return Value(x.name, shape, x.size, *_flat(shape))
        return x.seen(shape, *found)

    def along(self, x: Value, axis: int) -> tuple[Value, tuple[int, int, int]]:
        """`x` with the sizes of what lies before, in and behind a dimension in memory."""
        place = x.dims[axis]
        if any(after != before + 1 for before, after in pairwise(place)):
            x = self.rows(x)
            place = x.dims[axis]
        begin = place[0] if place else 0
        return x, (math.prod(x.atoms[:begin]), x.shape[axis], math.prod(x.atoms[begin + len(place) :]))

    def cut(self, x: Value, axis: int, begin: int, end: int, step: int, name: str) -> Value:
        """A slice of one dimension."""
        x, parts = self.along(x, axis)
        fits = (at for at, size in enumerate(x.size) if size == parts[1] and math.prod(x.size[at + 1 :]) == parts[2])
        place = next(fits, None)
        source, place = (self.sized(x, parts), 1) if place is None else (x, place)
        bounds = [(0, size, 1) for size in source.size]
        bounds[place] = begin, end, step
        settings = {key: [one[at] for one in bounds] for at, key in enumerate(("begin", "end", "step"))}
        self.add("slice", [source], name, settings)
        height, width, channels = (len(range(*one)) for one in bounds)
        return _resized(x, axis, len(range(begin, end, step)), name, (height, width, channels))

    def padded(self, x: Value, axis: int, before: int, after: int, mode: str, value: float, name: str) -> Value:
        """Numbers before and after along one dimension."""
        x, parts = self.along(x, axis)
        self.add("pad", [self.sized(x, parts)], name, {"sides": [0, 0, before, after], "mode": mode, "value": value})
        length = before + parts[1] + after
        return _resized(x, axis, length, name, (parts[0], length, parts[2]))

    def sized(self, x: Value, size: Size) -> Value:
        """`x` as it lies, as a picture of another size."""
        if size == x.size:
            return x
        plain = Value(x.name, x.atoms, x.size, x.atoms, [(atom,) for atom in range(len(x.atoms))])
        found = self.laid(plain, range(len(x.atoms)), size)
        return Value(found.name, x.shape, size, x.atoms, x.dims)


def _resized(x: Value, axis: int, length: int, name: str, size: Size) -> Value:
    """`x` after one of its dimensions, whose atoms lie side by side, got another length."""
    shape = [*x.shape[:axis], length, *x.shape[axis + 1 :]]
    place, new = x.dims[axis], [length] * (length != 1)
    begin, moved = (place[0] if place else 0), len(new) - len(place)
    atoms = [*x.atoms[:begin], *new, *x.atoms[begin + len(place) :]]
    dims = [[atom + moved * (atom >= begin) for atom in one] for one in x.dims]
    dims[axis] = list(range(begin, begin + len(new)))
    return Value(name, tuple(shape), size, atoms, dims)


def first_order(shape: Shape) -> list[int]:
    """Dimensions with that of the channels, 1, behind all others."""
    return [0, *range(2, len(shape)), 1]


def size_of_first(shape: Shape) -> Size:
    """Size of the picture of (n, channels, ...)."""
    above = shape[0] * (shape[2] if len(shape) == 5 else 1)
    height = above * (shape[-2] if len(shape) > 3 else 1)
    return height, shape[-1] if len(shape) > 2 else 1, shape[1]


def size_of_rows(shape: Shape) -> Size:
    """Size of the picture of a value as torch's memory has it."""
    return math.prod(shape[:-2]), shape[-2] if len(shape) > 1 else 1, shape[-1] if shape else 1


def laid(name: str, shape: Shape, order: Iterable[int], size: Size) -> Value:
    """A value whose dimensions lie in this order."""
    kept = [dim for dim in order if shape[dim] != 1]
    dims = [[kept.index(dim)] if dim in kept else [] for dim in range(len(shape))]
    return Value(name, shape, size, [shape[dim] for dim in kept], dims)


def first(name: str, shape: Shape) -> Value:
    """A value with its channels last in memory."""
    return laid(name, shape, first_order(shape), size_of_first(shape))


def rows(name: str, shape: Shape, size: Size | None = None) -> Value:
    """A value as torch's memory has it."""
    return laid(name, shape, range(len(shape)), size or size_of_rows(shape))


def _flat(shape: Shape) -> tuple[list[int], list[list[int]]]:
    made = laid("", shape, range(len(shape)), (1, 1, 1))
    return list(made.atoms), [list(one) for one in made.dims]


def _split(x: Value, shape: Shape) -> tuple[list[int], list[list[int]]] | None:
    """(atoms, dims) of the same numbers in another shape, atoms split where that is needed; None where it cannot be."""
    parts: dict[int, list[int]] = {atom: [] for atom in range(len(x.atoms))}  # sizes that each atom is split into
    pieces: list[list[tuple[int, int]]] = []  # of each dimension: (atom, which part of it)
    queue = [(atom, x.atoms[atom]) for atom in reversed(x.order)]
    for wanted in shape:
        pieces.append([])
        left = wanted
        while left > 1:
            if not queue:
                return None
            atom, size = queue.pop()
            here = min(size, left)
            if left % here or size % here:
                return None
            pieces[-1].append((atom, len(parts[atom])))
            parts[atom].append(here)
            left //= here
            if size > here:
                queue.append((atom, size // here))
    starts = np.cumsum([0, *(len(parts[atom]) for atom in range(len(x.atoms)))]).tolist()
    atoms = [size for atom in range(len(x.atoms)) for size in parts[atom]]
    return atoms, [[starts[atom] + part for atom, part in one] for one in pieces]
