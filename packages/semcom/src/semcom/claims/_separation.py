"""ADJSCC against separate coding at a bandwidth ratio of 1/12."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ninefold.proof import Budget

from semcom.baselines import JsccLink, SeparateLink, ideal_pictures
from semcom.claims._shared import adjscc, pictures_of, scored
from semcom.datasets import load
from semcom.evaluation import psnr, tune_scheme
from semcom.phy import Channel

SYMBOLS = 256  # of 3072 values: 1/12


def separation(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """PSNR of ADJSCC and of codecs with LDPC, whose modulation and rate are chosen on validation pictures at each SNR.

    The cliff: the scheme of 5 dB at 3 dB. The bound: JPEG with an ideal code.
    """
    full = budget.form == "full"
    pictures, validation = pictures_of(budget, 200, 24), load("cifar10", "validation", 60 if full else 10)
    coder = JsccLink(adjscc(), 0)
    scores: dict[str, np.ndarray] = {}
    for snr in (0.0, 5.0):
        scores[f"ADJSCC, {snr:g} dB"] = scored(coder, pictures, snr, seed)
        for codec in ("jpeg", "webp") if full else ("jpeg",):
            scheme = tune_scheme(codec, SYMBOLS, Channel(), snr, validation)
            link = SeparateLink(codec, SYMBOLS, 0, 32, *scheme)
            scores[f"{codec}, {snr:g} dB"] = scored(link, pictures, snr, seed)
            if codec == "jpeg" and snr == 5.0:
                scores["jpeg of 5 dB at 3 dB"] = scored(link, pictures, 3.0, seed)
        scores[f"jpeg, ideal code, {snr:g} dB"] = psnr(ideal_pictures("jpeg", pictures, SYMBOLS, snr), pictures)
    scores["ADJSCC, 3 dB"] = scored(coder, pictures, 3.0, seed)
    return scores
