"""Whole pictures: the joint coder and the choice for each picture against AVIF + LDPC, on 21 crops of Kodak."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ninefold import datasets
from ninefold_lab import Budget
from semcom.evaluation import BaselineTask, best_rates, measure_baseline

RATIO = 1 / 12


@functools.lru_cache(maxsize=8)
def _rows(task: BaselineTask, count: int) -> list[Mapping[str, Any]]:
    """Each arm's scores at its best rates, on so many crops."""
    return best_rates(measure_baseline(crops(count), task), task)


def crops(count: int) -> list[Path]:
    """Files of so many of the 256 x 256 crops."""
    folder = datasets.find("semcom", "kodak256/kodim01.webp").parent
    return sorted(folder.glob("*.webp"))[:count]


def _scores(rows: list[Mapping[str, Any]], arm: str, snr: float | None = None, key: str = "psnr") -> np.ndarray:
    """Mean score of each crop over the SNRs, or at one."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["arm"] == arm and snr in (None, row["snr_db"]):
            found.setdefault(row["picture"], []).append(row[key])
    return np.array([np.mean(found[picture]) for picture in sorted(found)])


def _count(budget: Budget) -> int:
    return 21 if budget.form == "full" else 3


def known_snr(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """PSNR and SSIM of each crop at 0 and 5 dB, and PSNR of the third of the crops that is hardest for AVIF."""
    rows = _rows(BaselineTask(("joint", "avif", "chosen", "softcast", "linear"), RATIO, (0.0, 5.0), seed=seed),
                 _count(budget))  # fmt: skip
    names = {"joint": "joint", "avif": "AVIF", "chosen": "chosen", "softcast": "SoftCast", "linear": "linear"}
    scores = {f"{name}, {snr:g} dB": _scores(rows, arm, snr) for arm, name in names.items() for snr in (0.0, 5.0)}
    scores |= {f"SSIM, {name}, 5 dB": _scores(rows, arm, 5.0, "ssim") for arm, name in names.items()}
    hardest = np.argsort(scores["AVIF, 5 dB"])[: _count(budget) // 3]
    return scores | {f"{name}, hardest third, 5 dB": scores[f"{name}, 5 dB"][hardest] for name in names.values()}


def unknown_snr(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """PSNR of each crop, mean over the SNRs or of one fade, where the sender assumes 5 dB or keeps one rate."""
    scores = {}
    for over, channel, snrs in (("0 to 10 dB", "awgn", (0.0, 2.5, 5.0, 7.5, 10.0)),
                                ("slow fading", "rayleigh:image", (10.0,))):  # fmt: skip
        task = BaselineTask(("joint", "avif"), RATIO, snrs, channel, known=False, seed=seed)
        rows = _rows(task, _count(budget))
        scores[f"joint, {over}"] = _scores(rows, "joint")
        scores[f"AVIF at its best fixed rate, {over}"] = _scores(rows, "avif")
    return scores
