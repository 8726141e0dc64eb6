"""Layered belief propagation over the checks of an LDPC code, compiled: normalised min-sum in lanes, and sum-product.

Min-sum decodes `LANES` words side by side, one in each lane of the processor's vectors: all loops over lanes are
vector instructions (`_lanes`). A lane whose word is finished takes the next word at once. Each word goes through the
same operations in the same order as alone, so its result does not depend on its neighbours.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from semcom.phy._lanes import LANES, add_parity, update_check

_WIDEST = 64  # more edges than any check of the standard has


@njit(cache=True, nogil=True, error_model="numpy")
def min_sum(llr, starts, places, iterations, scale, stop):
    """Decode rows of LLRs by normalised min-sum; `llr` (rows, places) float32 becomes the posterior.

    Args:
        starts, places: check i reads `places[starts[i]:starts[i + 1]]`.
        iterations: at most so many passes over the checks.
        scale: factor of each message.
        stop: end a word as soon as all its checks hold.
    Returns: (rows,) bool, whether all checks hold at the end.
    """
    rows, width, checks = llr.shape[0], llr.shape[1], len(starts) - 1
    words = np.zeros((width, LANES), np.float32)
    messages = np.zeros((len(places), LANES), np.float32)
    holds = np.zeros(rows, np.bool_)
    row_of = np.full(LANES, -1, np.int64)
    passes = np.zeros(LANES, np.int64)
    scratch = np.zeros((_WIDEST, LANES), np.float32)
    failed = np.zeros((1, LANES), np.float32)
    signs = failed.view(np.int32)
    following = 0
    busy = 0
    for lane in range(min(LANES, rows)):
        words[:, lane] = llr[following]
        row_of[lane] = following
        following += 1
        busy += 1
    while busy > 0 and iterations > 0:
        for check in range(checks):
            begin, end = np.int64(starts[check]), np.int64(starts[check + 1])
            update_check(words, messages, scratch, places, begin, end, np.float32(scale))
        failed[:] = 0
        for check in range(checks):
            add_parity(words, places, np.int64(starts[check]), np.int64(starts[check + 1]), failed)
        for lane in range(LANES):
            row = row_of[lane]
            if row < 0:
                continue
            passes[lane] += 1
            good = signs[0, lane] >= 0
            if not ((good and stop) or passes[lane] == iterations):
                continue
            holds[row] = good
            llr[row] = words[:, lane]
            messages[:, lane] = 0
            passes[lane] = 0
            if following < rows:
                words[:, lane] = llr[following]
                row_of[lane] = following
                following += 1
            else:
                words[:, lane] = 0
                row_of[lane] = -1
                busy -= 1
    return holds


@njit(cache=True, nogil=True)
def sum_product(llr, starts, places, iterations, scale, stop):  # noqa: ARG001  (same arguments as `min_sum`)
    """The same by sum-product, one word after another: slower, and the reference for the error rates."""
    rows, checks = llr.shape[0], len(starts) - 1
    message = np.zeros(len(places), np.float32)
    extrinsic = np.zeros(_WIDEST, np.float32)
    holds = np.zeros(rows, np.bool_)
    for row in range(rows):
        word = llr[row]
        message[:] = 0
        good = False
        for _ in range(iterations):
            for check in range(checks):
                begin, end = starts[check], starts[check + 1]
                negative, total = False, 0.0
                for edge in range(begin, end):
                    value = word[places[edge]] - message[edge]
                    extrinsic[edge - begin] = value
                    if value < 0:
                        negative = not negative
                    size = min(max(abs(value), np.float32(1e-6)), np.float32(30.0))
                    total += -math.log(math.tanh(0.5 * size))
                for edge in range(begin, end):
                    value = extrinsic[edge - begin]
                    size = min(max(abs(value), np.float32(1e-6)), np.float32(30.0))
                    rest = max(total + math.log(math.tanh(0.5 * size)), 1e-12)
                    new = np.float32(-math.log(math.tanh(0.5 * min(rest, 30.0))))
                    if negative != (value < 0):
                        new = -new
                    message[edge] = new
                    word[places[edge]] = value + new
            good = True
            for check in range(checks):
                odd = False
                for edge in range(starts[check], starts[check + 1]):
                    if word[places[edge]] < 0:
                        odd = not odd
                if odd:
                    good = False
                    break
            if good and stop:
                break
        holds[row] = good
    return holds
