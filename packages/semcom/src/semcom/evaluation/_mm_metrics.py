"""Scores of generated pictures: what an independent classifier sees in them, and kernel inception distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError
from scipy import stats

from semcom.models import Judge

LEAST_KID = 32  # pictures below which the estimate is mostly noise


@dataclass
class Judged:
    """What the judge says: whether it names the class, its probability of the class, and its features, by picture."""

    right: np.ndarray
    confidence: np.ndarray
    features: np.ndarray


def judged(judge: Judge, images: np.ndarray, labels: np.ndarray) -> Judged:
    """The judge on pictures (n, H, W, 3) uint8 whose sources have these classes (n,)."""
    probability, features = judge.judge(images)
    own = probability[np.arange(len(labels)), labels]
    return Judged((probability.argmax(axis=1) == labels).astype(np.float64), own.astype(np.float64), features)


def kid(features: np.ndarray, references: np.ndarray) -> float:
    """Kernel inception distance (Binkowski et al. 2018): unbiased squared MMD with the kernel (x.y / d + 1)^3.

    Args:
        features: (n, d) of some extractor, which has to be named beside the number: here the judge's.
        references: (m, d) of source pictures.
    Raises:
        InputError: for fewer than 32 of either.
    """
    x, y = np.asarray(features, np.float64), np.asarray(references, np.float64)
    if min(len(x), len(y)) < LEAST_KID:
        raise InputError("KID", got=f"{min(len(x), len(y))} pictures", expected=f"at least {LEAST_KID}")
    if x.shape[1] != y.shape[1]:
        raise InputError("KID", got=f"features of {x.shape[1]} and {y.shape[1]} numbers", expected="one extractor")
    d = x.shape[1]
    xx, yy, xy = ((a @ b.T / d + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    return float((xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean())


@dataclass(frozen=True)
class Paired:
    """Mean gain over a rival on the same pictures, its 95 % interval, and the p-value of a paired t-test."""

    gain: float
    low: float
    high: float
    p: float


def paired(scores: np.ndarray, rival: np.ndarray) -> Paired:
    """Compare two arms picture by picture: (n,) scores each, from 2."""
    difference = np.asarray(scores, np.float64) - np.asarray(rival, np.float64)
    if len(difference) < 2:
        raise InputError("paired test", got=f"{len(difference)} pictures", expected="at least 2")
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    gain = float(difference.mean())
    if error == 0:
        return Paired(gain, gain, gain, 1.0 if gain == 0 else 0.0)
    reach = float(stats.t.ppf(0.975, len(difference) - 1) * error)
    return Paired(gain, gain - reach, gain + reach, float(np.asarray(stats.ttest_1samp(difference, 0)[1])))


def gap_closed(chosen: float, random: float, oracle: float) -> float:
    """Share of the gap from random choice to the oracle that a rule closes; NaN if there is no gap."""
    return (chosen - random) / (oracle - random) if oracle > random else float("nan")


def joint_items(psnrs: Mapping[str, np.ndarray], confidences: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Mean of PSNR and judge confidence of each arm and picture, both standardised over all arms and pictures."""
    found: dict[str, np.ndarray] = {arm: np.zeros(len(one)) for arm, one in psnrs.items()}
    for scores in (psnrs, confidences):
        whole = np.concatenate([scores[arm] for arm in psnrs])
        centre, spread = float(whole.mean()), max(float(whole.std()), 1e-12)
        for arm, kept in found.items():
            kept += (np.asarray(scores[arm], np.float64) - centre) / spread / 2
    return found


def joint_score(psnrs: Mapping[str, np.ndarray], confidences: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Means of `joint_items` over the pictures."""
    return {arm: float(one.mean()) for arm, one in joint_items(psnrs, confidences).items()}


def kid_blocks(features: np.ndarray, references: np.ndarray, blocks: int = 10) -> list[float]:
    """`kid` of every `blocks`-th picture to all references, for each such block; none where a block is too small."""
    if len(features) < blocks * LEAST_KID:
        return []
    return [kid(features[place::blocks], references) for place in range(blocks)]
