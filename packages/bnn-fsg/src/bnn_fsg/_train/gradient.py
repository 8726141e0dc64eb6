"""What every gradient estimator is: a plug-in of one trainer with one protocol, `step(closure)`.

An estimator gives each binarised layer its W^ while it trains, and turns gradients into an update of W through the
base optimiser. `Gradient` itself is for estimators that put a derivative in the sign's place; `Learned` for those that
compute a direction G from earlier gradients and learn how through the forward pass (MetaQuant, FSG).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from ninefold.errors import InputError, NinefoldError
from torch import Tensor, nn

from bnn_fsg._train import distributed
from bnn_fsg._train.layers import Binary, binary_layers
from bnn_fsg._train.signs import Clip, Surrogate


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
        self.skipped = self._in_a_row = 0
        self._groups = [self._group(layer) for layer in self.layers]
        for index in range(len(self.layers)):
            self.lr(index)
        for layer in self.layers:
            layer.source = self
        distributed.broadcast(model)

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
        """Use the gradients that the backward passes left; False if they were not finite and the step was skipped."""
        found = self._gradients()
        distributed.average([gradient for _, gradient in found])
        bad = next((label for label, gradient in found if not torch.isfinite(gradient).all()), None)
        if bad is not None:
            self._skip(bad)
            return False
        self._in_a_row = 0
        self._update()
        return True

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
        """All that a resumed run needs beside the model's own state."""
        shapes = {layer.label: list(layer.weight.shape) for layer in self.layers}
        kept = {"skipped": self.skipped, "in_a_row": self._in_a_row, "progress": self.progress}
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
        _restore("optimizer", self.optimizer, state["optimizer"])
        self.skipped, self._in_a_row = state["skipped"], state["in_a_row"]
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

    def _skip(self, label: str) -> None:
        self.zero_grad()
        self.skipped += 1
        self._in_a_row += 1
        if self._in_a_row > self.max_skips:
            raise DivergedError(
                f"gradient of {label}: NaN or infinity in {self._in_a_row} steps in a row "
                f"(a smaller lr may help; the last checkpoint is kept)"
            )


class Plain(Gradient):
    """No estimator but the optimiser as it is, for networks in full precision."""

    name: ClassVar[str] = "plain"
    source: ClassVar[str] = ""

    def _attached(self, model: nn.Module) -> list[Any]:  # noqa: ARG002  (none of them)
        return []


