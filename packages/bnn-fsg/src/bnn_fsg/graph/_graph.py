"""The graph of a `.bnn` file: its operations, checked as they are read, and fused where one kernel does several.

    {"input": [channels, [[frames], height], width] or [features], "output": value, "output_rank": of torch's tensor,
     "value_bytes": of all values of one sample (see `_sizes`), "nodes": [{"op", "in", "out", ...}, ...]}

Pictures and vectors are (n, h, w, channels) inside; a vector is a picture of one pixel. Operations, with their
settings and arrays (names in the file: "<out>.<array>"):

    conv_bits   kernel stride padding dilation groups offset; bits, scale, shift, [sums], [threshold]; or, where only
                the signs of its output are used, bits, bound, turned and [threshold]: the next layer's threshold, with
                BatchNorm in it. Without `threshold` the input must be +1 and -1 already, or comes as bits.
    conv_signs  the same geometry; bits, scale, shift, [sums]: numbers in, one bit a weight
    conv        the same geometry; weight, shift
    affine      scale, shift            rectify  positive, negative, [shift_in], [shift_out]
    clip        low high                add      two values
    max_pool, average_pool  kernel stride padding, [count_padding]      mean  over all pixels
    flatten     in torch's order        pick  stride front back: every stride-th pixel, zero channels around
    concat      along channels          multiply  two values, sides of 1 spread
    curve       function: of each number            softmax  over channels
    normalise   groups eps; scale, shift: mean 0 and variance 1 over the pixels of each group of channels;
                with 0 groups over the channels of each pixel
    average     axes: of height, width and channels     slice  begin end step, each of height, width and channels
    pad         sides (top, bottom, left, right; below 0 takes away) mode value
    resample    size mode step corners: nearest and exact (torch's nearest-exact), bilinear, or the average or maximum
                of the pixels that fall to each; step: pixels of the input to one of the output
    spread      stride: zeros between pixels            shuffle  factor: channels to pixels, as torch's PixelShuffle
    rearrange   sizes order size: the numbers split into axes of these sizes, those in another order, as a picture
    matmul      (height, width, k) by (height, k, channels): a product of matrices for each row of pixels
    pixelwise   [scale], [shift], of three dimensions: a number for each pixel and channel, sides of 1 spread
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

OPERATIONS = {  # name: (inputs, needed arrays, possible arrays)
    "conv_bits": (1, {"bits"}, {"scale", "shift", "sums", "threshold", "bound", "turned"}),
    "conv_signs": (1, {"bits", "scale", "shift"}, {"sums"}),
    "conv": (1, {"weight", "shift"}, set()),
    "affine": (1, {"scale", "shift"}, set()),
    "rectify": (1, {"positive", "negative"}, {"shift_in", "shift_out"}),
    "clip": (1, set(), set()),
    "add": (2, set(), set()),
    "max_pool": (1, set(), set()),
    "average_pool": (1, set(), set()),
    "mean": (1, set(), set()),
    "flatten": (1, set(), set()),
    "matmul": (2, set(), set()),
    "pick": (1, set(), set()),
    "concat": (None, set(), set()),
    "average": (1, set(), set()),
    "curve": (1, set(), set()),
    "multiply": (2, set(), set()),
    "normalise": (1, {"scale", "shift"}, set()),
    "pad": (1, set(), set()),
    "pixelwise": (1, set(), {"scale", "shift"}),
    "rearrange": (1, set(), set()),
    "resample": (1, set(), set()),
    "shuffle": (1, set(), set()),
    "slice": (1, set(), set()),
    "softmax": (1, set(), set()),
    "spread": (1, set(), set()),
}
CONVOLUTIONS = ("conv_bits", "conv_signs", "conv")
_MOST_NODES = 10_000


@dataclass
class Node:
    """One operation: values in, one value out, settings and arrays by name."""

    op: str
    inputs: list[str]
    output: str
    settings: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Any] = field(default_factory=dict)
    name: str = ""  # its own, which stays when fusing gives it another output
    residual: str | None = None  # after fusing: a value added before the rectifier
    rectifier: dict[str, Any] = field(default_factory=dict)  # after fusing: arrays of a `rectify`


def parse(graph: dict[str, Any], arrays: dict[str, Any]) -> list[Node]:
    """The nodes of a file's graph; ValueError says what makes no sense."""
    known, nodes = {"input"}, []
    by_owner: dict[str, dict[str, Any]] = {}
    listed = graph["nodes"] if isinstance(graph, dict) else None
    if not isinstance(listed, list):
        raise ValueError("the graph is no object with a list of nodes")
    if len(listed) > _MOST_NODES:
        raise ValueError(f"{len(listed)} nodes, more than {_MOST_NODES}")
    for name, array in arrays.items():
        owner, _, kind = name.rpartition(".")
        by_owner.setdefault(owner, {})[kind] = array
    for entry in listed:
        _check_entry(entry)
        settings = {key: value for key, value in entry.items() if key not in ("op", "in", "out")}
        name = entry["out"]
        node = Node(entry["op"], list(entry["in"]), name, settings, by_owner.get(name, {}), name)
        if node.op not in OPERATIONS:
            raise ValueError(f"{node.output}: unknown operation {node.op!r}")
        count, needed, possible = OPERATIONS[node.op]
        if count is not None and len(node.inputs) != count:
            raise ValueError(f"{node.output}: {node.op} has {len(node.inputs)} inputs")
        missing = [value for value in node.inputs if value not in known]
        if missing or node.output in known:
            raise ValueError(f"{node.output}: {missing or 'its own name'} is not made by a node before it")
        if not needed <= node.arrays.keys() or not node.arrays.keys() <= needed | possible:
            raise ValueError(f"{node.output}: {node.op} has arrays {sorted(node.arrays)}")
        if node.op == "conv_bits" and not ({"scale", "shift"} <= node.arrays.keys()) ^ ("bound" in node.arrays):
            raise ValueError(f"{node.output}: either scale and shift, or bound")
        known.add(node.output)
        nodes.append(node)
    strangers = by_owner.keys() - known
    if strangers:
        raise ValueError(f"arrays of {sorted(strangers)[:3]}, which are no nodes")
    if graph["output"] not in known:
        raise ValueError(f"the output {graph['output']!r} is not made by any node")
    return nodes


