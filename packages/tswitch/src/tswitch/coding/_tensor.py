"""What a switch's configuration says of a coded tensor and of its code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

_SHORT = 16  # entries of rows whose sizes are not worth storing


@dataclass(frozen=True)
class CodedTensor:
    """One tensor of a switch.

    Attributes:
        shape: its shape in the model.
        dtype: its dtype in the fine-tuned checkpoint.
        active: entries that are not zero.
        scale: the size of these entries (the switch knob), a float32 value.

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


def seed_of(config: Mapping[str, Any]) -> int | None:
    """The seed of a switch's seeded code; None for the ternary code. ValueError says what makes no sense."""
    about = config.get("code")
    if about is None:
        return None
    if about["name"] != "seeded" or type(about["seed"]) is not int:
        raise ValueError(f"a code {about}")
    return about["seed"]


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, columns) of a tensor for the seeded code: the first dimension, and all others; short rows are one."""
    columns = math.prod(shape[1:])
    return (shape[0], columns) if len(shape) > 1 and columns >= _SHORT else (1, math.prod(shape))
