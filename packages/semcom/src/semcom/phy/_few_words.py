"""Layered min-sum in numpy, bit for bit as `_layered` has it: for a few words, since numba takes longer to load."""

from __future__ import annotations

import numpy as np


def min_sum_of_few(
    llr: np.ndarray, starts: np.ndarray, places: np.ndarray, lifting: int, iterations: int, scale: np.float32,
    stop: bool,
) -> np.ndarray:  # fmt: skip
    """Decode rows of LLRs; arguments and result as those of `_layered.min_sum`.

    Args:
        lifting: successive checks that have no place in common, so that the order among them does not matter.
    """
    words, messages = llr.copy(), np.zeros((len(llr), len(places)), np.float32)
    holds, rows = np.zeros(len(llr), bool), np.arange(len(llr))
    for passes in range(1, iterations + 1):
        for check in range(0, len(starts) - 1, lifting):
            _update(words, messages, places, starts[check : check + lifting + 1], scale)
        good = (np.bitwise_xor.reduceat(words[:, places].view(np.int32), starts[:-1], axis=1) >= 0).all(axis=1)
        ended = np.logical_or(good & stop, passes == iterations)
        llr[rows[ended]], holds[rows[ended]] = words[ended], good[ended]
        words, messages, rows = words[~ended], messages[~ended], rows[~ended]
        if not len(rows):
            break
    return holds


def _update(words: np.ndarray, messages: np.ndarray, places: np.ndarray, bounds: np.ndarray, scale: np.float32) -> None:
    """New messages of the checks whose edges are between `bounds`, and the posteriors with them."""
    edges, begins, counts = slice(bounds[0], bounds[-1]), bounds[:-1] - bounds[0], np.diff(bounds)
    value = words[:, places[edges]] - messages[:, edges]
    size = np.abs(value)
    least = np.minimum.reduceat(size, begins, axis=1)
    smallest = size == np.repeat(least, counts, axis=1)
    second = np.minimum.reduceat(np.where(smallest, np.float32(1e30), size), begins, axis=1)
    second = np.where(np.add.reduceat(smallest, begins, axis=1, dtype=np.int32) > 1, least, second)
    sign = np.bitwise_xor.reduceat(value.view(np.int32), begins, axis=1)
    least, second, sign = (np.repeat(one, counts, axis=1) for one in (least * scale, second * scale, sign))
    turned = (sign ^ value.view(np.int32)) & np.int32(-(1 << 31))
    new = (np.where(smallest, second, least).view(np.int32) ^ turned).view(np.float32)
    messages[:, edges] = new
    words[:, places[edges]] = value + new
