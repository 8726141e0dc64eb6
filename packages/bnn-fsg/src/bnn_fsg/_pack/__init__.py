"""From a binarised torch module to a packed model: tracing, folding, the AdaBin file, ONNX and QONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from bnn_fsg._pack._fold import fold
from bnn_fsg._pack._trace import trace
from bnn_fsg.runtime import PackedModel
from bnn_fsg.runtime._format import encode
from bnn_fsg.runtime._graph import Node


def pack(
    model: nn.Module,
    example_input: Tensor,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    threads: int = 1,
) -> PackedModel:
    """Turn a trained, binarised network into one that runs on bits, without torch.

    Args:
        model: evaluated as in `eval()`; its binarised layers keep `spec.BinaryLayer`.
        example_input: (n, channels, height, width), (n, channels, length) or (n, features): fixes the input's shape.
        mean, std: by channel, what pictures from 0 to 1 were normalised with; kept for `PackedModel.prepare`.
        threads: for the packed model.
    Returns: the packed model; `.save(path)` writes the `.bnn` file.
    Raises:
        InputError: naming all modules and calls that cannot be packed.
    """
    if not isinstance(example_input, Tensor) or example_input.ndim not in (2, 3, 4):
        shape = tuple(example_input.shape) if isinstance(example_input, Tensor) else type(example_input).__name__
        raise InputError("example_input", got=shape, expected="a float tensor of 2 to 4 dimensions, batch first")
    example = example_input[:1].detach().to(torch.float32)
    nodes, output, shape = trace(model, example)
    nodes, output = fold(nodes, output)
    graph, arrays = describe(nodes, output, shape, example)
    if mean is not None and std is not None:
        graph["normalisation"] = [list(mean), list(std)]
    return PackedModel(encode(graph, arrays), threads=threads)


def describe(nodes: list[Node], output: str, shape: tuple[int, ...], example: Tensor) -> tuple[Any, dict[str, Any]]:
    """(graph, arrays) as the file holds them."""
    entries = [{"op": node.op, "in": node.inputs, "out": node.output, **node.settings} for node in nodes]
    arrays = {f"{node.output}.{key}": array for node in nodes for key, array in node.arrays.items()}
    graph = {"input": list(example.shape[1:]), "output": output, "output_rank": len(shape), "nodes": entries}
    return graph, arrays