class Learned(Gradient):
    """Estimators that look ahead: they run the forward pass on W_meta = W - lr G and learn G's maker through it.

    Of each layer are kept the gradients g = dL/dW^ of the last `history` steps and W~ of the last W_meta. In the first
    step there is no g: the forward pass is plain and NO parameter moves.
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, *, history: int = 1, max_skips: int = 10
    ) -> None:
        if history < 1:
            raise InputError("history", got=history, expected="at least 1 gradient")
        super().__init__(model, optimizer, max_skips=max_skips)
        self.queues = [Queue(layer.weight, history) for layer in self.layers]
        self.latents: list[Tensor] = []
        self.bias_grads: list[Tensor | None] = [None] * len(self.layers)
        self._index = {id(layer): number for number, layer in enumerate(self.layers)}
        self._ahead: list[_Ahead] = []

    # --- what a subclass says ---

    def direction(self, index: int) -> Tensor:
        """G of a layer, shaped like its weight; differentiable in the hypernets' parameters alone."""
        raise NotImplementedError

    def refined(self, index: int, direction: Tensor) -> Tensor:  # noqa: ARG002  (for subclasses)
        """What the base optimiser gets as the gradient of W: G itself, unless a subclass keeps part of it back."""
        return direction

    def hypernets(self) -> dict[str, tuple[nn.Module, torch.optim.Optimizer]]:
        """The networks that learn, each with its optimiser, by name."""
        raise NotImplementedError

    # --- the protocol ---

    def tensors(self, layer: Binary) -> tuple[Tensor, Tensor | None]:
        """Leaf tensors that hold Q(A(W_meta)) and the bias's look-ahead; their gradients are g and grad(b)."""
        if not self._ahead:
            self._ahead = [self._look_ahead(number) for number in range(len(self.layers))]
        ahead = self._ahead[self._index[id(layer)]]
        return ahead.binary, ahead.bias

    def zero_grad(self) -> None:
        super().zero_grad()
        for ahead in self._ahead:
            ahead.binary.grad = None
            if ahead.bias is not None:
                ahead.bias.grad = None

    @property
    def begun(self) -> bool:
        """Whether there is a g already."""
        return bool(self.latents)

    def _look_ahead(self, index: int) -> _Ahead:
        layer = self.layers[index]
        weight, bias, direction = layer.weight.detach(), layer.bias, None
        if self.begun and layer.weight.requires_grad:
            with torch.enable_grad():  # the first forward of a step may be one without, as in activation checkpointing
                direction = self.direction(index)
            weight = torch.sub(weight, direction.detach(), alpha=self.lr(index))
        if bias is not None and bias.requires_grad:  # what is frozen is used as it is
            earlier = self.bias_grads[index]
            bias = bias.detach().clone() if earlier is None else bias.detach() - self.lr(index) * earlier
            bias.requires_grad_()
        return _Ahead(layer.quantizer.values(weight).requires_grad_(), bias, direction)

    def _gradients(self) -> list[tuple[str, Tensor]]:
        """All natural gradients; a leaf that took no part gets zeros."""
        for ahead, layer in zip(self._ahead, self.layers, strict=True):
            if ahead.binary.grad is None:
                ahead.binary.grad = torch.zeros_like(ahead.binary)
            if ahead.binary.grad.dtype != torch.float32:
                raise InputError(f"gradient of layer {layer.label}", got=ahead.binary.grad.dtype, expected="float32")
            if ahead.bias is not None and ahead.bias is not layer.bias:
                layer.bias.grad = ahead.bias.grad
        found = super()._gradients()
        return found + [(layer.label, one.binary.grad) for layer, one in zip(self.layers, self._ahead, strict=True)]  # type: ignore[misc]

    def apply(self) -> bool:
        """Take the gradients, teach the hypernets, move W, and keep g for the next step."""
        if not self._ahead:
            raise InputError(
                "step", got="no forward pass in training mode since the last one", expected="model.train()"
            )
        done = super().apply()
        if done:
            self._ahead = []
        return done

    def _update(self) -> None:
        metas = []
        for index, (layer, ahead) in enumerate(zip(self.layers, self._ahead, strict=True)):
            meta = layer.weight.detach()
            if ahead.direction is not None:
                meta = torch.sub(meta, ahead.direction.detach(), alpha=self.lr(index))
            metas.append(meta)
        if self.begun:
            for index, (layer, ahead) in enumerate(zip(self.layers, self._ahead, strict=True)):
                if ahead.direction is not None:  # before the hypernets move
                    layer.weight.grad = self.refined(index, ahead.direction.detach())
            self._teach(metas)
            self.optimizer.step()
        with torch.no_grad():
            self.latents = [layer.quantizer.latent(meta) for layer, meta in zip(self.layers, metas, strict=True)]
        for index, ahead in enumerate(self._ahead):
            assert ahead.binary.grad is not None
            self.queues[index].push(ahead.binary.grad)
            self.bias_grads[index] = None if ahead.bias is None or ahead.bias.grad is None else ahead.bias.grad.clone()

    def _teach(self, metas: list[Tensor]) -> None:
        """The loss reaches the hypernets through W^ -> straight-through gate -> A -> -lr G."""
        nets = self.hypernets()
        for _, optimizer in nets.values():
            optimizer.zero_grad()
        outputs, vectors = [], []
        for index, (layer, ahead) in enumerate(zip(self.layers, self._ahead, strict=True)):
            assert ahead.binary.grad is not None
            if ahead.direction is not None and ahead.direction.requires_grad:
                slope = layer.quantizer.gate(metas[index]) * layer.quantizer.calibration(metas[index])
                outputs.append(ahead.direction)
                vectors.append(ahead.binary.grad * slope * -self.scale_of_lesson(index))
        if outputs:
            torch.autograd.backward(outputs, vectors)
        for _, optimizer in nets.values():
            optimizer.step()

    def scale_of_lesson(self, index: int) -> float:
        """The factor lr of W_meta = W - lr G in the hypernets' gradient."""
        return self.lr(index)

    def state_dict(self) -> dict[str, Any]:
        nets = {
            name: {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
            for name, (net, optimizer) in self.hypernets().items()
        }
        return {
            **super().state_dict(),
            "history": self.queues[0].length,
            "hypernets": nets,
            "queues": [queue.chronological().clone() for queue in self.queues],
            "latents": list(self.latents),
            "bias_grads": list(self.bias_grads),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        length = self.queues[0].length
        if state["history"] != length:
            raise InputError("history of state", got=f"{state['history']} gradients", expected=f"{length}")
        for name, (net, optimizer) in self.hypernets().items():
            kept = state["hypernets"][name]
            _restore(f"hypernet {name}", net, kept["net"])
            _restore(f"optimizer of hypernet {name}", optimizer, kept["optimizer"])
        for queue, kept in zip(self.queues, state["queues"], strict=True):
            queue.restore(kept)
        self.latents, self.bias_grads = self._moved(state["latents"]), self._moved(state["bias_grads"])
        self._ahead = []


def _restore(what: str, holder: Any, state: dict[str, Any]) -> None:
    """Give a network or optimiser its state back; InputError if it was made with other options."""
    try:
        holder.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError) as error:
        got = f"another: {first_reason(error)}"
        raise InputError(f"{what} of state", got=got, expected="one made with these options") from None


def first_reason(error: Exception) -> str:
    """What torch says does not fit, the first of perhaps many; a line before them names a class alone."""
    lines = str(error).strip().splitlines()
    return (lines[1:] or lines)[0].strip().rstrip(".")


class _Ahead:
    """One layer's look-ahead in this step; no direction in the first step, or if its weight is frozen."""

    def __init__(self, binary: Tensor, bias: Tensor | None, direction: Tensor | None) -> None:
        self.binary, self.bias, self.direction = binary, bias, direction


class Queue:
    """History of gradients (HGS): the last `length` of one layer, (steps, n), oldest first."""

    def __init__(self, weight: Tensor, length: int) -> None:
        self.length, self.steps = length, 0
        self._rows = weight.new_zeros(length, weight.numel()).detach()

    def push(self, gradient: Tensor) -> None:
        """Append a gradient; the oldest is dropped when the queue is full."""
        if self.steps == self.length:
            for step in range(self.length - 1):  # row by row: no second copy of the queue
                self._rows[step].copy_(self._rows[step + 1])
        else:
            self.steps += 1
        self._rows[self.steps - 1].copy_(gradient.detach().reshape(-1))

    def chronological(self) -> Tensor:
        """(steps, n), oldest first: a view."""
        return self._rows[: self.steps]

    def newest(self) -> Tensor:
        """(n,): a view."""
        return self._rows[self.steps - 1]

    def rms(self) -> float:
        """Root of the mean square over the whole queue; 1 if it is all zero."""
        kept = self.chronological()
        value = float(torch.linalg.vector_norm(kept)) / max(kept.numel(), 1) ** 0.5
        return value if value > 0 else 1.0

    def restore(self, rows: Tensor) -> None:
        """Take (steps, n) back."""
        self.steps = len(rows)
        self._rows[: self.steps].copy_(rows)


class WrappedOptimizer(torch.optim.Optimizer):
    """An estimator in the shape of an optimiser: loss.backward(), step(), zero_grad(); schedulers set its lr."""

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
            raise InputError(
                "GradScaler", expected="float32 or bfloat16: scaled half gradients would enter the history"
            )
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
