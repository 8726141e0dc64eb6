"""What a switch's configuration says of a coded tensor, and how the seeded codes of a switch are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tswitch.coding._seeded import Draw, decode


@dataclass(frozen=True)
class CodedTensor:
    """One tensor of a switch.

    Attributes:
        shape: its shape in the model.
        dtype: its dtype in the fine-tuned checkpoint.
        active: entries that are not zero.
        scale: the switch knob, a float32 value; of a seeded code the size of its largest entries.

    Examples:
        >>> import torch
        >>> from tswitch import Switch

        >>> draw = torch.manual_seed(0)
        >>> base = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
        >>> tuned = {
        ...     name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.state_dict().items()
        ... }

        >>> switch = Switch.from_checkpoints(base, tuned, alpha=0.5)
        >>> coded = switch.tensors["0.weight"]
        >>> coded.shape, coded.dtype, coded.numel, coded.active
        ((32, 16), torch.float32, 512, 256)
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    active: int
    scale: float

    @property
    def numel(self) -> int:
        """Number of entries."""
        return torch.Size(self.shape).numel()


def draw_of(config: Mapping[str, Any]) -> Draw | None:
    """How a switch's seeded code was drawn; None for the ternary code. ValueError says what makes no sense."""
    about = config.get("code")
    if about is None:
        return None
    numbers = [about["rate"], about["step"]]
    sound = all(type(one) in (int, float) and 0 <= one < 1e30 for one in numbers) and type(about["seed"]) is int
    if about["name"] != "seeded" or not sound:
        raise ValueError(f"a code {about}")
    return Draw(about["seed"], *map(float, numbers))


def flat_change(draw: Draw, name: str, shape: tuple[int, ...], size: float, code: np.ndarray) -> np.ndarray:
    """The change of a tensor, flat float32; SeededError if its code is damaged."""
    return decode(code.tobytes(), matrix_shape(shape), size, draw, name).reshape(-1)


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, columns) of a tensor for the seeded code: the first dimension, and all others; a vector is one row."""
    if len(shape) < 2:
        return 1, math.prod(shape)
    return shape[0], math.prod(shape[1:])
