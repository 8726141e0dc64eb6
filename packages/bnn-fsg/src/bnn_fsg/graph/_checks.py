"""What is checked of a node's numbers and arrays; each failure is a ValueError that names the node."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnn_fsg.graph._graph import Node

LARGEST = 2**31 - 1  # of any whole number in a file
FLOAT, BOOL = (np.dtype(np.float32),), (np.dtype(bool),)


@dataclass(frozen=True)
class Size:
    """A value for one sample: height, width and channels; bits are kept 64 to a word."""

    height: int
    width: int
    channels: int
    bits: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.height * self.width

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.pixels * (8 * -(-self.channels // 64) if self.bits else 4 * self.channels)


def whole(name: str, value: Any, least: int) -> int:
    """A whole number from `least`."""
    if type(value) is not int or not least <= value <= LARGEST:
        raise ValueError(f"{name} {value!r:.60}, expected a whole number from {least}")
    return value


def pair(node: Node, key: str, default: int | None, least: int) -> tuple[int, int]:
    """A setting as (vertical, horizontal); one number stands for both where there is a default."""
    value = node.settings.get(key, default)
    both = [value, value] if default is not None and not isinstance(value, list) else value
    if not isinstance(both, list) or len(both) != 2:
        raise ValueError(f"{node.output}: {key} {value!r:.60}, expected two whole numbers")
    return whole(f"{node.output}: {key}", both[0], least), whole(f"{node.output}: {key}", both[1], least)


def number(node: Node, key: str, default: float | None, *, infinite: bool = False) -> None:
    """Check a setting that is a number."""
    value = node.settings.get(key, default)
    if type(value) not in (int, float) or math.isnan(value) or (math.isinf(value) and not infinite):
        raise ValueError(f"{node.output}: {key} {value!r:.60}, expected a number")


def vector(node: Node, name: str, lengths: tuple[int, ...], dtypes: tuple[np.dtype[Any], ...]) -> None:
    """Check an array of a node, if it has it: one dimension, one of the lengths, one of the dtypes."""
    array = node.arrays.get(name)
    if array is None:
        return
    if array.ndim != 1 or len(array) not in lengths or array.dtype not in dtypes:
        expected = f"{' or '.join(map(str, dict.fromkeys(lengths)))} of {' or '.join(map(str, dtypes))}"
        raise ValueError(f"{node.output}: {name} is {array.dtype} of shape {array.shape}, expected {expected}")


def flag(node: Node, key: str, default: bool) -> bool:
    """A setting that is true or false."""
    value = node.settings.get(key, default)
    if not isinstance(value, bool):
        raise ValueError(f"{node.output}: {key} {value!r:.60}, expected true or false")
    return value


def word(node: Node, key: str, known: Collection[str]) -> str:
    """A setting that is one of the known words."""
    value = node.settings.get(key)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{node.output}: {key} {value!r:.60}, expected one of {', '.join(known)}")
    return value


def wholes(node: Node, key: str, count: int, least: int) -> list[int]:
    """A setting of `count` whole numbers."""
    value = node.settings.get(key)
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"{node.output}: {key} {value!r:.60}, expected {count} whole numbers")
    return [whole(f"{node.output}: {key}", one, least) for one in value]
