"""The noise schedule, v-prediction, and the sampler: DPM-Solver++ (2M), Lu et al. 2022.

With signal a_t = sqrt(alphabar_t) and noise s_t = sqrt(1 - alphabar_t): z_t = a_t x + s_t e, v = a_t e - s_t x, so
x = a_t z_t - s_t v and e = s_t z_t + a_t v (Salimans and Ho 2022, appendix D).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from ninefold.errors import InputError
from torch import Tensor

STEPS = 1000  # T


def cosine_alphabar(steps: int = STEPS) -> Tensor:
    """alphabar_1 ... alphabar_T of the cosine schedule (Nichol and Dhariwal 2021), betas at most .999: (steps,)."""
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    curve = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    betas = (1 - curve[1:] / curve[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0)


def mix(x: Tensor, noise: Tensor, alphabar: Tensor) -> Tensor:
    """z_t of clean x (B, ...) and unit noise, alphabar (B,)."""
    a, s = _both(alphabar, x)
    return a * x + s * noise


def velocity(x: Tensor, noise: Tensor, alphabar: Tensor) -> Tensor:
    """v of clean x and noise."""
    a, s = _both(alphabar, x)
    return a * noise - s * x


def _both(alphabar: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    shape = (-1,) + (1,) * (like.ndim - 1)
    alphabar = alphabar.reshape(shape)
    return alphabar.sqrt().float(), (1 - alphabar).sqrt().float()


def times(steps: int, total: int = STEPS) -> list[int]:
    """Indices of alphabar that a sampler of `steps` steps visits, from the noisiest down."""
    if not 1 <= steps <= total:
        raise InputError("steps", got=steps, expected=f"1 to {total}")
    return [round(float(value)) for value in torch.linspace(total - 1, 0, steps + 1)[:-1]]


def sample(predict_v: Callable[[Tensor, int], Tensor], noise: Tensor, steps: int, reach: float | None = None) -> Tensor:
    """Clean data of unit noise.

    Args:
        predict_v: (z_t (B, ...), index t from 0 to T - 1) -> v.
        noise: (B, ...) standard normal.
        steps: calls of `predict_v`.
        reach: estimates of the clean data are kept within plus and minus this.
    """
    table = cosine_alphabar()
    visited = times(steps)
    alphabars = [float(table[t]) for t in visited] + [1.0]
    z, before, last_step = noise, None, 0.0
    for place, t in enumerate(visited):
        now, then = alphabars[place], alphabars[place + 1]
        a, s, a_next, s_next = math.sqrt(now), math.sqrt(1 - now), math.sqrt(then), math.sqrt(1 - then)
        v = predict_v(z, t)
        x = a * z - s * v
        if reach is not None:
            x = x.clamp(-reach, reach)
        if then == 1.0:
            return x
        step = math.log(a_next / s_next) - math.log(a / s)  # of the logarithmic signal-to-noise ratio, halved
        ahead = x
        if before is not None:
            ratio = last_step / step
            ahead = (1 + 1 / (2 * ratio)) * x - 1 / (2 * ratio) * before
        z = (s_next / s) * z - a_next * math.expm1(-step) * ahead
        before, last_step = x, step
    return z
