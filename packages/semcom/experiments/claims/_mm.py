"""Experiments of the second system, and the statements with their bars, on the weights that the package brings."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from ninefold.datasets import cache_path
from ninefold.files import write_text
from ninefold_lab import Budget, Claim, add_seconds, all_of, at_least, at_most, source_key
from semcom.baselines import LinearLink
from semcom.datasets import load, load_captioned
from semcom.evaluation import MM_ARMS, Contest, compare_mm, items_of, joint_items, psnr
from semcom.models import load_judge
from semcom.multimodal import MMSemCom, Request, choose
from semcom.multiuser import MultiUserLink, SuperposedLink, User
from semcom.phy import Channel

from ._shared import scored

_SNRS = (-5.0, 0.0, 5.0, 10.0)
_RULES = ("multimodal", "random", "image", "text", "oracle")
_LOW_ARMS = ("multimodal", "coarse picture", "linear picture", "without text", "text only")
_RIVALS = _LOW_ARMS[1:3]


@functools.cache
def _contest(pictures: int) -> Contest:
    """The link, its own features with all symbols as the rival, and the judge, on test pictures; drawn in bfloat16."""
    link = MMSemCom.from_pretrained("mm-32", sampler={"bfloat16": True})
    data = load_captioned("cifar10", "test", pictures)
    linear = LinearLink(load("cifar10", "train"), link.report.symbols)
    return Contest(link, None, load_judge("judge"), data, linear=linear)


def _size(budget: Budget, full: int = 500, quick: int = 40) -> int:
    return full if budget.form == "full" else quick


@functools.lru_cache(maxsize=64)
def _rows_at(pictures: int, seed: int, snr: float) -> tuple[list[dict[str, Any]], float]:
    """All arms at an SNR, once for all experiments of a seed, and the seconds that took; kept on disk."""
    name = f"{pictures}-{seed}-{snr:g}.json"
    path = cache_path("semcom") / "mm-rows" / source_key(MM_CLAIMS[0]) / name
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        return kept["rows"], kept["seconds"]
    start = time.perf_counter()
    rows = compare_mm(_contest(pictures), ["awgn"], [snr], 1, MM_ARMS, first_seed=seed)
    seconds = time.perf_counter() - start
    write_text(path, json.dumps({"rows": rows, "seconds": seconds}), force=None)
    add_seconds(-seconds)  # the caller counts them
    return rows, seconds


def _rows(budget: Budget, seed: int, snrs: tuple[float, ...]) -> list[dict[str, Any]]:
    """Rows of all arms at some SNRs; their seconds count, whenever they were spent."""
    found = []
    for snr in snrs:
        rows, seconds = _rows_at(_size(budget), seed, snr)
        add_seconds(seconds)
        found += rows
    return found


def selection(budget: Budget, seed: int) -> Mapping[str, float | np.ndarray]:
    """PSNR of each rule by picture, averaged over 0, 5 and 10 dB, and the share of the gap to the oracle."""
    rows = _rows(budget, seed, _SNRS[1:])
    scores: dict[str, float | np.ndarray] = {}
    for arm in MM_ARMS:
        scores[arm] = np.mean([items_of(rows, arm, snr) for snr in _SNRS[1:]], axis=0)
    fifth = np.asarray(scores["oracle"]) - np.asarray(scores["random"])
    scores["random and a fifth of the gap"] = np.asarray(scores["random"]) + fifth / 5
    return scores


def both_measures(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Mean of standardised PSNR and judge confidence of each rule by picture, averaged over 0, 5 and 10 dB."""
    rows = _rows(budget, seed, _SNRS[1:])
    parts = [
        joint_items(
            {arm: items_of(rows, arm, snr) for arm in _RULES},
            {arm: items_of(rows, arm, snr, "confidence") for arm in _RULES},
        )
        for snr in _SNRS[1:]
    ]
    return {arm: np.mean([part[arm] for part in parts], axis=0) for arm in _RULES}


def low_snr(budget: Budget, seed: int) -> Mapping[str, float | np.ndarray]:
    """Judge accuracy in percent, KID by blocks of pictures, and PSNR of the mean, at -5 and 0 dB."""
    low = _SNRS[:2]
    rows = _rows(budget, seed, low)
    scores: dict[str, float | np.ndarray] = {}
    for arm in _LOW_ARMS:
        scores[f"accuracy, {arm}"] = 100 * np.mean([items_of(rows, arm, snr, "right") for snr in low], axis=0)
    for arm in _LOW_ARMS[:3]:
        whole = np.mean([row["kid"] for row in rows if row["arm"] == arm])
        blocks = np.mean([items_of(rows, arm, snr, "kid") for snr in low], axis=0)
        scores[f"KID, {arm}"] = 1000 * (blocks if blocks.size else np.array([whole]))
    for arm in _RIVALS:
        scores[f"70 % of the KID, {arm}"] = 0.7 * np.asarray(scores[f"KID, {arm}"])
    for arm in ("mean", "own coarse picture", *_RIVALS):
        scores[f"PSNR, {arm}"] = np.mean([items_of(rows, arm, snr) for snr in low], axis=0)
    return scores


