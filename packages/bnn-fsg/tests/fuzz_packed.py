"""Mutated `.bnn` files with right checksums: each is refused by name, or runs, finite and twice the same.

    python packages/bnn-fsg/tests/fuzz_packed.py --count 10000 [--first 0] [--structure]

Graph, sizes, strides, dilation, padding, dtypes and array shapes are changed, alone and together. A crash of the
process ends the script at the file whose number it printed last; what else is wrong ends it with a line that says what.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import random
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from bnn_fsg import PackedModel
from bnn_fsg.graph._graph import OPERATIONS
from bnn_fsg.graph._sizes import value_bytes
from bnn_fsg.runtime import _program
from bnn_fsg.runtime._format import MAGIC, decode
from ninefold.errors import ArtifactError, InputError

SAMPLES = Path(__file__).parent / "samples"
SAMPLE, MORE = SAMPLES / "every-operation.bnn", SAMPLES / "more-operations.bnn"
TOKENS = SAMPLES / "token-operations.bnn"
NUMBERS = [-(2**63), -7, -2, -1, 0, 1, 2, 3, 4, 5, 6, 8, 9, 16, 17, 64, 70, 1000, 4_000_000, 2**31, 2**63, 10**30]
ODD: list[Any] = [None, True, 1.5, float("nan"), float("inf"), "3", [], [1], [1, 2, 3], {}, [[1, 1], 1], ["1", 1]]
KEYS = [
    "kernel", "stride", "padding", "dilation", "groups", "offset", "low", "high", "front", "back", "count_padding",
    "ceil", "sides", "size", "step", "begin", "end", "axes", "factor", "eps", "mode", "function", "value",
    "sizes", "order",
]  # fmt: skip
SPARE = 24 << 20  # bytes: interpreter, compiled kernels, buffers that do not grow
MOST_PRODUCTS = 100_000_000  # of a file that is run here


class Draft:
    """A file in parts: its header, and the bytes of each array."""

    def __init__(self, data: bytes) -> None:
        length = int.from_bytes(data[8:12], "little")
        self.about = json.loads(data[12 : 12 + length])
        self.parts, at = [], 12 + length
        for _, dtype, shape in self.about["arrays"]:
            count = int(np.prod(shape))
            size = -(-count // 8) if dtype == "bits" else count * {"f32": 4, "i32": 4, "i16": 2}[dtype]
            self.parts.append(data[at : at + size])
            at += size

    def encoded(self) -> bytes:
        header = json.dumps(self.about).encode()
        body = b"".join([MAGIC, len(header).to_bytes(4, "little"), header, *self.parts])
        return body + hashlib.sha256(body).digest()


def drafts() -> list[Draft]:
    """The sample as 0.1.0 wrote it, the same with the need that it states, and those of later operations."""
    old = Draft(SAMPLE.read_bytes())
    new = copy.deepcopy(old)
    new.about["graph"]["value_bytes"] = value_bytes(PackedModel(SAMPLE.read_bytes()).sizes)
    return [old, new, Draft(MORE.read_bytes()), Draft(TOKENS.read_bytes())]


def number(draw: random.Random) -> Any:
    return draw.choice(ODD) if draw.random() < 0.15 else draw.choice(NUMBERS)


def change_setting(draft: Draft, draw: random.Random) -> None:
    node = draw.choice(draft.about["graph"]["nodes"])
    key = draw.choice([one for one in node if one in KEYS] or KEYS) if draw.random() < 0.8 else draw.choice(KEYS)
    value = node.get(key)
    if isinstance(value, list) and value and draw.random() < 0.7:
        value[draw.randrange(len(value))] = number(draw)
    else:
        node[key] = number(draw) if draw.random() < 0.5 else [number(draw), number(draw)]


def change_node(draft: Draft, draw: random.Random) -> None:
    nodes = draft.about["graph"]["nodes"]
    names = ["input", "nowhere", *(one["out"] for one in nodes)]
    node = draw.choice(nodes)
    way = draw.randrange(6)
    if way == 0:
        node["op"] = draw.choice([*OPERATIONS, "unheard", 3, None])
    elif way == 1:
        node["in"][draw.randrange(len(node["in"]))] = draw.choice(names)
    elif way == 2:
        node["in"] = [draw.choice(names) for _ in range(draw.randrange(4))]
    elif way == 3:
        node["out"] = draw.choice([*names, 3, None])
    elif way == 4:
        nodes.remove(node)
    else:
        first, second = draw.randrange(len(nodes)), draw.randrange(len(nodes))
        nodes[first], nodes[second] = nodes[second], nodes[first]


def change_graph(draft: Draft, draw: random.Random) -> None:
    graph = draft.about["graph"]
    way = draw.randrange(5)
    if way == 0:
        graph["input"][draw.randrange(len(graph["input"]))] = number(draw)
    elif way == 1:
        graph["input"] = [number(draw) for _ in range(draw.randrange(5))]
    elif way == 2:
        graph["output"] = draw.choice([one["out"] for one in graph["nodes"]])
    elif way == 3:
        graph["output_rank"] = number(draw)
    else:
        graph["value_bytes"] = number(draw)


def change_array(draft: Draft, draw: random.Random) -> None:
    place = draw.randrange(len(draft.about["arrays"]))
    entry = draft.about["arrays"][place]
    way = draw.randrange(6)
    if way == 0:
        entry[2][draw.randrange(len(entry[2]))] = number(draw)
    elif way == 1:
        draw.shuffle(entry[2])
    elif way == 2:  # the same numbers in another shape
        entry[2] = [int(np.prod(entry[2]))] if draw.random() < 0.5 else [1, *entry[2]]
    elif way == 3:
        entry[1] = draw.choice(["bits", "f32", "i32", "i16", "f64", 7])
    elif way == 4:
        entry[0] = draw.choice([one[0] for one in draft.about["arrays"]])
    else:
        del draft.about["arrays"][place], draft.parts[place]


def resize_array(draft: Draft, draw: random.Random) -> None:
    """Another size with the bytes that go with it, so that only the graph can say that it does not fit."""
    place = draw.randrange(len(draft.about["arrays"]))
    name, dtype, shape = draft.about["arrays"][place]
    shape = list(shape)
    axis = draw.randrange(len(shape))
    shape[axis] = max(1, draw.choice([shape[axis] - 1, shape[axis] + 1, 2 * shape[axis], shape[axis] // 2, 1, 2000]))
    count = int(np.prod(shape))
    if count > 4_000_000:
        return
    size = -(-count // 8) if dtype == "bits" else count * {"f32": 4, "i32": 4, "i16": 2}[dtype]
    whole = draft.parts[place]
    draft.about["arrays"][place] = [name, dtype, shape]
    draft.parts[place] = (whole * (size // len(whole) + 1))[:size]


def places(tree: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in a JSON tree."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [place for key in keys for place in ((tree, key), *places(tree[key]))]


def change_structure(draft: Draft, draw: random.Random) -> None:
    """Any part of the header becomes another kind of thing, goes, is wrapped, or stands where another stood."""
    tree, key = draw.choice(places(draft.about))
    way = draw.randrange(5)
    if way == 0:
        tree[key] = copy.deepcopy(draw.choice([*ODD, *NUMBERS, [None], [{}], {"a": 1}, [[]], "input", -0.0]))
    elif way == 1:
        del tree[key]
    elif way == 2:
        tree[key] = draw.choice([[tree[key]], {"in": tree[key]}, {"0": tree[key]}, str(tree[key]), [tree[key]] * 2])
    elif way == 3:
        other, place = draw.choice(places(draft.about))
        tree[key] = copy.deepcopy(other[place])
    elif isinstance(tree, dict):
        tree[draw.choice(["x", "op", "in", "out", "mean", "normalisation", "value_bytes"])] = tree.pop(key)
    else:
        tree.insert(key, copy.deepcopy(draw.choice([tree[key], None, 0, "", {}])))


CHANGES = [change_setting, change_setting, change_node, change_graph, change_array, resize_array]


def mutated(bases: list[Draft], seed: int, changes: list[Any]) -> bytes:
    draw = random.Random(seed)
    draft = copy.deepcopy(draw.choice(bases))
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        try:
            draw.choice(changes)(draft, draw)
        except (
            ValueError,
            TypeError,
            IndexError,
            AttributeError,
            KeyError,
        ):  # an earlier change made it odd
            continue
    return draft.encoded()


def judge(data: bytes, seed: int) -> str:
    """What became of a file; AssertionError if that is neither a named refusal nor a sound run."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    model, allowed = None, 40 * len(data)
    try:
        model = PackedModel(data)
        allowed = model.memory
        decode(data, "file")
        products = sum(
            node.arrays["weight" if node.op == "conv" else "bits"].size * model.sizes[node.output].pixels
            for node in model.nodes
            if node.op in ("conv", "conv_bits", "conv_signs")
        )
        if products > MOST_PRODUCTS or max(one.nbytes for one in model.sizes.values()) > 64 << 20:
            return "loaded, too large to run here"
        x = np.random.default_rng(seed).normal(size=(1, *model.input_shape)).astype(np.float32)
        once, again = model(x), model(x)
        assert np.isfinite(once).all(), f"file {seed}: NaN or infinity"
        assert np.array_equal(once, again), f"file {seed}: other numbers the second time"
        return "ran"
    except ArtifactError:
        return "refused at load"
    except InputError:
        return "refused when run"
    finally:
        used = tracemalloc.get_traced_memory()[1] - before
        assert used <= allowed + SPARE, f"file {seed}: {used} bytes were taken, {allowed} are its need"


def run(first: int, count: int, *, structure: bool = False) -> Counter[str]:
    bases, changes = drafts(), [change_structure] if structure else CHANGES
    _program.EVERY_TILE = True
    for one in bases:  # what imports and compilers take is no file's need
        PackedModel(one.encoded())(np.zeros((1, *one.about["graph"]["input"]), np.float32))
    tracemalloc.start()
    for one in bases:  # compile before anything is measured
        assert judge(one.encoded(), 0) == "ran"
    found: Counter[str] = Counter()
    for seed in range(first, first + count):
        print(f"file {seed}", file=sys.stderr, end="\r")
        found[judge(mutated(bases, seed, changes), seed)] += 1
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--structure", action="store_true", help="change the header's structure, whatever stands there")
    args = parser.parse_args()
    print(json.dumps(run(args.first, args.count, structure=args.structure)))
