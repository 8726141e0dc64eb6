"""Batches as callers hold them: a tensor, a mapping of a model's keyword arguments, or raw inputs such as texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ninefold.errors import InputError
from torch import Tensor, nn

Preprocess = Callable[[list[Any]], Any]
"""Turns raw inputs into what the model takes: a tensor or a mapping of tensors."""


def ready(model: nn.Module, inputs: Any, preprocess: Preprocess | None) -> Tensor | dict[str, Any]:
    """Inputs as the model takes them, on its device.

    Raises:
        InputError: raw inputs without a `preprocess`, or an empty batch.
    """
    if not isinstance(inputs, Tensor | Mapping):
        if preprocess is None:
            raise InputError(
                "inputs",
                got=f"a {type(inputs).__name__}",
                expected="a tensor or a mapping of tensors",
                hint="give a `preprocess`, such as the tokeniser",
            )
        inputs = preprocess([inputs] if isinstance(inputs, str) else list(inputs))
    if not length(inputs):
        raise InputError("inputs", got="an empty batch", expected="at least one input")
    device = next((each.device for each in model.parameters() if each.device.type != "meta"), None)
    if isinstance(inputs, Tensor):
        return inputs.to(device)
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in inputs.items()}


def texts_of(inputs: Any) -> list[str] | None:
    """The texts of raw inputs; None if they are others, or a tensor or a mapping."""
    if isinstance(inputs, str):
        return [inputs]
    if isinstance(inputs, list | tuple) and inputs and all(isinstance(each, str) for each in inputs):
        return list(inputs)
    return None


def length(inputs: Any) -> int:
    """Number of inputs in a batch; of a mapping, rows of its first tensor."""
    if isinstance(inputs, Mapping):
        return next((len(value) for value in inputs.values() if isinstance(value, Tensor)), 0)
    return len(inputs)


def take(inputs: Any, rows: Sequence[int]) -> Any:
    """Some of the inputs; what is no tensor in a mapping goes along whole."""
    if isinstance(inputs, Tensor):
        return inputs[list(rows)]
    if isinstance(inputs, Mapping):
        return {name: value[list(rows)] if isinstance(value, Tensor) else value for name, value in inputs.items()}
    return [inputs[row] for row in rows]
