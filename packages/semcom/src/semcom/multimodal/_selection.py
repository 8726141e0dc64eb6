"""Which candidate is kept (paper: least reconstruction error over image and text features), and what alpha is.

`published` standardises both errors over the candidates, as the paper's idea needs to make them comparable; over eight
candidates no standardised error goes below -2.47, however good the channel is. `likelihood` weighs each error by its
noise instead: it is minus the logarithm of a likelihood, twice. `multimodal`, the default, asks which candidate has the
least expected squared error: the likelihoods of both modalities, tempered, are the candidates' weights, and the one
nearest to their weighted mean and to the coarse picture is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError
from scipy.ndimage import gaussian_filter

TEMPERATURE = 1.5  # of the likelihoods, since a generator's errors are no white noise; chosen on validation pictures
ANCHOR = 0.0  # share of the coarse picture in what the kept candidate is near to; chosen on validation pictures


@dataclass
class Evidence:
    """What a rule may look at; all arrays have a row for each picture.

    Attributes:
        candidates: (rows, K, H, W, 3) uint8.
        coarse: (rows, H, W, 3) uint8.
        image_error: (rows, K), mean squared distance of re-encoded candidates to the received features.
        image_misfit: (rows, K), sum of the squared distances, each by its noise variance.
        text_error: (rows, K), 1 - cosine of the candidate to the received text; 0 where there is none.
        text_weight: (rows,), what makes of `text_error` a sum of squared distances by their noise variance.
        truth: (rows, H, W, 3) uint8, for `oracle` alone; a receiver has none.
    """

    candidates: np.ndarray
    coarse: np.ndarray
    image_error: np.ndarray
    image_misfit: np.ndarray
    text_error: np.ndarray
    text_weight: np.ndarray
    truth: np.ndarray | None = None


def standardised(errors: np.ndarray) -> np.ndarray:
    """(rows, K) to mean 0 and deviation 1 in each row; 0 where all are equal."""
    centred = errors - errors.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    return np.where(deviation > 1e-12, centred / np.maximum(deviation, 1e-12), 0.0)


def _squared(candidates: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Mean squared difference of candidates (rows, K, ...) to one picture a row: (rows, K)."""
    difference = candidates.astype(np.float32) - references[:, None].astype(np.float32)
    return (difference**2).mean(axis=(2, 3, 4), dtype=np.float64)


def _likelihood(e: Evidence, alpha: np.ndarray) -> np.ndarray:
    return alpha * e.image_misfit + (1 - alpha) * e.text_weight[:, None] * e.text_error


def _multimodal(e: Evidence, alpha: np.ndarray) -> np.ndarray:
    return expected_error(e, alpha, TEMPERATURE, ANCHOR)


def expected_error(e: Evidence, alpha: np.ndarray, temperature: float, anchor: float) -> np.ndarray:
    """Squared distance of each candidate to what the picture is expected to be, up to a constant of the row.

    Args:
        e: see the class.
        alpha: (rows, 1), weight of the image against the text in the likelihoods.
        temperature: above 0; infinity gives all candidates the same weight.
        anchor: share of the coarse picture in [0, 1]; the weighted mean of the candidates has the rest.
    Returns: (rows, K).
    """
    score = _likelihood(e, alpha)
    weight = np.exp((score.min(axis=1, keepdims=True) - score) / (2 * temperature))
    weight /= weight.sum(axis=1, keepdims=True)
    flat = e.candidates.reshape(*e.candidates.shape[:2], -1).astype(np.float64)
    coarse = e.coarse.reshape(len(flat), -1).astype(np.float64)
    centre = (1 - anchor) * np.einsum("rk,rkp->rp", weight, flat) + anchor * coarse
    return ((flat - centre[:, None]) ** 2).mean(axis=2)


def _published(e: Evidence, alpha: np.ndarray) -> np.ndarray:
    return alpha * standardised(e.image_error) + (1 - alpha) * standardised(e.text_error)


def _medoid(e: Evidence, alpha: np.ndarray) -> np.ndarray:  # noqa: ARG001
    flat = e.candidates.reshape(*e.candidates.shape[:2], -1).astype(np.float64)
    square = (flat**2).sum(axis=2)
    distance = square[:, :, None] + square[:, None] - 2 * flat @ flat.transpose(0, 2, 1)
    return distance.sum(axis=2).round()  # of whole numbers: the order of the candidates cannot matter


def _oracle(e: Evidence, alpha: np.ndarray) -> np.ndarray:  # noqa: ARG001
    if e.truth is None:
        raise InputError("select", got="oracle", expected="another rule", hint="a receiver has no source picture")
    return _squared(e.candidates, e.truth)


