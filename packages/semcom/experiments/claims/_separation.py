"""ADJSCC against separate coding at a bandwidth ratio of 1/12."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from ninefold_lab import Budget
from semcom.baselines import JsccLink, LinearLink, SeparateLink, ideal_pictures
from semcom.datasets import load
from semcom.evaluation import psnr, tune_scheme
from semcom.phy import Channel

from ._shared import adjscc, deepjscc, pictures_of, scored

SYMBOLS = 256  # of 3072 values: 1/12


@functools.cache
def _scheme(codec: str, snr: float, pictures: int) -> tuple[str, str]:
    """Modulation and rate that are best for a codec at an SNR on validation pictures."""
    return tune_scheme(codec, SYMBOLS, Channel(), snr, load("cifar10", "validation", pictures))


def separation(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """PSNR of ADJSCC and of codecs with LDPC, whose modulation and rate are chosen on validation pictures at each SNR.

    The cliff: the scheme of 5 dB at 3 dB. The bound: JPEG with an ideal code. Beside them JPEG as the bar of the design
    had it: at whole size alone, one scheme (QPSK, rate 1/2). Beside ADJSCC the best linear link.
    """
    full = budget.form == "full"
    pictures, chosen_on = pictures_of(budget, 500, 24), 60 if full else 10
    coder, linear, fixed, one_scheme = (
        JsccLink(adjscc(), 0),
        LinearLink(load("cifar10", "train"), SYMBOLS),
        JsccLink(deepjscc(), 0),
        SeparateLink("jpeg", SYMBOLS, whole_size=True),
    )
    scores: dict[str, np.ndarray] = {}
    for snr in (0.0, 5.0):
        scores[f"ADJSCC, {snr:g} dB"] = scored(coder, pictures, snr, seed)
        scores[f"linear, {snr:g} dB"] = scored(linear, pictures, snr, seed)
        scores[f"DeepJSCC of 5 dB, {snr:g} dB"] = scored(fixed, pictures, snr, seed)
        for codec in ("jpeg", "webp") if full else ("jpeg",):
            link = SeparateLink(codec, SYMBOLS, 0, 32, *_scheme(codec, snr, chosen_on))
            scores[f"{codec}, {snr:g} dB"] = scored(link, pictures, snr, seed)
            if codec == "jpeg" and snr == 5.0:
                scores["jpeg of 5 dB at 3 dB"] = scored(link, pictures, 3.0, seed)
        scores[f"jpeg at whole size, QPSK 1/2, {snr:g} dB"] = scored(one_scheme, pictures, snr, seed)
        scores[f"jpeg, ideal code, {snr:g} dB"] = psnr(ideal_pictures("jpeg", pictures, SYMBOLS, snr), pictures)
    scores["ADJSCC, 3 dB"] = scored(coder, pictures, 3.0, seed)
    return scores
