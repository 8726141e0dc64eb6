"""Binarised layers, and `binarize`, which puts them into any module by type and name."""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from bnn_fsg.layers._activations import SignActivation, activation
from bnn_fsg.layers._quantizers import WeightQuantizer, quantizer
from bnn_fsg.layers._signs import Clip
from bnn_fsg.layers._spec import BinaryInput, BinaryWeight


class Source(Protocol):
    """Who gives a layer its weights while it trains: an estimator."""

    def tensors(self, layer: Any) -> tuple[Tensor, Tensor | None]:
        """W^ and the bias for this forward pass."""
        ...


class Binary(nn.Module):
    """What all binarised layers share.

    Attributes:
        label: qualified name in the model.
        order: place in the order of execution, from 0: its row of a layer recognition embedding.
        quantizer: the forward of its weights.
        activation: binarises its input, or None (W1A32).
        source: the estimator attached to it, or None: straight-through.
    """

    weight: Any
    bias: Any
    label: str
    order: int
    quantizer: WeightQuantizer
    activation: SignActivation | None
    source: Source | None = None

    def tensors(self) -> tuple[Tensor, Tensor | None]:
        """W^ and the bias of this forward pass; out of training always those of W, never of W_meta."""
        if self.training and self.source is not None:
            return self.source.tensors(self)
        return self.quantizer(self.weight, Clip()), self.bias

    def binary_weight(self) -> BinaryWeight:
        """What `pack` needs of the weights."""
        weight = self.weight.detach()
        scale, shift = self.quantizer.affine(weight)
        sign = self.quantizer.bits(weight)
        return BinaryWeight(sign, scale.clone(), shift.clone() if shift.any() else None)

    def binary_input(self) -> BinaryInput | None:
        """What `pack` needs of the activations."""
        return self.activation.binary_input() if self.activation is not None else None

    def _input(self, x: Tensor) -> Tensor:
        return x if self.activation is None else self.activation(x)

    def __getstate__(self) -> dict[str, Any]:  # a copy of the model is not the estimator's
        state = dict(self.__dict__)
        state.pop("source", None)
        return state


class BinaryLinear(Binary, nn.Linear):
    """A linear layer with 1-bit weights."""

    def _input(self, x: Tensor) -> Tensor:
        """Activations have channels second; here they come last."""
        return super()._input(x.movedim(-1, 1)).movedim(1, -1) if x.ndim > 2 else super()._input(x)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's own name)
        return nn.functional.linear(self._input(input), *self.tensors())


class BinaryConv1d(Binary, nn.Conv1d):
    """A 1-d convolution with 1-bit weights."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return self._conv_forward(self._input(input), *self.tensors())


class BinaryConv2d(Binary, nn.Conv2d):
    """A 2-d convolution with 1-bit weights."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return self._conv_forward(self._input(input), *self.tensors())


