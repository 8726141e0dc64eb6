"""Honest timing: callables taken in turn in one process, medians, ratios with an interval, peak anonymous memory."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ninefold.errors import InputError


@dataclass(frozen=True)
class Timing:
    """Seconds of one callable in each round, with the ratio to the first callable's.

    Examples:
        >>> from ninefold.measure import Timing, compare

        >>> found = compare({"list": lambda: list(range(100)), "tuple": lambda: tuple(range(100))}, repeats=3)
        >>> timing = found["tuple"]
        >>> isinstance(timing, Timing), timing.low <= timing.ratio <= timing.high
        (True, True)
    """

    name: str
    seconds: float
    ratio: float
    low: float
    high: float
    rounds: int


def compare(callables: Mapping[str, Callable[[], Any]], *, repeats: int = 7, warmup: int = 1) -> dict[str, Timing]:
    """Time callables in turn (A B, B A, A B ...), so that drift of the machine falls on all alike.

    Args:
        callables: by name; the first is the reference.
        repeats: rounds, at least 3.
        warmup: calls of each before the first round.
    Returns:
        By name: median seconds, and the median over rounds of (reference seconds / own seconds) with its 95 % bootstrap
        interval: how many times faster than the reference. The reference's own ratio is 1.

    Examples:
        >>> from ninefold.measure import compare

        >>> numbers = list(range(1000))
        >>> found = compare({"sorted": lambda: sorted(numbers), "sum": lambda: sum(numbers)}, repeats=3)
        >>> found["sorted"].ratio, found["sum"].rounds
        (1.0, 3)
    """
    if repeats < 3:
        raise InputError("repeats", got=repeats, expected="at least 3 rounds")
    if not callables:
        raise InputError("callables", got="none", expected="at least one to time")
    names = list(callables)
    for name in names:
        for _ in range(warmup):
            callables[name]()
    taken: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeats):
        for name in names if turn % 2 == 0 else reversed(names):
            gc.collect()
            start = time.perf_counter()
            callables[name]()
            taken[name].append(max(time.perf_counter() - start, 1e-9))  # a clock may stand still
    generator = np.random.default_rng(0)
    result = {}
    for name in names:
        own = np.array(taken[name])
        ratios = np.array(taken[names[0]]) / own
        draws = np.median(ratios[generator.integers(0, repeats, (2000, repeats))], axis=1)
        low, high = np.quantile(draws, [0.025, 0.975])
        result[name] = Timing(name, float(np.median(own)), float(np.median(ratios)), float(low), float(high), repeats)
    return result


def emit(**values: Any) -> None:
    """Print one benchmark line as JSON.

    Examples:
        >>> from ninefold.measure import emit

        >>> emit(name="fit", seconds=1.5)
        {"name": "fit", "seconds": 1.5}
    """
    print(json.dumps(values), flush=True)
