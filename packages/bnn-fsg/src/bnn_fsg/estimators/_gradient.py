"""What every gradient estimator is: a plug-in of one trainer with one protocol, `step(closure)`.

An estimator gives each binarised layer its W^ while it trains, and turns gradients into an update of W through the
base optimiser. `Gradient` itself is for estimators that put a derivative in the sign's place; `learned.Learned` for
those that compute a direction G from earlier gradients and learn how through the forward pass (MetaQuant, FSG).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from ninefold.distributed import place
from ninefold.errors import InputError, NinefoldError
from torch import Tensor, nn

from bnn_fsg.estimators._before import Before
from bnn_fsg.estimators._distributed import average, broadcast
from bnn_fsg.layers._layers import Binary, binary_layers
from bnn_fsg.layers._signs import Clip, Surrogate


class DivergedError(NinefoldError):
    """Gradients were NaN or infinite too many steps in a row."""


class Gradient:
    """Base of the estimators; by itself the straight-through estimator in whatever forward the layers have.

    Args:
        model: what `binarize` returned; the estimator attaches itself to its layers.
        optimizer: pi, over the model's parameters; refines the direction as it would a gradient.
        max_skips: steps in a row with NaN or infinite gradients that are skipped; one more is a DivergedError.
    """

    name: ClassVar[str] = "ste"
    source: ClassVar[str] = "arXiv 1308.3432, 1602.02830"

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, *, max_skips: int = 10) -> None:
        self.model, self.optimizer, self.max_skips = model, optimizer, max_skips
        self.layers: list[Any] = self._attached(model)
        self.progress = 0.0
        self.skipped = self._in_a_row = self.steps = 0
        self._remembered = Before(model)
        self._groups = [self._group(layer) for layer in self.layers]
        for index in range(len(self.layers)):
            self.lr(index)
        for layer in self.layers:
            layer.source = self
        broadcast(model)

    # --- the protocol ---

    def step(self, closure: Callable[[], Tensor]) -> Tensor:
        """One step: zero gradients, loss = closure() (no backward call in it), backward, update; returns the loss."""
        self.zero_grad()
        loss = closure()
        loss.backward()
        self.apply()
        return loss.detach()

    def zero_grad(self) -> None:
        """Forget gradients; several backward passes between this and `apply` add up."""
        self.optimizer.zero_grad()

    def apply(self) -> bool:
        """Use the gradients that the backward passes left; False if the step was skipped.

        A step is skipped if a gradient, or a buffer such as BatchNorm's statistics, is not finite: parameters, buffers,
        history and torch's generators are then as before it.
        """
        found = self._gradients()
        spoilt = self._remembered.spoilt()
        flag = self._flag(spoilt is not None)  # processes keep buffers of their own, and must agree
        average([*(gradient for _, gradient in found), flag])
        bad = next((f"gradient of {label}" for label, gradient in found if not torch.isfinite(gradient).all()), None)
        if bad is None and float(flag) > 0:
            bad = f"buffer {spoilt or 'of another process'}"
        self.steps += 1
        if bad is not None:
            self._remembered.restore()
        self._remembered.forget()
        if bad is not None:
            self._skip(bad)
            return False
        self._in_a_row = 0
        self._update()
        return True

    def _flag(self, value: bool) -> Tensor:
        return torch.tensor([float(value)], device=next(self.model.parameters()).device)

    def set_progress(self, share: float) -> None:
        """Tell scheduled derivatives, those of activations too, which share of the epochs is done."""
        self.progress = share
        for layer in self.layers:
            if layer.activation is not None:
                layer.activation.progress = share

    @torch.no_grad()
    def estimate(self) -> dict[str, float | None]:
        """How the estimator stands, over all binarised weights (measures of arXiv 2308.06689, section 3).

        Returns: error, RMS of sign(x) minus the function whose derivative stands in for it; spread, standard deviation
            of |G|, the last direction of W as the optimiser got it, or None if there was none.
        """
        surrogate = self.surrogate()
        apart, moved = [], []
        for layer in self.layers:
            x = layer.quantizer.normalize(layer.weight)
            apart.append((layer.quantizer.bits(layer.weight) - surrogate.value(x)).reshape(-1))
            if layer.weight.grad is not None:
                moved.append(layer.weight.grad.abs().reshape(-1))
        spread = float(torch.cat(moved).std()) if moved else None
        return {"error": float(torch.cat(apart).square().mean().sqrt()), "spread": spread}

    def as_optimizer(self) -> WrappedOptimizer:
        """An optimiser for loops that call backward() and step() themselves (Lightning, Hugging Face Trainer)."""
        return WrappedOptimizer(self)

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs in addition to the model's own state."""
        shapes = {layer.label: list(layer.weight.shape) for layer in self.layers}
        kept = {"skipped": self.skipped, "in_a_row": self._in_a_row, "progress": self.progress, "steps": self.steps}
        return {"name": self.name, "layers": shapes, "optimizer": self.optimizer.state_dict(), **kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a state back; InputError if it is of another estimator or another list of layers."""
        if state.get("name") != self.name:
            raise InputError("state", got=f"one of gradient {state.get('name')!r}", expected=f"one of {self.name!r}")
        shapes = {layer.label: list(layer.weight.shape) for layer in self.layers}
        if list(state["layers"].items()) != list(shapes.items()):
            differ = [key for key in {**shapes, **state["layers"]} if shapes.get(key) != state["layers"].get(key)]
            got = f"another list of layers (first difference: {differ[0] if differ else 'their order'})"
            raise InputError("state", got=got, expected=f"the {len(shapes)} binarised layers of this model, in order")
        restore("optimizer", self.optimizer, state["optimizer"])
        self.skipped, self._in_a_row = state["skipped"], state["in_a_row"]
        self.steps = state.get("steps", 0)  # which 0.1.0 did not count
        self.set_progress(state["progress"])

    # --- for layers and subclasses ---

    def surrogate(self) -> Surrogate:
        """The derivative in the sign's place now."""
        return Clip()

    def tensors(self, layer: Binary) -> tuple[Tensor, Tensor | None]:
        """W^ and the bias that a layer uses in training."""
        return layer.quantizer(layer.weight, self.surrogate()), layer.bias

    def lr(self, index: int) -> float:
        """The base optimiser's current lr of a layer's weights; InputError if it is not positive."""
        lr = float(self.optimizer.param_groups[self._groups[index]]["lr"])
        if not lr > 0:
            raise InputError("lr", got=lr, expected="a positive one", where=f"layer {self.layers[index].label}")
        return lr

    def _moved(self, kept: list[Any]) -> list[Any]:
        """Tensors of a state, one a layer or none yet: they may have been kept on another device."""
        pairs = zip(kept, self.layers, strict=False)
        return [None if one is None else one.to(layer.weight.device) for one, layer in pairs]

    def _update(self) -> None:
        self.optimizer.step()

    def _gradients(self) -> list[tuple[str, Tensor]]:
        named = self.model.named_parameters()
        return [(name, one.grad) for name, one in named if one.grad is not None]

    def _attached(self, model: nn.Module) -> list[Any]:
        """The layers that take their weights from here."""
        return binary_layers(model)

    def _group(self, layer: Any) -> int:
        for number, group in enumerate(self.optimizer.param_groups):
            if any(one is layer.weight for one in group["params"]):
                return number
        raise InputError(f"weights of layer {layer.label}", got="not in the optimizer", expected="model.parameters()")

    def _skip(self, what: str) -> None:
        self.zero_grad()
        self.skipped += 1
        self._in_a_row += 1
        if self._in_a_row > self.max_skips:
            message = f"{what}: NaN or infinity in {self._in_a_row} steps in a row"
            raise DivergedError(f"{message} (a smaller lr may help; the last checkpoint is kept)")
        if place()[0] == 0:
            message = f"step {self.steps} is skipped, and all is as before it: {what} is NaN or infinite"
            warnings.warn(message, stacklevel=4)


class Plain(Gradient):
    """No estimator but the optimiser as it is, for networks in full precision."""

    name: ClassVar[str] = "plain"
    source: ClassVar[str] = ""

    def _attached(self, model: nn.Module) -> list[Any]:  # noqa: ARG002  (none of them)
        return []


def restore(what: str, holder: Any, state: dict[str, Any]) -> None:
    """Give a network or optimiser its state back; InputError if it was made with other options."""
    try:
        holder.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError) as error:
        got = f"another: {first_reason(error)}"
        raise InputError(f"{what} of state", got=got, expected="one made with these options") from None