class BinaryConv3d(Binary, nn.Conv3d):
    """A 3-d convolution with 1-bit weights."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return self._conv_forward(self._input(input), *self.tensors())


_FORMS: dict[type, type] = {
    nn.Linear: BinaryLinear, nn.Conv1d: BinaryConv1d, nn.Conv2d: BinaryConv2d, nn.Conv3d: BinaryConv3d,
}  # fmt: skip
_ENOUGH = 32  # values of one sign are no accident
_NO_FORM = (nn.modules.conv._ConvTransposeNd, nn.Linear, nn.modules.conv._ConvNd)  # transposed, and unknown subclasses


def binarize(
    model: nn.Module,
    weights: str = "dorefa",
    activations: str | None = None,
    *,
    skip: Sequence[str | type] = (),
    example_input: Any = None,
) -> nn.Module:
    """A copy of `model` whose Conv1d/2d/3d and Linear layers are 1-bit; latent weights start at the trained ones.

    Args:
        model: any module; it is not changed.
        weights: forward of the weights: dorefa, bwn, bwn-f, bwn-none, xnor, irnet, adabin or reactnet.
        activations: forward of the layers' inputs: None (they stay float), sign, approx, reste, irnet, rsign or adabin.
        skip: names (patterns such as "layer1.*", "conv1") or module types that stay float.
        example_input: a tensor, or a tuple of arguments, to run once: the layers are then numbered as they run, and one
            that never runs, or whose 1-bit input is +1 everywhere, is an error. Without it they are numbered as
            `named_modules` lists them.
    Raises:
        InputError: names the layer: no layer left, a pattern that matches nothing, weights shared by two layers, a
            kind without a 1-bit form, all-zero weights, half precision, the sign of what a ReLU leaves.

    Examples:
        >>> import torch
        >>> from bnn_fsg import binarize
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> net = nn.Sequential(
        ...     nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardtanh(), nn.MaxPool2d(4),
        ...     nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(16, 10),
        ... )
        >>> x = torch.rand(4, 1, 12, 12)
        >>> model = binarize(net, weights="bwn-f", skip=["0"], example_input=x)

        >>> [type(layer).__name__ for layer in model][:5]  # the first stays as it was
        ['Conv2d', 'BatchNorm2d', 'Hardtanh', 'MaxPool2d', 'BinaryConv2d']
        >>> model[4].weight.shape, model(x).shape  # latent weights, of which the signs count
        (torch.Size([16, 8, 3, 3]), torch.Size([4, 10]))
    """
    form = quantizer(weights)
    named = dict(model.named_modules())
    skipped = _skipped(named, skip)
    read_raw = {f"{name}.out_proj".lstrip(".") for name, one in named.items() if isinstance(one, nn.MultiheadAttention)}
    chosen = {}
    for name, module in named.items():
        if name in skipped:
            continue
        if name in read_raw:  # binary ones would change nothing
            continue
        if _form(module) is not None:
            chosen[name] = module
        elif isinstance(module, _NO_FORM) and not isinstance(module, Binary):
            expected = "Conv1d, Conv2d, Conv3d or Linear; name it in `skip` to leave it float"
            raise InputError(f"layer {name}", got=type(module).__name__, expected=expected)
    if not chosen:
        expected = "a Conv1d, Conv2d, Conv3d or Linear outside `skip`"
        raise InputError("model", got="no layer to binarise", expected=expected)
    _check_weights(model, chosen, form)
    made = copy.deepcopy(model)
    for name, module in chosen.items():
        layer = _binary(name, made.get_submodule(name), form, activations, _channels(module))
        parent, _, leaf = name.rpartition(".")
        if name == "":
            made = layer
        else:
            setattr(made.get_submodule(parent), leaf, layer)
    for order, name in enumerate(_running_order(made, list(chosen), example_input)):
        made.get_submodule(name).order = order  # type: ignore[assignment]
    return made


def binary_layers(model: nn.Module) -> list[Any]:
    """The binarised layers in their order of execution; InputError if there are none."""
    layers = [module for module in model.modules() if isinstance(module, Binary)]
    if not layers:
        raise InputError("model", got="no binarised layer", expected="what `binarize` returns")
    return sorted(layers, key=lambda layer: layer.order)


def _skipped(named: dict[str, nn.Module], skip: Sequence[str | type]) -> set[str]:
    """Names that any rule of `skip` takes, with all below them."""
    if isinstance(skip, str):
        raise InputError("skip", got=repr(skip), expected="a list of patterns")
    found: set[str] = set()
    for rule in skip:
        if isinstance(rule, str):
            names = [name for name in named if name and fnmatch.fnmatchcase(name, rule)]
        else:
            names = [name for name, module in named.items() if isinstance(module, rule)]
        if not names:
            hint = f"layers are: {', '.join(name for name in list(named)[1:9])} ..."
            got = f"{rule!r}, which matches nothing"
            raise InputError("skip", got=got, expected="names or types of layers", hint=hint)
        found.update(below for name in names for below in named if below == name or below.startswith(f"{name}."))
    return found


def _check_weights(model: nn.Module, chosen: dict[str, nn.Module], form: WeightQuantizer) -> None:
    owners: dict[int, str] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        for key, parameter in module.named_parameters(recurse=False):
            at = f"{name}.{key}".lstrip(".")
            before = owners.setdefault(id(parameter), at)
            taken = {f"{one}.weight".lstrip(".") for one in chosen}
            if before != at and (before in taken or at in taken):
                raise InputError(f"weights of {at}", got=f"the same tensor as {before}", expected="weights of its own")
    for name, module in chosen.items():
        weight = module.weight
        if not isinstance(weight, Tensor) or weight.dtype != torch.float32:
            got = getattr(weight, "dtype", None)
            raise InputError(f"weights of layer {name}", got=got, expected="float32: latent weights move by tiny steps")
        form.check(weight.detach(), name)


def _channels(module: Any) -> int:
    return module.in_features if isinstance(module, nn.Linear) else module.in_channels


def _form(module: nn.Module) -> type | None:
    """The 1-bit form of a layer: of its type, or of the type whose forward it has."""
    for kind, form in _FORMS.items():
        own = [
            key
            for key in ("forward", "_conv_forward")
            if getattr(type(module), key, None) is not getattr(kind, key, None)
        ]
        if isinstance(module, kind) and not own:
            return form
    return None


def _binary(name: str, module: Any, form: WeightQuantizer, activations: str | None, channels: int) -> Any:
    layer: Any = object.__new__(_form(module))
    layer.__dict__.update(module.__dict__)
    layer.label, layer.order, layer.quantizer = name, 0, form
    layer.activation = None if activations is None else activation(activations, channels).to(module.weight.device)  # type: ignore[arg-type]
    return layer


def _running_order(model: nn.Module, names: list[str], example_input: Any) -> list[str]:
    if example_input is None:
        return names
    ran: list[str] = []
    arguments = example_input if isinstance(example_input, tuple) else (example_input,)
    telling = any(isinstance(one, Tensor) and bool((one != one.flatten()[:1]).any()) for one in arguments)

    def note(module: Any, inputs: Any, named: dict[str, Any]) -> None:
        if module.label not in ran:
            ran.append(module.label)
            if telling:  # an example of one value shows little more than biases
                _check_signs(module, inputs[0] if inputs else named["input"])

    handles = [model.get_submodule(name).register_forward_pre_hook(note, with_kwargs=True) for name in names]
    modes = {name: module.training for name, module in model.named_modules()}
    try:
        model.eval()
        with torch.no_grad():
            model(*arguments)
    finally:
        for handle in handles:
            handle.remove()
        for name, module in model.named_modules():
            module.training = modes[name]
    idle = [name for name in names if name not in ran]
    if idle:
        expected = "layers that take part; name it in `skip`"
        raise InputError(f"layer {idle[0]}", got="it does not run on example_input", expected=expected)
    return ran


def _check_signs(layer: Any, x: Tensor) -> None:
    """A sign without a learned threshold is +1 for all that a ReLU leaves: the layer would see a constant."""
    if layer.activation is None or list(layer.activation.parameters()) or x.numel() < _ENOUGH:
        return
    if bool(x.any()) and bool((x >= 0).all()):  # zeros alone say nothing: a fresh network makes them of zeros
        raise InputError(
            f"input of layer {layer.label}", got="no negative value on example_input, as behind a ReLU",
            expected="values of both signs: the sign of these is +1 everywhere",
            hint='leave that ReLU out or make it Hardtanh or PReLU; or take activations="rsign" or "adabin", whose '
            "thresholds are learned; or name the layer in `skip`",
        )  # fmt: skip
