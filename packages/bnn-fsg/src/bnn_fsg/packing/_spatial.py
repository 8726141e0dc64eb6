"""Pooling, padding, slices, joins and resampling as nodes of the packed graph; the same bargain as `_calls`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bnn_fsg.packing._layers import many, mode_of
from bnn_fsg.packing._values import Graph, RefusedError, Shape, Value, first, laid, rows

Given = dict[str, Any]


def pool(op: str, count: int) -> Callable[[Graph, Given, str, Shape], Value]:
    """A handler of a pooling over `count` dimensions: three are pooled frame by frame, then over time."""

    def add(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
        if given.get("divisor_override") or given.get("return_indices") or max(many(given.get("dilation", 1), 1)) > 1:
            raise RefusedError("dilation, divisor_override or return_indices")
        x, kernel = graph.first(given["input"]), many(given["kernel_size"], count)
        if len(x.shape) != count + 2 or x.shape[0] != 1:
            raise RefusedError(f"a value of {len(x.shape)} dimensions, or where the first is not the batch")
        stride = kernel if given.get("stride") in (None, [], ()) else many(given["stride"], count)
        sides = list(zip(kernel, stride, many(given.get("padding", 0), count), strict=True))
        more: dict[str, Any] = {"ceil": True} if given.get("ceil_mode") else {}
        if op == "average_pool":
            more["count_padding"] = bool(given.get("count_include_pad", True))

        def settings(down: Any, across: Any) -> dict[str, Any]:
            pairs = zip(down, across, strict=True)
            return {key: list(pair) for key, pair in zip(("kernel", "stride", "padding"), pairs, strict=True)}

        if count < 3:
            graph.add(op, [x], name, settings(*[(1, 1, 0)] * (2 - count), *sides) | more)
            return first(name, shape)
        later = sides[0] != (1, 1, 0)
        frames, order = (*shape[:2], x.shape[2], *shape[3:]), [0, 3, 4, 2, 1]  # frames as channels
        pooled = laid(graph.fresh(f"{name}.frames") if later else name, frames, order, _by_frame(frames))
        graph.add(op, [graph.laid(x, order, _by_frame(x.shape))], pooled.name, settings(*sides[1:]) | more)
        if not later:
            return pooled
        sizes = [(one[2], one[3] * one[4], one[1]) for one in (frames, shape)]
        line = graph.laid(pooled, [0, 2, 3, 4, 1], sizes[0])
        graph.add(op, [line], name, settings(sides[0], (1, 1, 0)) | more)
        return laid(name, shape, [0, 2, 3, 4, 1], sizes[1])

    return add


def _by_frame(shape: Shape) -> tuple[int, int, int]:
    return shape[3], shape[4], shape[2] * shape[1]


def adaptive(mode: str) -> Callable[[Graph, Given, str, Shape], Value]:
    """A handler of an adaptive pooling."""

    def add(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
        x = graph.first(given["input"])
        if x.shape[0] != 1 or given.get("return_indices") or (len(shape) == 5 and shape[2:] != (1, 1, 1)):
            raise RefusedError(f"to {shape[2:]}")
        if mode == "average" and all(size == 1 for size in shape[2:]):
            graph.add("mean", [x], name)
        elif mode == "max" or len(shape) != 4 or any(a % b for a, b in zip(x.shape[2:], shape[2:], strict=True)):
            if len(shape) == 5:
                raise RefusedError("over three dimensions")
            graph.add("resample", [x], name, {"size": [1, *shape[2:]][-2:], "mode": mode})
        else:
            kernel = [size // out for size, out in zip(x.shape[2:], shape[2:], strict=True)]
            settings = {"kernel": kernel, "stride": kernel, "padding": [0, 0], "count_padding": True}
            graph.add("average_pool", [x], name, settings)
        return first(name, shape)

    return add


def mean(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    """Add a mean over dimensions."""
    x, axes = given["input"], given.get("dim")
    axes = {axis % len(x.shape) for axis in ([axes] if isinstance(axes, int) else axes or range(len(x.shape)))}
    if x.batch in axes:
        raise RefusedError(f"over dimensions {sorted(axes)}")
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    if x.shape[0] == 1 and 0 not in axes and len(kept) in (3, 4, 5) and axes == set(range(2, len(kept))):
        graph.add("mean", [graph.first(x)], name)
        return graph.reshaped(first(name, kept), shape)
    others = [axis for axis in range(len(x.shape)) if axis not in axes]
    over, left = (math.prod(x.shape[axis] for axis in some) for some in (axes, others))
    graph.add("average", [graph.laid(x, [*others, *sorted(axes)], (1, left, over))], name, {"axes": ["channels"]})
    return graph.reshaped(rows(name, tuple(x.shape[axis] for axis in others), (1, left, 1)), shape)


def pad(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    """Add numbers around a value."""
    x, widths, mode = given["input"], list(given["pad"]), mode_of(given.get("mode") or "constant")
    value = float(given.get("value") or 0.0)
    sides = [(axis, *widths[2 * place : 2 * place + 2]) for place, axis in enumerate(_backwards(shape, len(widths)))]
    sides = [one for one in sides if any(one[1:])]
    if not sides:
        return x
    if any(axis == x.batch for axis, *_ in sides):
        raise RefusedError("around the batch")
    if x.shape[0] == 1 and len(shape) in (3, 4) and all(axis > 1 for axis, *_ in sides):
        around = {axis: (before, after) for axis, before, after in sides}
        above = around.get(2, (0, 0)) if len(shape) == 4 else (0, 0)
        settings = {"sides": [*above, *around.get(len(shape) - 1, (0, 0))], "mode": mode, "value": value}
        graph.add("pad", [graph.first(x)], name, settings)
        return first(name, shape)
    if x.shape[0] == 1 and len(shape) == 4 and [axis for axis, *_ in sides] == [1] and not value and min(sides[0]) >= 0:
        graph.add("pick", [graph.first(x)], name, {"stride": [1, 1], "front": sides[0][1], "back": sides[0][2]})
        return first(name, shape)
    for place, (axis, before, after) in enumerate(sides):
        step = name if place == len(sides) - 1 else graph.fresh(f"{name}.side")
        x = graph.padded(x, axis, before, after, mode, value, step)
    return x


def _backwards(shape: Shape, count: int) -> list[int]:
    return [len(shape) - 1 - place for place in range(count // 2)]


def item(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    """Slices, whole numbers, None and Ellipsis; only what is not whole is taken."""
    x, places = given["input"], given["place"]
    places = list(places) if isinstance(places, tuple) else [places]
    if not all(one is None or one is Ellipsis or type(one) in (slice, int) for one in places):
        raise RefusedError(f"[{places}]: only slices and whole numbers can be taken")
    if Ellipsis in places:
        at = places.index(Ellipsis)
        missing = len(x.shape) - sum(one is not None and one is not Ellipsis for one in places)
        places[at : at + 1] = [slice(None)] * missing
    bounds = []
    for axis, one in enumerate(one for one in places if one is not None):
        start = one % x.shape[axis] if isinstance(one, int) else 0
        bounds.append((start, start + 1, 1) if isinstance(one, int) else one.indices(x.shape[axis]))
    bounds += [(0, size, 1) for size in x.shape[len(bounds) :]]
    return graph.reshaped(part(graph, x, name, bounds), shape)


def part(graph: Graph, x: Value, name: str, bounds: list[tuple[int, int, int]]) -> Value:
    """(begin, end, step) of each dimension; `pick` where whole channels of every n-th pixel stay."""
    cut = [axis for axis, (begin, end, step) in enumerate(bounds) if len(range(begin, end, step)) != x.shape[axis]]
    if x.batch in cut:
        raise RefusedError("a part of the batch")
    if any(not range(*one) for one in bounds):
        raise RefusedError("nothing is left")
    if not cut:
        return x
    if x.lies_first and len(x.shape) == 4 and all(axis > 1 and bounds[axis][:2] == (0, x.shape[axis]) for axis in cut):
        graph.add("pick", [x], name, {"stride": [bounds[2][2], bounds[3][2]], "front": 0, "back": 0})
        return first(name, tuple(len(range(*one)) for one in bounds))
    for axis in cut:
        x = graph.cut(x, axis, *bounds[axis], name if axis == cut[-1] else graph.fresh(f"{name}.cut"))
    return x


def parts(graph: Graph, given: Given, name: str, shapes: list[Shape]) -> list[Value]:
    """`chunk`, `split` and `unbind`: the shapes that they gave say where they cut."""
    x, axis = given["input"], given.get("dim", 0) % len(given["input"].shape)
    if axis == x.batch:
        raise RefusedError(f"along dimension {axis}")
    at, found = 0, []
    for index, shape in enumerate(shapes):
        bounds = [(0, size, 1) for size in x.shape]
        length = shape[axis] if len(shape) == len(x.shape) else 1
        bounds[axis] = at, at + length, 1
        found.append(graph.reshaped(part(graph, x, graph.fresh(f"{name}.{index}"), bounds), shape))
        at += length
    return found


def roll(graph: Graph, given: Given, name: str, _: Shape) -> Value:
    """Numbers that leave one end of a dimension come in at the other."""
    x, shifts, dims = given["input"], given["shifts"], given.get("dims")
    if dims is None or dims == ():
        raise RefusedError("without dimensions")
    turns = [(dims, shifts)] if isinstance(dims, int) else list(zip(dims, shifts, strict=True))
    for axis, shift in ((axis % len(x.shape), shift % x.shape[axis]) for axis, shift in turns):
        if axis == x.batch:
            raise RefusedError("over the batch")
        at = x.shape[axis] - shift
        ends = [(begin, end) for begin, end in ((at, x.shape[axis]), (0, at)) if begin < end]
        some = [graph.cut(x, axis, begin, end, 1, graph.fresh(f"{name}.end")) for begin, end in ends]
        x = concat_of(graph, some, axis, graph.fresh(f"{name}.turned"))
    return x


def concat(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    """Add a join along one dimension; what is constant is made of a value times 0."""
    axis, given_parts = given.get("dim", 0) % len(shape), list(given["tensors"])
    known = next(one for one in given_parts if isinstance(one, Value))
    if any(isinstance(one, Value) and one.batch == axis for one in given_parts):
        raise RefusedError(f"along dimension {axis}")
    made = [one if isinstance(one, Value) else _constant(graph, known, one, name) for one in given_parts]
    return concat_of(graph, made, axis, name)


def _constant(graph: Graph, known: Value, constant: Tensor, name: str) -> Value:
    count, flat = constant.numel(), (1, 1, math.prod(known.shape))
    if count > flat[2]:
        raise RefusedError("of a constant larger than the value")
    source, piece, made = graph.sized(known, flat), graph.fresh(f"{name}.piece"), graph.fresh(f"{name}.constant")
    graph.add("slice", [source], piece, {"begin": [0, 0, 0], "end": [1, 1, count], "step": [1, 1, 1]})
    value = rows(made, tuple(constant.shape), (1, 1, count))
    arrays = {"scale": torch.zeros(count), "shift": constant.detach().reshape(-1)}
    graph.add("affine", [value.like(piece)], made, {}, arrays)
    return value


def concat_of(graph: Graph, some: list[Value], axis: int, name: str) -> Value:
    """Values joined along one dimension."""
    shape = list(some[0].shape)
    shape[axis] = sum(one.shape[axis] for one in some)
    if axis == 1 and all(one.lies_first for one in some):
        graph.add("concat", [graph.first(one) for one in some], name)
        return first(name, tuple(shape))
    before, behind = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    graph.add("concat", [graph.rows(one, (before, 1, one.shape[axis] * behind)) for one in some], name)
    return rows(name, tuple(shape), (before, 1, shape[axis] * behind))


def resample(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    """Add torch's `interpolate`."""
    x, mode = graph.first(given["input"]), given.get("mode", "nearest")
    kinds = {"nearest": "nearest", "nearest-exact": "exact", "bilinear": "bilinear", "linear": "bilinear"}
    if mode not in kinds or given.get("antialias") or len(shape) not in (3, 4):
        raise RefusedError(f"mode {mode!r}{' with antialias' if given.get('antialias') else ''}")
    factors = given.get("scale_factor")
    if factors is None or given.get("recompute_scale_factor"):
        steps = [before / after for before, after in zip(x.shape[2:], shape[2:], strict=True)]
    else:
        factors = factors if isinstance(factors, list | tuple) else [factors]
        steps = [1 / factor for factor in many(factors, len(shape) - 2)]
    settings: dict[str, Any] = {"size": [1, *shape[2:]][-2:], "mode": kinds[mode], "step": [1.0, *steps][-2:]}
    if given.get("align_corners"):
        settings["corners"] = True
    graph.add("resample", [x], name, settings)
    return first(name, shape)


def shuffle(graph: Graph, given: Given, name: str, shape: Shape) -> Value:
    """Add torch's `pixel_shuffle`."""
    if len(shape) != 4:
        raise RefusedError(f"a value of {len(shape)} dimensions")
    graph.add("shuffle", [graph.first(given["input"])], name, {"factor": given["upscale_factor"]})
    return first(name, shape)
