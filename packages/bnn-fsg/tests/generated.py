"""Networks drawn at random, of every operation that a `.bnn` file has: each backend has to give the same numbers.

python packages/bnn-fsg/tests/generated.py --count 5000 [--first 0]
"""

from __future__ import annotations

import argparse
import math
import random
from typing import Any

import numpy as np
from bnn_fsg import PackedModel
from bnn_fsg.graph._checks import Size
from bnn_fsg.graph._graph import Node
from bnn_fsg.graph._point_sizes import CURVES, POINTS
from bnn_fsg.runtime import _format, _program
from bnn_fsg.runtime._native import sets
from ninefold.errors import InputError

CHANNELS = [1, 2, 3, 4, 7, 8, 15, 16, 17, 24, 31, 32, 33, 40, 48, 64, 65, 96, 130]
LARGEST = 6_000  # numbers of a value


class Draw:
    """A graph as it grows."""

    def __init__(self, seed: int) -> None:
        self.draw, self.numbers = random.Random(seed), np.random.default_rng(seed)
        self.nodes: list[dict[str, Any]] = []
        self.arrays: dict[str, np.ndarray] = {}
        height, width = self.draw.choice([(1, 1), (1, 9), (5, 4), (8, 8), (13, 34), (33, 5)])
        self.sizes = {"input": Size(height, width, self.draw.choice([1, 3, 4, 16, 20, 64]))}
        self.last = "input"

    def floats(self, *shape: int) -> np.ndarray:
        return self.numbers.standard_normal(shape).astype(np.float32)

    def add(self, op: str, inputs: list[str], made: Size, **settings: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append({"op": op, "in": inputs, "out": name, **settings})
        self.sizes[name] = made
        return name

    def value(self) -> str:
        """One of the last values that are numbers."""
        known = [name for name, size in self.sizes.items() if not size.bits]
        return self.draw.choice(known[-3:])

    def convolution(self) -> str:
        draw, source = self.draw, self.last
        x = self.sizes[source]
        groups = draw.choice([1, 1, 1, 1, *[g for g in (2, 3, x.channels) if x.channels % g == 0]])
        each = draw.choice([1, 2, 5, 16, 17, 32, 48, 64, 70]) if groups < 8 else draw.choice([1, 1, 2])
        kernel, stride, dilation, padding = [[1, 1]] * 2, [1, 1], [1, 1], [0, 0]
        kernel = [draw.choice([1, 1, 2, 3, 3, 5]) for _ in range(2)]
        if draw.random() < 0.5:
            kernel = [draw.choice([1, 3])] * 2
            padding = [kernel[0] // 2] * 2
        else:
            ways = ((1, 1, 2, 3), (1, 1, 2), (0, 1, 2, 5))
            stride, dilation, padding = ([draw.choice(one) for _ in range(2)] for one in ways)
        size = [
            (given + 2 * p - d * (k - 1) - 1) // s + 1
            for given, p, d, k, s in zip((x.height, x.width), padding, dilation, kernel, stride, strict=True)
        ]
        if min(size) < 1 or size[0] * size[1] * groups * each > LARGEST:
            return source
        kind = draw.choice(["conv_bits", "conv_bits", "conv_bits", "conv_signs", "conv"]) if not x.bits else "conv_bits"
        keeps = kind == "conv_bits" and draw.random() < 0.25
        out, channels = groups * each, x.channels // groups
        made = Size(size[0], size[1], out, keeps)
        where = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        name = self.add(kind, [source], made, groups=groups, **where)
        taps = kernel[0] * kernel[1]
        if kind == "conv":
            found = {"weight": self.floats(out, taps, channels), "shift": self.floats(out)}
        else:
            found = {"bits": self.numbers.random((out, taps, channels)) < 0.5}
        if keeps:
            found["bound"] = self.numbers.integers(-9, 9, out).astype(draw.choice([np.int16, np.int32]))
            found["turned"] = self.numbers.random(out) < 0.5
        elif kind != "conv":
            found |= {"scale": self.floats(out), "shift": self.floats(out)}
            if draw.random() < 0.5:
                found["sums"] = self.floats(out)
        if kind == "conv_bits" and not x.bits:
            found["threshold"] = self.floats(draw.choice([1, x.channels]))
        if kind == "conv_bits" and draw.random() < 0.4:
            self.nodes[-1]["offset"] = draw.choice([0.4, -1.5])
        self.arrays |= {f"{name}.{key}": array for key, array in found.items()}
        return name

    def point(self) -> str:
        draw, source = self.draw, self.value()
        x, settings, arrays, inputs = self.sizes[source], {}, {}, [source]
        op = draw.choice([one for one in POINTS if one != "flatten" or draw.random() < 0.3])
        width = draw.choice([1, x.channels])
        if op in ("affine", "normalise"):
            arrays = {"scale": self.floats(width), "shift": self.floats(width)}
            settings = {} if op == "affine" else {"groups": draw.choice([0, 1]), "eps": 1e-3}
        elif op == "rectify":
            some = draw.sample(["shift_in", "shift_out"], draw.randrange(3))
            arrays = {key: self.floats(width) for key in ["positive", "negative", *some]}
        elif op == "clip":
            settings = {"low": -0.5, "high": draw.choice([0.7, float("inf")])}
        elif op in ("add", "concat", "multiply"):
            same = [k for k, one in self.sizes.items() if not one.bits and (op == "multiply" or one == x)]
            inputs.append(draw.choice(same))
            inputs += [source] * (op == "concat" and draw.random() < 0.3)
        elif op == "matmul":
            inputs.append(draw.choice([k for k, one in self.sizes.items() if not one.bits]))
            fits = [k for k, one in self.sizes.items() if (one.height, one.width) == (x.height, x.channels)]
            inputs[1] = draw.choice([k for k in fits if not self.sizes[k].bits] or inputs[1:])
        elif op == "rearrange":
            sizes = [one for side in x.shape for one in ([side // 2, 2] if side % 2 == 0 else [side])]
            order = draw.sample(range(len(sizes)), len(sizes))
            moved = [sizes[axis] for axis in order]
            at, to = sorted(draw.randint(0, len(sizes)) for _ in range(2))
            size = [math.prod(part) for part in (moved[:at], moved[at:to], moved[to:])]
            settings = {"sizes": sizes, "order": order, "size": size}
        elif op == "pixelwise":
            sides = [draw.choice([1, one]) for one in x.shape]
            arrays = {key: self.floats(*sides) for key in draw.sample(["scale", "shift"], draw.randint(0, 2))}
        elif op in ("max_pool", "average_pool"):
            kernel = [draw.choice([1, 2, 3]) for _ in range(2)]
            settings = {"kernel": kernel, "stride": [draw.choice([1, 2]) for _ in range(2)]}
            settings |= {"padding": [draw.randint(0, one // 2) for one in kernel]}
            settings |= {"count_padding": draw.random() < 0.5, "ceil": draw.random() < 0.5}
        elif op == "pick":
            settings = {"stride": [draw.choice([1, 2]) for _ in range(2)], "front": draw.choice([0, 8]), "back": 3}
        elif op == "curve":
            settings = {"function": draw.choice(CURVES)}
        elif op == "average":
            settings = {"axes": draw.sample(["height", "width", "channels"], draw.randint(1, 3))}
        elif op == "slice":
            begin = [draw.randrange(one) for one in x.shape]
            settings = {"begin": begin, "end": list(x.shape), "step": [1, 1, draw.choice([1, 2])]}
        elif op == "pad":
            settings = {"sides": [1, 0, 2, -(x.width > 1)], "mode": "constant", "value": 0.5}
        elif op == "resample":
            settings = {"size": [3, 5], "mode": "nearest", "step": [x.height / 3, x.width / 5]}
        elif op == "shuffle":
            settings = {"factor": 2}
        elif op == "spread":
            settings = {"stride": [2, 1]}
        try:
            node = Node(op, inputs, f"v{len(self.nodes)}", settings, arrays)
            size = POINTS[op](node, *(self.sizes[name] for name in inputs))
        except ValueError:
            return source
        if size.pixels * size.channels > LARGEST:
            return source
        name = self.add(op, inputs, size, **settings)
        self.arrays |= {f"{name}.{key}": array for key, array in arrays.items()}
        return name


def network(seed: int) -> bytes:
    """The bytes of a file."""
    graph = Draw(seed)
    for _ in range(graph.draw.randint(1, 9)):
        bits = graph.sizes[graph.last].bits
        graph.last = graph.convolution() if bits or graph.draw.random() < 0.6 else graph.point()
    while graph.sizes[graph.last].bits:
        before = graph.last
        graph.last = graph.convolution()
        if graph.last == before:
            graph.last = graph.value()
    first = graph.sizes["input"]
    about: dict[str, Any] = {"input": [first.channels, first.height, first.width], "output": graph.last}
    about |= {"output_rank": 4, "nodes": graph.nodes}
    about["normalisation"] = {
        "mean": [0.4] * first.channels, "std": graph.numbers.uniform(0.2, 0.4, first.channels).tolist(), "white": 255
    }  # fmt: skip
    return _format.encode(about, graph.arrays)


def check(seed: int) -> bool:
    """Hold every backend against numpy; whether there was an answer at all (sums may overflow)."""
    data = network(seed)
    plain = PackedModel(data, backend="numpy")
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((3, *plain.input_shape)).astype(np.float32)
    pictures = generator.integers(0, 256, (2, *plain.input_shape[1:], plain.input_shape[0])).astype(np.uint8)
    try:
        expected, on_pictures = plain(x), plain.on_pictures(pictures)
    except InputError:
        return False
    for name in sets():
        for threads in (1, 2):
            _program.EVERY_TILE = threads == 1 or seed % 2 > 0
            model = PackedModel(data, backend=name, threads=threads)
            model._run._shares = True
            assert np.array_equal(model(x), expected), f"network {seed}: {name} and numpy differ"
            assert np.array_equal(model.on_pictures(pictures), on_pictures), f"network {seed}: {name}, on pictures"
    return True


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    ran = sum(check(number) for number in range(args.first, args.first + args.count))
    print(f"{ran} of {args.count} networks run, and {', '.join(sets())} agree with numpy")
