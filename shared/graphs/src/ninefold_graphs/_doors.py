"""What a graph is made of, checked: features, edges, labels, single numbers; and whether what a file holds fits."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from numbers import Integral
from typing import Annotated, Any

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError

Features = Annotated[Any, "float32: np.ndarray or sp.csr_array, which have no common type that checkers understand"]
UNKNOWN = -1  # label code of a node whose class is not given


def array_of(values: Any) -> Any:
    """A tensor, on any device and with a gradient or not, as an array, a sparse one as CSR; anything else unchanged.

    Examples:
        >>> import torch
        >>> from ninefold_graphs import array_of
        >>> type(array_of(torch.ones(2, requires_grad=True))).__name__, array_of("as it is")
        ('ndarray', 'as it is')
    """
    if getattr(values, "is_sparse", False) or getattr(values, "is_sparse_csr", False):  # torch's two common layouts
        listed = values.detach().cpu().to_sparse_coo().coalesce()
        rows, columns = listed.indices().numpy()
        return sp.csr_array((listed.values().numpy(), (rows, columns)), shape=tuple(listed.shape))
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def features_of(x: Any, where: str | None = None) -> Features:
    """(n, d) float32, dense or CSR, finite. Raises: InputError naming node and column of a value that is not."""
    x = array_of(x)
    if x is None:
        raise InputError("x", got="none", expected="an (n, d) matrix of node features", where=where)
    if sp.issparse(x):
        made: Any = sp.csr_array(x, dtype=np.float32)
        made.sum_duplicates()
    else:
        try:
            made = np.ascontiguousarray(x, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise InputError("x", got=str(error), expected="an (n, d) matrix of numbers", where=where) from None
    if made.ndim != 2 or made.shape[1] == 0:
        raise InputError("x", got=f"shape {made.shape}", expected="(n, d) features with d >= 1", where=where)
    values = made.data if sp.issparse(made) else made
    if not np.isfinite(values).all():
        if sp.issparse(made):
            place = int(np.flatnonzero(~np.isfinite(values))[0])
            node, column = int(np.searchsorted(made.indptr, place, side="right") - 1), int(made.indices[place])
        else:
            node, column = map(int, np.argwhere(~np.isfinite(made))[0])
        got = str(made[node, column])
        raise InputError(f"x at node {node}, column {column}", got=got, expected="finite values", where=where)
    return made


def edges_of(edges: Any, n: int, where: str | None = None) -> np.ndarray:
    """(2, E) int64 of (2, E) or (E, 2) places in [0, n). Raises: InputError naming the edge that is wrong."""
    edges = array_of(edges)
    if edges is None:
        raise InputError("edge_index", got="none", expected="a (2, E) integer tensor", where=where)
    pairs = np.asarray(edges)
    if pairs.size == 0:
        pairs = np.zeros((2, 0), np.int64)
    if pairs.ndim != 2 or 2 not in pairs.shape:
        raise InputError("edge_index", got=f"shape {pairs.shape}", expected="(2, E) or (E, 2)", where=where)
    pairs = pairs if pairs.shape[0] == 2 else pairs.T
    whole("edge_index", pairs, where)
    in_range(pairs, n, where)
    return pairs.astype(np.int64, copy=False)


def in_range(edges: np.ndarray, n: int, where: str | None = None) -> None:
    """Refuse (2, E) places outside [0, n), naming the first such edge."""
    wrong = np.flatnonzero(((edges < 0) | (edges >= n)).any(axis=0))
    if wrong.size:
        edge = int(wrong[0])
        got = f"{edges[0, edge]} -> {edges[1, edge]} at edge {edge}"
        raise InputError("edge_index", got=got, expected=f"nodes in [0, {n})", where=where)


def sorted_edges(pairs: np.ndarray, n: int, *, both: bool) -> np.ndarray:
    """(2, E) pairs sorted by source and target, without self-loops or repetitions; both: with each one's reverse.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import sorted_edges
        >>> sorted_edges(np.array([[2, 0, 0], [1, 0, 1]]), 3, both=True).tolist()
        [[0, 1, 1, 2], [1, 0, 2, 1]]
    """
    kept = pairs[0] != pairs[1]
    source, target = (one if kept.all() else one[kept] for one in pairs)
    keys = source * n + target
    if both:
        keys = np.concatenate([keys, target * n + source])
    keys.sort()
    first = np.ones(keys.size, bool)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    keys = keys if first.all() else keys[first]
    made = np.empty((2, keys.size), np.int64)
    np.floor_divide(keys, max(n, 1), out=made[0])
    np.remainder(keys, max(n, 1), out=made[1])
    return made


def weights_of(
    weight: Any, given: np.ndarray, pairs: np.ndarray, n: int, *, both: bool, where: str | None = None
) -> np.ndarray:
    """(E,) float32 weights of sorted edges from those of the edges as they were given.

    Args:
        weight: one number for each given edge, (e,) or (e, 1).
        given: (2, e) node indices. pairs: (2, E) what `sorted_edges` made of them.
        n: number of nodes. both: whether reverse edges were added. where: for messages.
    Raises: InputError naming an edge whose weight is negative or not finite, and weights that are more than one number.
    """
    made = np.asarray(array_of(weight))
    made = made[:, 0] if made.ndim == 2 and made.shape[1] == 1 else made
    if made.ndim == 2 and made.shape[0] == given.shape[1]:
        got, hint = f"{made.shape[1]} attributes of each edge", "choose or compute the attribute that weights edges"
        raise InputError("edge weight", got=got, expected="one number for each edge", where=where, hint=hint)
    if made.shape != (given.shape[1],) or made.dtype.kind not in "iufb":
        got = f"shape {made.shape}, dtype {made.dtype}"
        raise InputError("edge weight", got=got, expected=f"{given.shape[1]} numbers, one an edge", where=where)
    made = made.astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(made) & (made >= 0)))
    if wrong.size:
        edge = int(wrong[0])
        what, hint = f"weight of edge {edge} ({given[0, edge]} -> {given[1, edge]})", None
        if np.isfinite(made[edge]):
            hint = "weights say how close two nodes are: turn distances or signs into closeness, or drop these edges"
        raise InputError(what, got=made[edge], expected="a finite number of at least 0", where=where, hint=hint)
    keys = pairs[0] * n + pairs[1]
    total = np.zeros(keys.size)
    kept = given[0] != given[1]
    source, target = given[:, kept]
    np.add.at(total, np.searchsorted(keys, source * n + target), made[kept])
    if both:
        total = np.maximum(total, total[np.searchsorted(keys, pairs[1] * n + pairs[0])])
    return total.astype(np.float32)


def whole(what: str, values: np.ndarray, where: str | None = None) -> None:
    """Refuse numbers that are no integers."""
    if not np.issubdtype(values.dtype, np.integer):
        raise InputError(what, got=f"dtype {values.dtype}", expected="integers", where=where)


def whole_number(name: str, value: Any, least: int) -> int:
    """`value` as an int; InputError unless it is a whole number of at least `least`.

    Examples:
        >>> from ninefold_graphs import whole_number
        >>> whole_number("classes", 3, least=1)
        3
        >>> whole_number("classes", 0.5, least=1)
        Traceback (most recent call last):
        ...
        ninefold.errors.InputError: classes: got 0.5, expected a whole number of at least 1
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(name, got=repr(value), expected=f"a whole number of at least {least}")
    return int(value)


