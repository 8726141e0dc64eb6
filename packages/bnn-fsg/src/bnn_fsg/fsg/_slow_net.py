"""Slow-net: one Mamba block of width 1 over each weight's recent gradients, after its layer's recognition embedding.

Its input is a sequence of scalars: in_proj 1 -> 2E, causal depthwise convolution, SiLU, selective scan (S6), gate,
out_proj E -> 1; no residual, no norm. The history is detached, so only the parameters (and the embedding) get
gradients, and of the output only the last position is used.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_fsg.fsg import _scan_kernels as scan_kernels

_FORWARD: Any = scan_kernels.forward
_BACKWARD: Any = scan_kernels.backward
_PART = 1 << 13  # weights whose sums are added at once, whatever the number of threads: it decides how they are rounded
_threads: list[int] = []  # see `kernel_threads`


class SlowNet(nn.Module):
    """The block and the layer recognition embedding (LRE).

    Args:
        layers: rows of the embedding.
        d_state, d_conv, expand: of the Mamba block; d_model is 1, dt_rank 1, so d_inner = expand.
        recognition: False leaves the LRE out (ablation).
    """

    def __init__(
        self, layers: int, d_state: int = 4, d_conv: int = 4, expand: int = 8, *, recognition: bool = True
    ) -> None:
        super().__init__()
        self.d_state, self.d_conv, self.d_inner = d_state, d_conv, expand
        self.embedding = nn.Embedding(layers, 1) if recognition else None
        self.in_proj = nn.Linear(1, 2 * expand, bias=False)
        self.conv1d = nn.Conv1d(expand, expand, d_conv, groups=expand, padding=d_conv - 1)
        self.x_proj = nn.Linear(expand, 1 + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(1, expand)
        self.A_log = nn.Parameter(torch.arange(1, d_state + 1, dtype=torch.float32).log().repeat(expand, 1))
        self.D = nn.Parameter(torch.ones(expand))
        self.out_proj = nn.Linear(expand, 1, bias=False)
        with torch.no_grad():  # Mamba's own initialisation: dt log-uniform in [0.001, 0.1], dt_rank 1
            nn.init.uniform_(self.dt_proj.weight, -1.0, 1.0)
            dt = torch.exp(torch.rand(expand) * (math.log(0.1) - math.log(0.001)) + math.log(0.001)).clamp(min=1e-4)
            self.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))

    @torch.no_grad()
    def mirror(self) -> None:
        """Make the second half of the channels the first half's mirror image, so that the block starts as odd.

        Each half keeps Mamba's own initialisation, f(u) - f(-u) in all: the part of the output that does not see a
        gradient's sign is gone at the start. B, C and dt are even, since both halves give them the same.
        """
        half = self.d_inner // 2
        for one in (self.in_proj.weight[: self.d_inner], self.in_proj.weight[self.d_inner :], self.out_proj.weight.T):
            one[half : 2 * half] = -one[:half]
        for one in (self.conv1d.weight, self.conv1d.bias, self.x_proj.weight.T, self.dt_proj.weight, self.dt_proj.bias):
            one[half : 2 * half] = one[:half]  # type: ignore[index]

    def block(self, u: Tensor) -> Tensor:
        """The Mamba block, step by step in plain torch: (batch, T) -> (batch, T), differentiable in everything."""
        steps = u.shape[1]
        x, z = self.in_proj(u[..., None]).chunk(2, dim=-1)
        x = F.silu(self.conv1d(x.transpose(1, 2))[..., :steps]).transpose(1, 2)
        dt, B, C = self.x_proj(x).split([1, self.d_state, self.d_state], dim=-1)
        dt = F.softplus(self.dt_proj(dt))
        A = -self.A_log.exp()
        state, outputs = u.new_zeros(len(u), self.d_inner, self.d_state), []
        for t in range(steps):
            state = torch.exp(dt[:, t, :, None] * A) * state + (dt[:, t] * x[:, t])[..., None] * B[:, t, None]
            outputs.append((state * C[:, t, None]).sum(-1))
        y = torch.stack(outputs, 1) + self.D * x
        return self.out_proj(y * F.silu(z))[..., 0]

    def token(self, layer: int) -> Tensor | None:
        """The layer's embedding, (1,), or None."""
        return None if self.embedding is None else self.embedding.weight[layer]

    def last(self, history: Tensor, layer: int, scale: float = 1.0) -> Tensor:
        """Output at the last position for each weight.

        Args:
            history: (steps, n) float32, oldest first, detached.
            layer: row of the embedding.
            scale: multiplies the history.
        Returns: (n,), differentiable in the parameters alone.
        """
        token = self.token(layer)
        if history.device.type != "cpu":
            u = history.T * scale
            u = u if token is None else torch.cat([token.expand(len(u), 1), u], 1)
            return self.block(u)[:, -1]
        lead, token = (0, history.new_zeros(1)) if token is None else (1, token)
        return _LastOutput.apply(  # type: ignore[no-any-return]
            history, scale, lead, token, *self._parameters_in_order()
        )

    def _parameters_in_order(self) -> list[Tensor]:
        assert self.conv1d.bias is not None
        return [
            self.in_proj.weight, self.conv1d.weight, self.conv1d.bias, self.x_proj.weight, self.dt_proj.weight,
            self.dt_proj.bias, self.A_log, self.D, self.out_proj.weight,
        ]  # fmt: skip


