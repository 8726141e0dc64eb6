"""One feature vector for each input, from inside a model, at the cost of the layers up to there.

The forward pass is left by an exception as soon as the wanted layers have spoken: routing on an early layer costs a
fraction of a forward.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

Pooling = Literal["mean", "first"]


class _EarlyExit(BaseException):
    """Leaves a forward pass once all is seen that was wanted; no error, so nothing on its way should catch it."""


def extract(
    model: nn.Module, inputs: Tensor | Mapping[str, Any], layer: int | str, pooling: Pooling = "mean"
) -> Tensor:
    """Features of a batch, in evaluation mode and without gradients.

    Args:
        model: a module; for an integer `layer`, a transformers model or a module that contains one.
        inputs: keyword arguments of the model, or its one positional tensor; first dimension B.
        layer: index into the hidden states of a transformer (0 is the embeddings' output, -1 the last hidden state as
            the model returns it), or the name of a module, whose output is taken.
        pooling: (B, T, F) becomes the mean over tokens, under `attention_mask` if there is one, or the "first" token;
            (B, C, H, W) becomes the mean over places; (B, F) is taken as it is.
    Returns: (B, F) float32.
    Raises:
        InputError: no such layer or module, or one that this input does not reach.
    """
    return extract_layers(model, inputs, (layer,), pooling)[0]


def extract_layers(
    model: nn.Module, inputs: Tensor | Mapping[str, Any], layers: Sequence[int | str], pooling: Pooling = "mean"
) -> list[Tensor]:
    """Features after each of several layers, as `extract` makes them, in one forward pass."""
    mask = inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
    found: dict[int, Any] = {}
    with torch.no_grad(), _evaluating(model), contextlib.ExitStack() as hooks:
        for place, layer in enumerate(layers):
            module, before = _module(model, layer)
            hooks.enter_context(_watching(module, found, place, len(layers), before=before))
        with contextlib.suppress(_EarlyExit):
            _ = model(**inputs) if isinstance(inputs, Mapping) else model(inputs)
    for place, layer in enumerate(layers):
        if place not in found:
            raise InputError("feature_layer", got=repr(layer), expected="a layer that the forward pass reaches")
    return [_pooled(_tensor(found[place], layer), mask, pooling, layer) for place, layer in enumerate(layers)]


def beside(model: nn.Module, layer: int | str, most: int = 4) -> tuple[int | str, ...]:
    """The layers to look at together with one of the last two: the last hidden states; with others, nothing more."""
    if layer not in (-1, -2):
        return (layer,)
    return tuple(range(-min(most, len(_encoder(model)[1]) + 1), 0))


def _module(model: nn.Module, layer: int | str) -> tuple[nn.Module, bool]:
    """(module to leave at, whether before it rather than after it)."""
    if isinstance(layer, str):
        try:
            return model.get_submodule(layer), False
        except AttributeError:
            names = [name for name, _ in model.named_modules() if name.count(".") <= 1 and name]
            raise InputError(
                "feature_layer", got=repr(layer), expected=f"a module's name, such as {names[:8]}"
            ) from None
    encoder, layers = _encoder(model)
    count = len(layers)
    index = layer + count + 1 if layer < 0 else layer
    if not 0 <= index <= count:
        raise InputError("feature_layer", got=layer, expected=f"-{count + 1} to {count}: there are {count} layers")
    if index == count:
        return encoder, False
    return (layers[0], True) if index == 0 else (layers[index - 1], False)


def _encoder(model: nn.Module) -> tuple[nn.Module, nn.ModuleList]:
    """The transformer inside a model, and its layers: the innermost transformers model around them."""
    found: dict[int, tuple[nn.Module, nn.ModuleList]] = {}
    for module in model.modules():  # outer modules come before inner ones
        count = getattr(getattr(module, "config", None), "num_hidden_layers", None)
        for part in module.modules() if count and hasattr(module, "base_model_prefix") else ():
            if isinstance(part, nn.ModuleList) and len(part) == count:
                found[id(part)] = (module, part)
                break
    if len(found) == 1:
        return next(iter(found.values()))
    got = f"a {type(model).__name__} with {len(found) or 'no'} transformers inside"
    raise InputError("feature_layer", got=got, expected="a module's name for this model")


@contextlib.contextmanager
def _watching(module: nn.Module, found: dict[int, Any], place: int, count: int, *, before: bool) -> Iterator[None]:
    """Keep what a module is given or gives; once `count` places are filled, leave the forward pass."""

    def keep(value: Any) -> None:
        found[place] = value
        if len(found) == count:
            raise _EarlyExit

    def keep_before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        keep(args[0] if args else kwargs.get("hidden_states"))

    def keep_after(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:  # noqa: ARG001
        keep(output)

    if before:
        hook = module.register_forward_pre_hook(keep_before, with_kwargs=True)
    else:
        hook = module.register_forward_hook(keep_after)
    try:
        yield
    finally:
        hook.remove()


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; afterwards each module is in the mode it was in."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _tensor(value: Any, layer: int | str) -> Tensor:
    value = getattr(value, "last_hidden_state", value)
    value = value[0] if isinstance(value, tuple | list) else value
    if not isinstance(value, Tensor):
        raise InputError(
            "feature_layer", got=f"{layer!r}, which gives a {type(value).__name__}", expected="one that gives a tensor"
        )
    return value


def _pooled(value: Tensor, mask: Tensor | None, pooling: Pooling, layer: int | str) -> Tensor:
    value = value.to(torch.float32)
    if value.dim() == 2:
        return value
    if value.dim() == 4:
        return value.mean((2, 3))
    if value.dim() != 3:
        raise InputError(
            "feature_layer", got=f"{layer!r} of shape {tuple(value.shape)}", expected="2, 3 or 4 dimensions"
        )
    if pooling == "first":
        return value[:, 0]
    if mask is None or mask.shape != value.shape[:2]:
        return value.mean(1)
    weight = mask.to(value.device, torch.float32)[..., None]
    return (value * weight).sum(1) / weight.sum(1).clamp(min=1)