def first_reason(error: Exception) -> str:
    """The first mismatch that torch reports; a line that only names a class is skipped."""
    lines = str(error).strip().splitlines()
    return (lines[1:] or lines)[0].strip().rstrip(".")


class WrappedOptimizer(torch.optim.Optimizer):
    """An estimator in the shape of an optimiser: loss.backward(), step(), zero_grad(); schedulers set its lr.

    Examples:
        >>> import torch
        >>> from bnn_fsg import STE, WrappedOptimizer, binarize
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> net = nn.Sequential(
        ...     nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardtanh(), nn.MaxPool2d(4),
        ...     nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(16, 10),
        ... )
        >>> x = torch.rand(4, 1, 12, 12)
        >>> model = binarize(net, weights="bwn-f", skip=["0"], example_input=x)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

        >>> steps = WrappedOptimizer(STE(model, optimizer))  # for a training loop that wants an optimiser
        >>> labels = torch.tensor([0, 1, 2, 3])
        >>> for _ in range(3):
        ...     steps.zero_grad()
        ...     loss = nn.functional.cross_entropy(model(x), labels)
        ...     loss.backward()
        ...     result = steps.step()
        >>> isinstance(steps, torch.optim.Optimizer)
        True
    """

    _step_supports_amp_scaling = True  # so that a GradScaler hands itself to `step`, which refuses it

    def __init__(self, gradient: Gradient) -> None:
        self.gradient = gradient
        super().__init__(gradient.optimizer.param_groups, gradient.optimizer.defaults)
        self._share()

    def _share(self) -> None:  # the base optimiser's own groups, so that a scheduler moves its lr
        self.param_groups, self.state = self.gradient.optimizer.param_groups, self.gradient.optimizer.state

    def zero_grad(self, set_to_none: bool = True) -> None:  # noqa: ARG002
        """Forget gradients."""
        self.gradient.zero_grad()

    def step(self, closure: Callable[[], Any] | None = None, grad_scaler: Any = None) -> Any:
        """Use the gradients that backward() left; a closure, if given, runs first and calls backward() itself."""
        if grad_scaler is not None:
            raise InputError("GradScaler", expected="float32 or bfloat16: scaled gradients would enter the history")
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.gradient.apply()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The estimator's whole state."""
        return self.gradient.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the estimator's state back."""
        self.gradient.load_state_dict(state_dict)
        self._share()