def recognition(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Whether each rule picks the source picture among itself and seven that were drawn (20 dB)."""
    contest = _contest(_size(budget))
    link, data = contest.link, contest.data.taken(np.arange(0, len(contest.data.images), 2))
    place = np.random.default_rng([seed, 5]).integers(0, 8, len(data.images))
    drawn = link.generator
    assert drawn is not None

    def with_truth(request: Request) -> np.ndarray:
        made = drawn(request)
        at = request.rows
        made[np.arange(len(made)), place[at]] = data.images[at]
        return made

    sent = link.transmit(data.images, data.captions, 20.0)
    received = Channel().apply(sent.symbols, 20.0, np.random.default_rng([seed, 6]))
    link.generator = with_truth
    try:
        evidence = link.receive(received, 20.0, seed=seed).evidence
    finally:
        link.generator = drawn
    assert evidence is not None
    rules = ("multimodal", "likelihood", "published", "image", "text", "closest-to-coarse", "medoid", "random")
    alphas = {rule: float(link.alpha_of(rule).at(np.array(20.0))) for rule in rules}
    return {rule: (choose(evidence, rule, alphas[rule], seed).index == place).astype(np.float64) for rule in rules}


def swapped_captions(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Whether a rule picks the picture that was sent from two of different classes, by whose caption was sent (0 dB).

    The candidates are the source and another test picture, the same for both captions, so that nothing but the text
    differs.
    """
    contest = _contest(_size(budget))
    link, data = contest.link, contest.data
    order = np.random.default_rng([seed, 8]).permutation(len(data.images))
    other = order[(np.argsort(order) + len(order) // 2) % len(order)]
    same = data.labels == data.labels[other]
    rows = np.flatnonzero(~same)
    own, foreign = data.taken(rows), data.taken(other[rows])
    pair = np.stack([own.images, foreign.images], axis=1)
    drawn, link.generator = link.generator, lambda _: pair
    scores: dict[str, np.ndarray] = {}
    try:
        for name, captions in (("own caption", own.captions), ("swapped caption", foreign.captions)):
            sent = link.transmit(own.images, captions, 0.0)
            received = Channel().apply(sent.symbols, 0.0, np.random.default_rng([seed, 9]))
            evidence = link.receive(received, 0.0, num_candidates=2, seed=seed).evidence
            assert evidence is not None
            for rule in ("text", "image"):
                scores[f"{rule}, {name}"] = (choose(evidence, rule).index == 0).astype(np.float64)
    finally:
        link.generator = drawn
    return scores


def users(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """PSNR of four orthogonal users at 10 dB, of each alone with the same symbols, and of all over the whole band.

    Beside them the best linear link: with an orthogonal user's symbols, and with all of them and the other users as
    Gaussian noise.
    """
    contest = _contest(_size(budget, 200, 40))
    link, data = contest.link, contest.data
    people = [
        User(part.images, part.captions, snr_db=10.0, seed=1000 * seed + number)
        for number, part in enumerate(data.taken(np.arange(at, len(data.images), 4)) for at in range(4))
    ]
    band = MultiUserLink([link] * 4, [10.0] * 4)
    arguments: dict[str, Any] = {"num_candidates": 0, "seed": seed}
    results = {
        "orthogonal": band.carry(people, **arguments),
        "alone": [band.alone(number, user, **arguments) for number, user in enumerate(people)],
        "superposed": SuperposedLink([link] * 4).carry(people, **arguments),
    }
    scores = {
        name: np.concatenate([psnr(one.received.images, user.images) for one, user in zip(found, people, strict=True)])
        for name, found in results.items()
    }
    images, linear = np.concatenate([user.images for user in people]), contest.linear
    assert linear is not None
    against = float(-10 * np.log10(3 + 10**-1.0))  # three users of equal power, and the noise of 10 dB
    whole = link.report.symbols
    for name, symbols, snr in (("linear, orthogonal", whole // 4, 10.0), ("linear, superposed", whole, against)):
        scores[name] = scored(linear.of(symbols), images, snr, seed)
    return scores


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
            at_least("multimodal", "random and a fifth of the gap"),
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
        says="at -5 and 0 dB and equal symbols the judge is 5 points more often right than on the coarse picture, "
        "ADJSCC's or the best linear one, KID is 30 % lower, and the mean of the candidates loses at most .6 dB",
        source="abstract; bars ours",
        run=low_snr,
        verdict=all_of(
            *(at_least("accuracy, multimodal", f"accuracy, {arm}", 5.0) for arm in _RIVALS),
            *(at_most("KID, multimodal", f"70 % of the KID, {arm}") for arm in _RIVALS),
            *(at_least("PSNR, mean", f"PSNR, {arm}", -0.6) for arm in _RIVALS),
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
    Claim(
        id="semcom/true-picture-is-recognised",
        says="of the source picture and seven drawn ones at 20 dB, the source is kept in 95 % by image and by the "
        "default rule",
        source="ours",
        run=recognition,
        verdict=all_of(at_least("image", 0.95), at_least("multimodal", 0.95)),
        quick=Budget(1, 1),
        full=Budget(3, 5),
    ),
    Claim(
        id="semcom/swapped-captions-mislead-text-alone",
        says="of two pictures of different classes the text alone picks the one that was sent in 75 % with its own "
        "caption, and in 25 % with the other's (0 dB)",
        source="ours",
        run=swapped_captions,
        verdict=all_of(
            at_least("text, own caption", 0.75),
            at_most("text, swapped caption", 0.25),
        ),
        quick=Budget(1, 1),
        full=Budget(3, 5),
    ),
]
