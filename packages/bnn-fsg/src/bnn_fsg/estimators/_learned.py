"""Estimators that learn: a direction G from earlier gradients, made by networks that the forward pass teaches."""

from __future__ import annotations

from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from bnn_fsg.estimators._gradient import Gradient, restore
from bnn_fsg.layers._layers import Binary


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
            raise InputError("step", got="no forward pass in training since the last one", expected="model.train()")
        done = super().apply()
        if done:
            self._ahead = []
        return done

    def _update(self) -> None:
        """Layer by layer, so that what a layer's lesson needs is gone before the next one's."""
        begun, nets = self.begun, self.hypernets()
        latents: list[Tensor] = list(self.latents) if begun else [layer.weight for layer in self.layers]
        for _, optimizer in nets.values():
            optimizer.zero_grad()
        for index in reversed(range(len(self.layers))):
            layer, ahead = self.layers[index], self._ahead[index]
            meta = layer.weight.detach()
            if ahead.direction is not None:
                meta = torch.sub(meta, ahead.direction.detach(), alpha=self.lr(index))
                layer.weight.grad = self.refined(index, ahead.direction.detach())  # before the hypernets move
                self._teach(index, ahead, meta)
            with torch.no_grad():
                latents[index] = layer.quantizer.latent(meta)
            assert ahead.binary.grad is not None
            self.queues[index].push(ahead.binary.grad)
            self.bias_grads[index] = None if ahead.bias is None or ahead.bias.grad is None else ahead.bias.grad.clone()
            self._ahead[index] = _Ahead(layer.weight, None, None)
        self.latents = latents
        if begun:
            for _, optimizer in nets.values():
                optimizer.step()
            self.optimizer.step()

    def _teach(self, index: int, ahead: _Ahead, meta: Tensor) -> None:
        """The loss reaches the hypernets through W^ -> straight-through gate -> A -> -lr G."""
        assert ahead.binary.grad is not None
        if ahead.direction is not None and ahead.direction.requires_grad:
            quantizer = self.layers[index].quantizer
            slope = quantizer.gate(meta) * quantizer.calibration(meta)
            ahead.direction.backward(ahead.binary.grad * slope * -self.lr(index))

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
            restore(f"hypernet {name}", net, kept["net"])
            restore(f"optimizer of hypernet {name}", optimizer, kept["optimizer"])
        for queue, kept in zip(self.queues, state["queues"], strict=True):
            queue.restore(kept)
        self.latents, self.bias_grads = self._moved(state["latents"]), self._moved(state["bias_grads"])
        self._ahead = []


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
