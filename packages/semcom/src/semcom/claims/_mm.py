"""Experiments of the second system, and the statements with their bars. They need trained weights (`mm-32`).

Not among `CLAIMS` until the package brings these weights: without them there is nothing to measure.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from ninefold.proof import Budget, Claim, all_of, at_least, at_most

from semcom.datasets import load_captioned
from semcom.evaluation import MM_ARMS, Contest, compare_mm, items_of, joint_score, psnr
from semcom.models import load_jscc, load_judge
from semcom.multimodal import MMSemCom, link_folder
from semcom.multiuser import MultiUserLink, SuperposedLink, User

_SNRS = (-5.0, 0.0, 5.0, 10.0)
_RULES = ("multimodal", "random", "image", "text", "oracle")


@functools.cache
def _contest(pictures: int) -> Contest:
    """The link with its rival's coder and the judge, which lie beside the link's parts, on test pictures."""
    folder = link_folder("mm-32")
    judge, coarse = load_judge(folder.parent / "judge.safetensors"), load_jscc(folder.parent / "adjscc-c4.safetensors")
    return Contest(MMSemCom.from_pretrained(folder), coarse, judge, load_captioned("cifar10", "test", pictures))


def _size(budget: Budget, full: int = 500, quick: int = 40) -> int:
    return full if budget.form == "full" else quick


@functools.lru_cache(maxsize=8)
def _rows(pictures: int, seed: int, snrs: tuple[float, ...]) -> list[dict[str, Any]]:
    """All arms, once for all experiments of a seed."""
    return compare_mm(_contest(pictures), ["awgn"], snrs, 1, MM_ARMS, first_seed=seed)


def selection(budget: Budget, seed: int) -> Mapping[str, float | np.ndarray]:
    """PSNR of each rule by picture, averaged over 0, 5 and 10 dB, and the share of the gap to the oracle."""
    rows = _rows(_size(budget), seed, _SNRS)
    scores: dict[str, float | np.ndarray] = {}
    for arm in MM_ARMS:
        scores[arm] = np.mean([items_of(rows, arm, snr) for snr in _SNRS[1:]], axis=0)
    own, chance, best = (float(np.mean(scores[arm])) for arm in ("multimodal", "random", "oracle"))
    scores["share of the gap"] = (own - chance) / max(best - chance, 1e-9)
    return scores


def both_measures(budget: Budget, seed: int) -> Mapping[str, float]:
    """Mean of standardised PSNR and judge confidence of the multimodal rule and of single modalities."""
    rows = _rows(_size(budget), seed, _SNRS)
    parts = [
        joint_score(
            {arm: items_of(rows, arm, snr) for arm in _RULES},
            {arm: items_of(rows, arm, snr, "confidence") for arm in _RULES},
        )
        for snr in _SNRS[1:]
    ]
    return {arm: float(np.mean([part[arm] for part in parts])) for arm in _RULES}


def low_snr(budget: Budget, seed: int) -> Mapping[str, float | np.ndarray]:
    """Judge accuracy in percent, KID relative to the coarse picture, and PSNR of the mean, at -5 and 0 dB."""
    rows = [row for row in _rows(_size(budget), seed, _SNRS) if row["snr_db"] <= 0]
    scores: dict[str, float | np.ndarray] = {}
    for arm in ("multimodal", "coarse picture", "without text", "text only"):
        scores[f"accuracy, {arm}"] = 100 * np.mean([items_of(rows, arm, snr, "right") for snr in _SNRS[:2]], axis=0)
    distance = {arm: np.mean([r["kid"] for r in rows if r["arm"] == arm]) for arm in ("multimodal", "coarse picture")}
    scores["KID by that of the coarse picture"] = float(distance["multimodal"] / distance["coarse picture"])
    for arm in ("mean", "coarse picture"):
        scores[f"PSNR, {arm}"] = np.mean([items_of(rows, arm, snr) for snr in _SNRS[:2]], axis=0)
    return scores


def users(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """PSNR of four orthogonal users at 10 dB, of each alone with the same symbols, and of all over the whole band."""
    contest = _contest(_size(budget, 200, 40))
    link, data = contest.link, contest.data
    people = [
        User(part.images, part.captions, snr_db=10.0, seed=1000 * seed + number)
        for number, part in enumerate(data.taken(np.arange(at, len(data.images), 4)) for at in range(4))
    ]
    band = MultiUserLink([link] * 4, [10.0] * 4)
    arguments = {"num_candidates": 0, "seed": seed}
    results = {
        "orthogonal": band.carry(people, **arguments),
        "alone": [band.alone(number, user, **arguments) for number, user in enumerate(people)],
        "superposed": SuperposedLink([link] * 4).carry(people, **arguments),
    }
    return {
        name: np.concatenate([psnr(one.received.images, user.images) for one, user in zip(found, people, strict=True)])
        for name, found in results.items()
    }


MM_CLAIMS = [
    Claim(
        id="semcom/multimodal-choice-beats-chance",
        says="the candidate chosen by image and text is .08 dB above a random one at 0 to 10 dB, not .05 dB below "
        "either modality alone, and closes a fifth of the gap to the oracle",
        source="abstract; bars ours",
        run=selection,
        verdict=all_of(
            at_least("multimodal", "random", 0.08),
            at_least("multimodal", "image", -0.05),
            at_least("multimodal", "text", -0.05),
            at_least("share of the gap", 0.2),
        ),
        quick=Budget(1, 1),
        full=Budget(3, 12),
    ),
    Claim(
        id="semcom/both-modalities-serve-both-measures",
        says="on the mean of standardised PSNR and judge confidence the multimodal choice is above both modalities "
        "alone",
        source="abstract; bars ours",
        run=both_measures,
        verdict=all_of(at_least("multimodal", "image"), at_least("multimodal", "text")),
        quick=Budget(1, 1),
        full=Budget(3, 12),
    ),
    Claim(
        id="semcom/generation-helps-at-low-snr",
        says="at -5 and 0 dB and equal symbols the judge is 5 points more often right than on the coarse picture, KID "
        "is 30 % lower, and the mean of the candidates loses at most .6 dB",
        source="abstract; bars ours",
        run=low_snr,
        verdict=all_of(
            at_least("accuracy, multimodal", "accuracy, coarse picture", 5.0),
            at_most("KID by that of the coarse picture", 0.7),
            at_least("PSNR, mean", "PSNR, coarse picture", -0.6),
        ),
        quick=Budget(1, 1),
        full=Budget(3, 12),
    ),
    Claim(
        id="semcom/orthogonal-users-do-not-disturb",
        says="four orthogonal users are within .05 dB of themselves alone, and users superposed over the whole band "
        "lose 3 dB (10 dB, AWGN)",
        source="abstract; bars ours",
        run=users,
        verdict=all_of(
            at_least("orthogonal", "alone", -0.05),
            at_most("orthogonal", "alone", 0.05),
            at_least("orthogonal", "superposed", 3.0),
        ),
        quick=Budget(1, 1),
        full=Budget(3, 5),
    ),
]