def _check_entry(entry: Any) -> None:
    """ValueError unless a node is an object with an operation, names of its inputs and the name of its output."""
    if not isinstance(entry, dict):
        raise ValueError(f"the node {entry!r:.60} is no object")
    if not isinstance(entry["op"], str) or not isinstance(entry["out"], str):
        raise ValueError(f"the node {entry!r:.60} has an op or an out that is no name")
    if not isinstance(entry["in"], list) or not all(isinstance(one, str) for one in entry["in"]):
        raise ValueError(f"{entry['out']}: in {entry['in']!r:.60}, expected a list of names")


def fuse(nodes: list[Node], output: str) -> list[Node]:
    """Let a convolution do the addition and the rectifier after it, where nothing else uses what lies between."""
    uses = Counter(value for node in nodes for value in node.inputs)
    uses[output] += 1
    made: dict[str, int] = {}  # value -> place in `done` of the convolution that makes it and may still take more
    done: list[Node] = []
    for node in nodes:
        grown = _grown(node, done, made, uses)
        if grown is None:
            made.pop(node.output, None)
            if node.op in CONVOLUTIONS and "bound" not in node.arrays:
                made[node.output] = len(done)
            done.append(node)
    return _ordered(done)


def _grown(node: Node, done: list[Node], made: dict[str, int], uses: Counter[str]) -> Node | None:
    """The convolution that takes `node` in, or None."""
    free = [value for value in node.inputs if value in made and uses[value] == 1]
    if not free or node.op not in ("add", "rectify"):
        return None
    value = free[-1]
    place = made[value]
    conv = done[place]
    if conv.rectifier or (node.op == "add" and (conv.residual or node.inputs[0] == node.inputs[1])):
        return None
    if node.op == "add":
        other = next(one for one in node.inputs if one != value)
        grown = replace(conv, output=node.output, residual=other)
    else:
        grown = replace(conv, output=node.output, rectifier=node.arrays)
    done[place] = grown
    del made[value]
    made[node.output] = place
    return grown


def _ordered(nodes: list[Node]) -> list[Node]:
    """Nodes so that each comes after what it uses: a fused residual may be made later than its convolution was.

    Of those that may come next, the first in `nodes` does.
    """
    readers: dict[str, list[int]] = {}
    missing = []
    for index, node in enumerate(nodes):
        needs = {*node.inputs, node.residual or "input"} - {"input"}
        missing.append(len(needs))
        for value in needs:
            readers.setdefault(value, []).append(index)
    ready, ordered = [index for index, count in enumerate(missing) if not count], []
    while ready:
        node = nodes[heapq.heappop(ready)]
        ordered.append(node)
        for index in readers.get(node.output, ()):
            missing[index] -= 1
            if not missing[index]:
                heapq.heappush(ready, index)
    return ordered
