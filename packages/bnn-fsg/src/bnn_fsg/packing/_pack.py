"""From a binarised torch module to a packed model: tracing, folding, the AdaBin file, ONNX and QONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from bnn_fsg.graph._graph import Node
from bnn_fsg.graph._sizes import infer, value_bytes
from bnn_fsg.packing._fold import fold
from bnn_fsg.packing._trace import trace
from bnn_fsg.runtime import PackedModel
from bnn_fsg.runtime._format import encode


def pack(
    model: nn.Module,
    example_input: Tensor,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    white: int = 255,
    classes: Sequence[str] = (),
    threads: int = 1,
) -> PackedModel:
    """Turn a trained, binarised network into one that runs on bits, without torch.

    Args:
        model: evaluated as in `eval()`; its binarised layers keep `spec.BinaryLayer`.
        example_input: (n, channels, [[frames], height], width) or (n, features): fixes the input's shape.
        mean, std: by channel, what pictures from 0 to 1 were normalised with; kept for `PackedModel.prepare`.
        white: the pixel value that stands for 1.
        classes: names of the classes in the order of the outputs, kept as `PackedModel.classes`.
        threads: for the packed model.
    Returns: the packed model; `.save(path)` writes the `.bnn` file.
    Raises:
        InputError: naming all modules and calls that cannot be packed.

    Examples:
        >>> import torch
        >>> from pathlib import Path
        >>> from bnn_fsg import binarize, pack
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> net = nn.Sequential(
        ...     nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardtanh(), nn.MaxPool2d(4),
        ...     nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(16, 10),
        ... )
        >>> x = torch.rand(4, 1, 12, 12)
        >>> model = binarize(net, weights="bwn-f", skip=["0"], example_input=x)

        >>> packed = pack(model.eval(), x)

        >>> packed.input_shape
        (1, 12, 12)
        >>> difference = packed(x.numpy()) - model(x).detach().numpy()
        >>> bool(abs(difference).max() < 1e-4)
        True
        >>> packed.save("mine.bnn")
        >>> Path("mine.bnn").stat().st_size == packed.nbytes
        True
    """
    if not isinstance(example_input, Tensor) or example_input.ndim not in (2, 3, 4, 5):
        shape = tuple(example_input.shape) if isinstance(example_input, Tensor) else type(example_input).__name__
        raise InputError("example_input", got=shape, expected="a float tensor of 2 to 5 dimensions, batch first")
    if 0 in example_input.shape:
        raise InputError("example_input", got=f"shape {tuple(example_input.shape)}", expected="no dimension of size 0")
    normalisation = _normalisation(mean, std, white, example_input.shape[1])
    example = example_input[:1].detach().to("cpu", torch.float32)
    if bool((example == example.flatten()[0]).all()):  # nodes are held against torch, and a black picture shows little
        example = torch.randn(example.shape, generator=torch.Generator().manual_seed(0))
    nodes, output, shape = trace(model, example)
    nodes, output = fold(nodes, output)
    graph, arrays = describe(nodes, output, shape, example)
    if normalisation is not None:
        graph["normalisation"] = normalisation
    if classes:
        graph["classes"] = _names(classes, shape)
    return PackedModel(encode(graph, arrays), threads=threads)


def _normalisation(mean: Any, std: Any, white: int, channels: int) -> dict[str, Any] | None:
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        raise InputError("mean and std", got="one without the other")
    known = {"mean": [float(one) for one in mean], "std": [float(one) for one in std]}
    for name, numbers in known.items():
        if len(numbers) != channels:
            raise InputError(name, got=f"{len(numbers)} numbers", expected=f"{channels}, one for each channel")
    if not all(one > 0 for one in known["std"]):
        raise InputError("std", got=known["std"], expected="numbers above 0")
    return {**known, "white": white}


def _names(classes: Sequence[str], shape: tuple[int, ...]) -> list[str]:
    """The names, one for each output; InputError otherwise."""
    names = list(map(str, classes))
    if len(shape) != 2 or len(names) != shape[1] or len(set(names)) < len(names):
        expected = f"{shape[1]} different names" if len(shape) == 2 else "none: the output is not one number per class"
        raise InputError("classes", got=f"{len(set(names))} different names", expected=expected)
    return names


def describe(nodes: list[Node], output: str, shape: tuple[int, ...], example: Tensor) -> tuple[Any, dict[str, Any]]:
    """(graph, arrays) as the file holds them."""
    entries = [{"op": node.op, "in": node.inputs, "out": node.output, **node.settings} for node in nodes]
    arrays = {f"{node.output}.{key}": array for node in nodes for key, array in node.arrays.items()}
    graph = {"input": list(example.shape[1:]), "output": output, "output_rank": len(shape), "nodes": entries}
    try:
        graph["value_bytes"] = value_bytes(infer(graph["input"], nodes, output, len(shape)))
    except ValueError as error:
        raise InputError("model", got=str(error), expected="a network that the packed runtime can hold") from None
    return graph, arrays
