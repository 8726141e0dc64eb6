"""Fold what follows a convolution into it: BatchNorm into scale and shift, those into one whole bound a channel."""

from __future__ import annotations

from collections import Counter

import numpy as np

from bnn_fsg.graph._graph import CONVOLUTIONS, Node


def fold(nodes: list[Node], output: str) -> tuple[list[Node], str]:
    """(fewer nodes that compute the same, name of the output); the given nodes are not to be used any more."""
    nodes, output = _fold_affine(nodes, output)
    return _fold_bounds(nodes, output), output


def _uses(nodes: list[Node], output: str) -> Counter[str]:
    return Counter([value for node in nodes for value in node.inputs] + [output])


def _fold_affine(nodes: list[Node], output: str) -> tuple[list[Node], str]:
    """An affine map after a convolution, or after another affine map, becomes part of it, under the first's name."""
    uses, made, kept, names = _uses(nodes, output), {}, [], {}
    for node in nodes:
        foldable = node.op == "affine" and uses[node.inputs[0]] == 1
        node.inputs = [names.get(value, value) for value in node.inputs]
        before = made.get(node.inputs[0]) if foldable else None
        if before is None:
            kept.append(node)
            if node.op in (*CONVOLUTIONS, "affine"):
                made[node.output] = node
            continue
        scale, shift = (node.arrays[key].astype(np.float64) for key in ("scale", "shift"))
        arrays = before.arrays
        if before.op == "conv":
            arrays["weight"] = (arrays["weight"] * scale[:, None, None]).astype(np.float32)
        for name in {"scale", "sums"} & arrays.keys():
            arrays[name] = (arrays[name] * scale).astype(np.float32)
        arrays["shift"] = (arrays["shift"] * scale + shift).astype(np.float32)
        names[node.output] = before.output
        uses[before.output] = uses[node.output]
    return kept, names.get(output, output)


def _fold_bounds(nodes: list[Node], output: str) -> list[Node]:
    """Where only the signs of a convolution of bits are used, keep for each channel the whole number they begin at."""
    uses = _uses(nodes, output)
    made = {node.output: node for node in nodes}
    dropped = set()
    for node in nodes:
        if node.op != "conv_bits" or "threshold" not in node.arrays:
            continue
        threshold, source = node.arrays["threshold"], made.get(node.inputs[0])
        while source is not None and source.op == "clip" and uses[source.output] == 1:
            low, high = source.settings["low"], source.settings["high"]
            if not ((threshold > low) & (threshold <= high)).all():
                break
            dropped.add(source.output)
            node.inputs = list(source.inputs)
            source = made.get(source.inputs[0])
        if source is not None and uses[source.output] == 1 and _is_plain(source):
            _bound(source, np.broadcast_to(threshold, source.arrays["shift"].shape).astype(np.float64))
            del node.arrays["threshold"]
    return [node for node in nodes if node.output not in dropped]


def _is_plain(node: Node) -> bool:
    whole = node.op == "conv_bits" and "scale" in node.arrays and "sums" not in node.arrays
    return whole and not node.settings.get("offset")


def _bound(node: Node, threshold: np.ndarray) -> None:
    """Replace scale and shift by bound and turned: scale d + shift >= threshold for whole numbers d."""
    scale, shift = (node.arrays.pop(key).astype(np.float64) for key in ("scale", "shift"))
    most = node.arrays["bits"][0].size + 1  # no sum is that large
    with np.errstate(divide="ignore", invalid="ignore"):
        place = (threshold - shift) / scale
    bound = np.where(scale > 0, np.ceil(place), np.floor(place) + 1)  # for scale < 0: not d >= floor + 1
    bound = np.where(scale == 0, np.where(shift >= threshold, -most, most), bound)
    kind = np.int16 if most < 1 << 15 else np.int32
    node.arrays["bound"] = np.clip(bound, -most, most).astype(kind)
    node.arrays["turned"] = scale < 0
