"""The scale of each tensor of a model, so that all codes together have the bytes that the user gave."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError

from tswitch.coding._seeded import Measured, encode

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
_BITS = 2.85  # of an entry that is not zero, as a first guess
_ROUNDS = 6  # of encoding, at most
_CLOSE = 0.98  # of the size that was given
_SHARED, _FINER = 64, 6.0  # tensors that change in fewer rows act on all inputs alike: their scale is finer
_LEAST, _FINE = 2.2, 4.0  # sizes of an entry: the least scale, and the least that such tensors get


@dataclass(frozen=True)
class Coded:
    """Codes of a model's tensors.

    Attributes:
        codes: name -> code.
        scales: name -> scale.
        active: name -> number of entries that are not zero.
        whole: whether no scale can be finer, so that more bytes would be of no use.
    """

    codes: dict[str, bytes]
    scales: dict[str, float]
    active: dict[str, int]
    whole: bool


def bytes_of(size: str | float, parameters: int) -> int:
    """Bytes of a size such as "2MB", or "0.2%" of the float32 bytes of `parameters`.

    Examples:
        >>> from tswitch.coding import bytes_of

        >>> bytes_of("0.1%", 1_000_000), bytes_of("2MB", 1_000_000)
        (4000, 2000000)
    """
    match = re.fullmatch(r"\s*(\d*\.?\d+)\s*(%|[KMG]?I?B?)\s*", str(size).upper())
    value = float(match[1]) if match else 0.0
    if not match or (match[2] != "%" and match[2] not in _UNITS) or not 0 < value < 1e15:
        raise InputError("size", got=size, expected="a share of the float32 bytes such as 0.2%, or bytes such as 2MB")
    if match[2] == "%" and value > 100:
        raise InputError("size", got=size, expected="at most 100%")
    return int(value / 100 * 4 * parameters if match[2] == "%" else value * _UNITS[match[2]])


def code(
    chunks: Callable[[str], Iterable[np.ndarray]], measured: Mapping[str, Measured], most: int, seed: int
) -> Coded:
    """Code the changes of a model so that the codes have nearly `most` bytes, never more.

    Memory: the codes, and a chunk of one tensor.

    Args:
        chunks: gives the flat entries of a tensor's change in order, float32, finite.
        measured: name -> what its change looks like.
        most: bytes of all codes.
        seed: of the draws.
    Raises: InputError if `most` is too small for what is stored of each tensor.
    """
    measured = {name: one for name, one in measured.items() if one.total}
    if not measured:
        return Coded({}, {}, {}, True)
    total, best, least = sum(one.total for one in measured.values()), None, 0
    scale = 8 * total / _BITS
    scale /= max(most - 2 * len(measured), 1)
    for _ in range(_ROUNDS):
        scales = {name: _scale(one, scale) for name, one in measured.items()}
        made = {name: encode(chunks(name), one, scales[name], seed, name) for name, one in measured.items()}
        least = sum(len(held) for held, _ in made.values())
        whole = all(_scale(one, scale / 2) == scales[name] for name, one in measured.items())
        if least <= most and (best is None or least > sum(map(len, best.codes.values()))):
            codes, active = (
                {name: one for name, (one, _) in made.items()},
                {name: one for name, (_, one) in made.items()},
            )
            best = Coded(codes, scales, active, whole)
            if least >= _CLOSE * most or whole:
                break
        fixed = 2 * len(measured)
        scale *= max(least - fixed, 1) / max((0.985 if least > most else 0.995) * most - fixed, 1)
    if best is None:
        raise InputError("size", got=f"{most:,} bytes for the codes of {len(measured)} tensors",
                         expected=f"about {least:,} bytes at least")  # fmt: skip
    return best


def _scale(measured: Measured, scale: float) -> float:
    """The scale of a tensor where that of large ones is `scale`; a float32 value."""
    if measured.changed < _SHARED:
        scale = min(scale, max(scale / _FINER, _FINE * measured.largest))
    return float(np.float32(max(scale, _LEAST * measured.largest)))