SCORES: dict[str, Callable[[Evidence, np.ndarray], np.ndarray]] = {
    "multimodal": _multimodal, "published": _published, "likelihood": _likelihood, "image": lambda e, _: e.image_misfit,
    "text": lambda e, _: e.text_error, "closest-to-coarse": lambda e, _: _squared(e.candidates, e.coarse),
    "medoid": _medoid, "oracle": _oracle,
}  # fmt: skip
"""Rules that take the candidate of the least score."""
RULES = (*SCORES, "random", "first", "mean")


UNSHARP = "unsharp"
"""No choice at all: the coarse picture under an unsharp mask, which leads in quality and costs nothing."""


def unsharp(pictures: np.ndarray, amount: float = 1.5, sigma: float = 1.0) -> np.ndarray:
    """Pictures under an unsharp mask: x + amount * (x - blurred x).

    Args:
        pictures: (n, H, W, 3) uint8.
        amount: weight of what the blur takes away; 1.5 and `sigma` 1 were chosen on validation pictures.
        sigma: deviation of the Gaussian blur in pixels.
    """
    values = pictures.astype(np.float32)
    sharp = values + amount * (values - gaussian_filter(values, (0, sigma, sigma, 0)))
    return np.clip(sharp, 0, 255).round().astype(np.uint8)


@dataclass
class Chosen:
    """What a rule gives: pictures (rows, H, W, 3) uint8, and their numbers (rows,), or None for `mean`."""

    images: np.ndarray
    index: np.ndarray | None


def choose(
    evidence: Evidence, rule: str = "multimodal", alpha: float | np.ndarray = 0.5, seed: int = 0,
    rows: np.ndarray | None = None,
) -> Chosen:  # fmt: skip
    """One picture of each row's candidates.

    Args:
        evidence: see the class.
        rule: one of `RULES`.
        alpha: weight of the image against the text in [0, 1], a number or (rows,).
        seed: of `random`.
        rows: (rows,) numbers that `random` depends on; 0, 1, ... if left out.
    """
    if rule not in RULES:
        raise InputError("select", got=repr(rule), expected=f"one of {', '.join(RULES)}")
    count, options = evidence.candidates.shape[:2]
    weight = np.broadcast_to(np.asarray(alpha, np.float64).reshape(-1, 1), (count, 1))
    if not ((weight >= 0) & (weight <= 1)).all():
        raise InputError("alpha", got=alpha, expected="numbers from 0 to 1")
    if rule == "mean":
        total = evidence.candidates.sum(axis=1, dtype=np.int64)
        return Chosen(((2 * total + options) // (2 * options)).astype(np.uint8), None)
    if rule == "first":
        index = np.zeros(count, np.int64)
    elif rule == "random":
        numbers = np.arange(count) if rows is None else rows
        index = np.array([np.random.default_rng([seed, int(row), 7]).integers(options) for row in numbers])
    else:
        index = SCORES[rule](evidence, weight).argmin(axis=1)
    return Chosen(evidence.candidates[np.arange(count), index], index)


@dataclass(frozen=True)
class AlphaTable:
    """alpha by SNR, linear between the SNRs it was fitted at and constant beyond; one pair is a constant."""

    snrs: tuple[float, ...] = (0.0,)
    alphas: tuple[float, ...] = (0.5,)

    def __post_init__(self) -> None:
        ordered = all(a < b for a, b in zip(self.snrs, self.snrs[1:], strict=False))
        if not self.snrs or len(self.snrs) != len(self.alphas) or not ordered:
            raise InputError("alpha table", got=(self.snrs, self.alphas), expected="ascending SNRs, an alpha for each")
        if not all(0 <= alpha <= 1 for alpha in self.alphas):
            raise InputError("alpha table", got=self.alphas, expected="numbers from 0 to 1")

    def at(self, snr_db: np.ndarray) -> np.ndarray:
        """alpha at some SNRs."""
        return np.interp(snr_db, self.snrs, self.alphas)


ALPHAS = {
    "multimodal": AlphaTable((0.0,), (0.02,)),
    "published": AlphaTable((-5.0, 0.0, 5.0, 10.0), (0.0, 0.0, 0.9, 0.8)),
    "likelihood": AlphaTable((-5.0, 0.0, 5.0, 10.0), (0.0, 0.0, 0.5, 0.5)),
}
"""alpha of each rule that weighs, by SNR in dB: chosen on validation pictures, each rule for itself."""
