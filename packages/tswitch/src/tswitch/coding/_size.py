"""Which share of each tensor's entries is kept, so that all codes together have the bytes that the user gave."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError

from tswitch.coding._seeded import LAST, Draw, Measured, encode, measure

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
_BITS = {3.0: 1.45, 2.0: 1.8, 1.0: 2.5, 0.5: 3.4, 0.25: 4.3, 0.125: 5.3}  # step -> of a kept entry, as a first guess
_ROUNDS = 6  # of encoding, at most
_CLOSE = 0.98  # of the size that was given


@dataclass(frozen=True)
class Coded:
    """Codes of a model's tensors.

    Attributes:
        draw: how entries were kept and rounded.
        codes: name -> code.
        sizes: name -> size of an entry of level 0.
        kept: name -> number of kept entries.
    """

    draw: Draw
    codes: dict[str, bytes]
    sizes: dict[str, float]
    kept: dict[str, int]


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


def code(change: Callable[[str], np.ndarray], names: Iterable[str], size: str | float, seed: int) -> Coded:
    """Code the changes of a model so that the codes have nearly `size` bytes, never more.

    Memory: the codes, and one tensor at a time.

    Args:
        change: gives a tensor's change, (rows, columns) float32, finite.
        names: the tensors.
        size: see `bytes_of`.
        seed: of the kept places and the dither.
    Raises: InputError if `size` is too small for the levels of the tensors.
    """
    measured: dict[str, Measured] = {}
    parameters = 0
    for name in names:
        found = change(name)
        parameters += found.size
        measured[name] = measure(found)
    most = bytes_of(size, parameters)
    measured = {name: one for name, one in measured.items() if one.size}
    nothing = Coded(Draw(seed, 0.0), {}, {}, {})
    if not measured:
        return nothing
    spent = sum(_levels_only(one, nothing.draw, name) for name, one in measured.items())
    if most < spent + len(measured):
        expected = f"at least {spent + len(measured):,} bytes for {len(measured)} tensors"
        raise InputError("size", got=f"{size} ({most:,} bytes)", expected=expected)
    step = min(_BITS, key=lambda one: _error(measured, 8 * (most - spent) / _BITS[one], one))
    goal, best = 8 * (most - spent) / _BITS[step], nothing
    for _ in range(_ROUNDS):
        draw = Draw(seed, _rate(measured, goal), step)
        made = {name: encode(change(name), one, draw, name) for name, one in measured.items()}
        total, kept = sum(len(held) for held, _ in made.values()), sum(count for _, count in made.values())
        if total <= most and kept > sum(best.kept.values()):
            codes, counts = ({name: one[place] for name, one in made.items()} for place in (0, 1))
            best = Coded(draw, codes, {name: one.size for name, one in measured.items()}, counts)
            if total >= _CLOSE * most or kept == parameters:
                break
        goal *= (0.985 if total > most else 0.995) * min(2.0, (most - spent) / max(total - spent, 1))
    if not best.codes:
        got = f"{size} ({most:,} bytes)"
        raise InputError("size", got=got, expected=f"clearly more than {spent:,} bytes for {len(measured)} tensors")
    return best


def _levels_only(measured: Measured, draw: Draw, name: str) -> int:
    """Bytes of a code without any symbol."""
    return len(encode(np.zeros((len(measured.rows), len(measured.columns)), np.float32), measured, draw, name)[0])


def _error(measured: Mapping[str, Measured], kept: float, step: float) -> float:
    """Expected squared error where so many entries are kept: of leaving entries out, and of rounding the others."""
    rate, levels, total = _rate(measured, kept), 2.0 ** -np.arange(2 * LAST + 1), 0.0
    for one in measured.values():
        chance = np.minimum(1.0, np.maximum(rate * one.size * levels, 1e-12))
        total += float((one.counts() * (one.size * levels) ** 2 * ((1 + step * step / 12) / chance - 1)).sum())
    return total


def _rate(measured: Mapping[str, Measured], kept: float) -> float:
    """The rate at which so many entries are kept on average; all of them at most."""
    levels = 2.0 ** -np.arange(2 * LAST + 1)
    counts = [(one.counts(), one.size * levels) for one in measured.values()]
    low, high = 1e-12, 1e12
    for _ in range(100):
        middle = float(np.sqrt(low * high))
        found = sum(float((count * np.minimum(1.0, middle * size)).sum()) for count, size in counts)
        low, high = (middle, high) if found < kept else (low, middle)
    return low
