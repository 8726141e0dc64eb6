"""How constants of the package were made: alpha of the rules of selection, statistics of the block DCT."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from ninefold.errors import InputError
from semcom.baselines._dct import BLOCK, blocks_of, padded
from semcom.multimodal import AlphaTable, Evidence, choose

WEIGHED = ("multimodal", "published", "likelihood")
"""Rules that weigh the image against the text by alpha."""


def fit_alpha(
    evidence: Mapping[float, Evidence], rule: str = "multimodal", grid: int = 21
) -> tuple[AlphaTable, dict[float, np.ndarray]]:
    """The alpha of least mean logarithm of the squared error at each SNR, over evenly spaced values from 0 to 1.

    Args:
        evidence: by SNR in dB, of validation pictures, with their truth.
        rule: `multimodal`, `likelihood` or `published`.
        grid: values that are tried.
    Returns: the table, and by SNR the (grid,) mean PSNR of each value.
    """
    if rule not in WEIGHED:
        raise InputError("rule", got=repr(rule), expected=f"one of {', '.join(WEIGHED)}: others have no alpha")
    tried, curves, best = np.linspace(0, 1, grid), {}, {}
    for snr in sorted(evidence):
        one = evidence[snr]
        error = np.maximum(((one.candidates - one.truth[:, None].astype(np.float64)) ** 2).mean(axis=(2, 3, 4)), 1e-6)
        rows = np.arange(len(error))
        picked = [choose(one, rule, alpha).index for alpha in tried]
        curves[snr] = np.array([np.mean(-10 * np.log10(error[rows, index] / 255**2)) for index in picked])
        level = np.flatnonzero(curves[snr] >= curves[snr].max() - 1e-9)
        best[snr] = float(tried[level[np.abs(tried[level] - 0.5).argmin()]])  # of equals the one nearest to 1/2
    return AlphaTable(tuple(best), tuple(best.values())), curves


def measure_statistics(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """Mean squares (768,) of the block DCT's coefficients, each picture counted by its blocks; float32."""
    total, count = np.zeros(3 * BLOCK**2), 0
    for picture in pictures:
        blocks = blocks_of(padded(picture, BLOCK))
        total += (blocks.astype(np.float64) ** 2).sum(axis=0)
        count += len(blocks)
    if not count:
        raise InputError("pictures", got="none", expected="at least one")
    return (total / count).astype(np.float32)