def codes_of(
    labels: Any, n: int, classes: Sequence[Hashable] | None = None, where: str | None = None
) -> tuple[np.ndarray, tuple[Hashable, ...]]:
    """(n,) int64 codes into class names, and those names; None, NaN and -1 are unknown.

    Args:
        labels: n labels of any one kind; with `classes` integer codes into them.
        n: number of nodes.
        classes: names by code; without them the distinct labels, sorted.
        where: for messages.
    """
    labels = array_of(labels)
    if labels is None:
        return np.full(n, UNKNOWN), tuple(classes or ())
    if classes is not None:
        return _checked_codes(np.asarray(labels), n, tuple(classes), where), tuple(classes)
    listed = labels.ravel().tolist() if isinstance(labels, np.ndarray) else list(labels)
    if len(listed) != n:
        raise InputError("labels", got=f"{len(listed)}", expected=f"one for each of {n} nodes", where=where)
    known = [None if one is None or one != one or one == UNKNOWN else one for one in listed]
    try:
        names = sorted({one for one in known if one is not None})
    except TypeError:
        raise InputError("labels", got="numbers and texts mixed", expected="labels of one kind", where=where) from None
    code = {name: number for number, name in enumerate(names)}
    return np.array([UNKNOWN if one is None else code[one] for one in known], np.int64), tuple(names)


def _checked_codes(y: np.ndarray, n: int, classes: tuple[Hashable, ...], where: str | None) -> np.ndarray:
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.shape != (n,):
        raise InputError("y", got=f"shape {y.shape}", expected=f"({n},)", where=where)
    if y.dtype.kind not in "iub":
        raise InputError("y", got=f"dtype {y.dtype}", expected="integer class ids, -1 where unknown", where=where)
    y = y.astype(np.int64)
    wrong = np.flatnonzero((y < UNKNOWN) | (y >= len(classes)))
    if wrong.size:
        expected = f"class ids below {len(classes)}, or -1"
        raise InputError(f"y at node {wrong[0]}", got=int(y[wrong[0]]), expected=expected, where=where)
    return y


def under(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `prefix`, by the rest of it.

    Examples:
        >>> from ninefold_graphs import under
        >>> under({"encoder/idf": 1, "weights": 2}, "encoder/")
        {'idf': 1}
    """
    return {key.removeprefix(prefix): one for key, one in arrays.items() if key.startswith(prefix)}


def check_finite(arrays: Mapping[str, np.ndarray]) -> None:
    """ValueError that names an array with NaN or infinity.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import check_finite
        >>> check_finite({"weights": np.array([1.0, np.nan])})
        Traceback (most recent call last):
        ...
        ValueError: weights has NaN or infinity
    """
    for name, one in arrays.items():
        if one.dtype.kind == "f" and not np.isfinite(one).all():
            raise ValueError(f"{name} has NaN or infinity")


def check_shapes(found: Mapping[str, tuple[np.ndarray, tuple[int, ...]]]) -> None:
    """ValueError that names an array of another shape than the one that the other parts need.

    Examples:
        >>> import numpy as np
        >>> from ninefold_graphs import check_shapes
        >>> check_shapes({"weights": (np.zeros(3), (2,))})
        Traceback (most recent call last):
        ...
        ValueError: weights has shape (3,), where (2,) is needed
    """
    for name, (array, shape) in found.items():
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, where {shape} is needed")