class SlowGradient(nn.Module):
    """The slow-net over each weight's own history: its embedding, then that weight's gradients, oldest first."""

    def __init__(self, net: SlowNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, history: Tensor, layer: int, scale: float) -> Tensor:
        """(steps, n) of a layer, multiplied by `scale` -> (n,)."""
        return self.net.last(history, layer, scale)

    @torch.no_grad()
    def descend(self) -> None:
        """Start as an odd function of the gradients that agrees with the newest of random ones."""
        self.net.mirror()
        weight = self.net.out_proj.weight
        history = torch.randn(5, 256, generator=torch.Generator().manual_seed(0)).to(weight.device)
        if float((self(history, 0, 1.0) * history[-1]).sum()) < 0:
            weight.neg_()


class _LastOutput(torch.autograd.Function):
    """The compiled kernels as one differentiable function: nothing is kept but the arguments."""

    @staticmethod
    def forward(ctx: Any, history: Tensor, scale: float, lead: int, *parameters: Tensor) -> Tensor:
        ctx.history, ctx.facts, ctx.shapes = history, (np.float32(scale), lead), [one.shape for one in parameters]
        ctx.save_for_backward(*parameters)
        out = np.empty(history.shape[1], np.float32)
        array, values, kernel = history.numpy(), _arrays(parameters), _FORWARD

        def work(begin: int, end: int) -> None:
            kernel(array, *ctx.facts, *values, begin, end, out)

        _share(work, len(out))
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        array, values = ctx.history.numpy(), _arrays(ctx.saved_tensors)
        v, kernel = grads[0].contiguous().numpy(), _BACKWARD

        def work(begin: int, end: int) -> list[np.ndarray]:
            sums = [np.zeros(one.shape) if one.ndim else np.zeros(1) for one in map(np.asarray, values)]
            kernel(array, *ctx.facts, *values, begin, end, v, *sums)
            return sums

        sums = [np.sum(parts, axis=0) for parts in zip(*_share(work, len(v)), strict=True)]
        sums[7] = sums[7] * values[7]  # A = -exp(A_log): dA/dA_log = A
        shaped = [torch.from_numpy(one.astype(np.float32)).reshape(s) for one, s in zip(sums, ctx.shapes, strict=True)]
        return (None, None, None, *shaped)


def _arrays(parameters: Any) -> list[Any]:
    """token, w_in (2E,), w_conv (E, K), b_conv, w_x, w_dt (E,), b_dt, A (E, N), D, w_out (E,)."""
    values: list[Any] = [one.detach().contiguous().numpy() for one in parameters]
    values[0] = np.float32(values[0].reshape(-1)[0])
    for at in (1, 5, 9):
        values[at] = values[at].reshape(-1)
    values[2] = values[2].reshape(len(values[2]), -1)
    values[7] = -np.exp(values[7])
    return values


@contextlib.contextmanager
def kernel_threads(count: int) -> Iterator[None]:
    """Run the kernels on `count` threads, instead of as many as torch has; their results do not depend on it."""
    _threads.append(count)
    try:
        yield
    finally:
        _threads.pop()


def _share(work: Any, count: int) -> list[Any]:
    """Call work(begin, end) over parts of one size, on several threads (the kernels let python's lock go)."""
    threads = _threads[-1] if _threads else torch.get_num_threads()
    parts = [(begin, min(begin + _PART, count)) for begin in range(0, count, _PART)]
    if threads == 1 or len(parts) == 1:
        return [work(*part) for part in parts]
    with ThreadPoolExecutor(min(threads, len(parts))) as pool:
        return list(pool.map(lambda part: work(*part), parts))
