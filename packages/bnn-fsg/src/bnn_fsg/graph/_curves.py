"""Smooth operations in numpy float32: curves of each number, softmax over channels, normalisation of groups."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from bnn_fsg.graph._graph import Node

_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)  # Abramowitz and Stegun 7.1.26: to 1.5e-7


def _erf(x: np.ndarray) -> np.ndarray:
    size = np.abs(x)
    t = 1 / (1 + np.float32(0.3275911) * size)
    sums = np.float32(_ERF[-1])
    for one in _ERF[-2::-1]:
        sums = sums * t + np.float32(one)
    return np.copysign(1 - sums * t * np.exp(-size * size), x)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _rsqrt(x: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return 1 / np.sqrt(x)


def _gelu(x: np.ndarray) -> np.ndarray:
    return x * (np.float32(0.5) * (1 + _erf(x * np.float32(math.sqrt(0.5)))))


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    return x * (np.float32(0.5) * (1 + np.tanh(inner)))


def _hardsigmoid(x: np.ndarray) -> np.ndarray:
    return np.clip(x * np.float32(1 / 6) + np.float32(0.5), 0, 1)


CURVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "hardsigmoid": _hardsigmoid,
    "hardswish": lambda x: x * _hardsigmoid(x),
    "rsqrt": _rsqrt,
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "tanh": np.tanh,
}


def softmax(x: np.ndarray) -> np.ndarray:
    """Over channels."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def normalise(node: Node) -> Callable[[np.ndarray], np.ndarray]:
    """GroupNorm; InstanceNorm with one group a channel, LayerNorm with one in all, or of each pixel with none."""
    groups, eps = node.settings["groups"], np.float32(node.settings["eps"])
    scale, shift = node.arrays["scale"], node.arrays["shift"]

    def run(x: np.ndarray) -> np.ndarray:
        parts = x.reshape(len(x), -1, groups, x.shape[3] // groups) if groups else x.reshape(-1, 1, 1, x.shape[3])
        centred = parts - parts.mean(axis=(1, 3), keepdims=True, dtype=np.float32)
        variance = np.square(centred).mean(axis=(1, 3), keepdims=True, dtype=np.float32)
        return (centred / np.sqrt(variance + eps)).reshape(x.shape) * scale + shift

    return run
