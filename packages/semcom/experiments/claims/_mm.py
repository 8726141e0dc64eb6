"""Experiments of the second system, and the statements with their bars, on the weights that the package brings."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from ninefold_lab import Budget, all_of, at_least, at_most
from semcom.datasets import Captioned, load, load_captioned
from semcom.evaluation import psnr
from semcom.links import carry
from semcom.models import Judge, load_judge
from semcom.multimodal import RULES, MMSemCom, RxPictures, TextOnly, choose, unsharp, without_text
from semcom.phy import Channel
from semcom_experiments.distance import kid
from semcom_experiments.kept import kept_rows
from semcom_experiments.linear import LinearLink

from ._common import claim, sized

_SNRS = (-5.0, 0.0, 5.0, 10.0)
_COARSE, _LINEAR = _RIVALS = ("coarse picture", "linear picture")
_LOW_ARMS = ("multimodal", *_RIVALS, "without text", "text only", "unsharp mask")


@functools.cache
def _parts(pictures: int) -> tuple[MMSemCom, Captioned, Judge, LinearLink]:
    """The link (drawn in bfloat16), test pictures, the judge, and the best linear link of as many symbols."""
    link = MMSemCom.from_pretrained("mm-32", sampler={"bfloat16": True})
    linear = LinearLink(load("cifar10", "train"), link.report.symbols)
    return link, load_captioned("cifar10", "test", pictures), load_judge("judge"), linear


def _received(
    link: MMSemCom, data: Captioned, captions: list[str] | None, snr: float, seed: int, count: int, rows: np.ndarray
) -> RxPictures:
    symbols = link.transmit(data.images, captions, snr).symbols
    received = Channel().apply(symbols, snr, np.random.default_rng([seed, int(rows[0])]))
    return link.receive(received, snr, num_candidates=count, select="first", seed=seed, rows=rows, truth=data.images)


def _pictures(pictures: int, seed: int, snr: float) -> dict[str, np.ndarray]:
    """What each arm draws of all pictures; every rule sees the same candidates."""
    link, data, _, linear = _parts(pictures)
    bare, text, found = without_text(link), TextOnly(link), {}
    for begin in range(0, len(data.images), 64):
        rows = np.arange(begin, min(begin + 64, len(data.images)))
        part, drawn = data.taken(rows), {}
        own = _received(link, part, part.captions, snr, seed, 8, rows)
        assert own.evidence is not None
        for rule in RULES:
            drawn[rule] = choose(own.evidence, rule, float(link.alpha_of(rule).at(np.array(snr))), seed, rows).images
        drawn["own coarse picture"] = own.coarse
        without = _received(bare, part, None, snr, seed, 8, rows)
        assert without.evidence is not None
        drawn["without text"] = choose(without.evidence, "image").images
        drawn[_COARSE], drawn["unsharp mask"] = without.coarse, unsharp(without.coarse)
        noise = np.random.default_rng([seed, begin])
        drawn[_LINEAR] = carry(linear, part.images, np.zeros((len(rows), 0), np.uint8), Channel(), snr, noise)[0].images
        heard = Channel().apply(text.send(part.captions), snr, np.random.default_rng([seed, begin]))
        drawn["text only"] = text.receive(heard, 8, seed, rows=rows)
        for name, images in drawn.items():
            found.setdefault(name, []).append(images)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _rows_at(pictures: int, seed: int, snr: float) -> dict[str, dict[str, list[float]]]:
    """Scores by arm at an SNR, once for all experiments of a seed."""

    def measured() -> dict[str, dict[str, list[float]]]:
        _, data, judge, _ = _parts(pictures)
        wanted, scores = judge.judge(data.images)[1], {}
        for name, images in _pictures(pictures, seed, snr).items():
            probability, features = judge.judge(images)
            scores[name] = {
                "psnr": psnr(images, data.images).tolist(),
                "right": (100.0 * (probability.argmax(axis=1) == data.labels)).tolist(),
                "kid": [1000 * kid(features[at::10], wanted) for at in range(10)] if len(images) >= 320 else [0.0],
            }
        return scores

    return kept_rows(SELECTION_CLAIMS[0], f"{pictures} pictures, seed {seed}, {snr:g} dB", measured)


def _mean(budget: Budget, seed: int, snrs: tuple[float, ...], key: str) -> dict[str, np.ndarray]:
    """A score of each arm by picture (KID: by block of pictures), averaged over SNRs."""
    found: dict[str, list[Any]] = {}
    for snr in snrs:
        for arm, one in _rows_at(sized(budget, 500, 40), seed, snr).items():
            found.setdefault(arm, []).append(one[key])
    return {arm: np.mean(values, axis=0) for arm, values in found.items()}


def selection(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """PSNR of each rule by picture, averaged over 0, 5 and 10 dB, and the share of the gap to the oracle."""
    scores = _mean(budget, seed, _SNRS[1:], "psnr")
    scores["random and a fifth of the gap"] = scores["random"] + (scores["oracle"] - scores["random"]) / 5
    return scores


def low_snr(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Judge accuracy in percent, KID by blocks of pictures, and PSNR of the mean, at -5 and 0 dB."""
    right, distance, quality = (_mean(budget, seed, _SNRS[:2], key) for key in ("right", "kid", "psnr"))
    scores = {f"accuracy, {arm}": right[arm] for arm in _LOW_ARMS}
    scores |= {f"KID, {arm}": distance[arm] for arm in _LOW_ARMS}
    scores |= {f"70 % of the KID, {arm}": 0.7 * distance[arm] for arm in _RIVALS}
    return scores | {f"PSNR, {arm}": quality[arm] for arm in ("mean", "own coarse picture", *_RIVALS, "unsharp mask")}


SELECTION_CLAIMS = [
    claim("multimodal-choice-beats-chance",
          "the candidate chosen by image and text is .08 dB above a random one at 0 to 10 dB, not .05 dB below "
          "either modality alone, and closes a fifth of the gap to the oracle",
          selection,
          all_of(at_least("multimodal", "random", 0.08), at_least("multimodal", "image", -0.05),
                 at_least("multimodal", "text", -0.05), at_least("multimodal", "random and a fifth of the gap")),
          source="abstract; bars ours", seeds=3, minutes=12),
    claim("generation-helps-at-low-snr",
          "at -5 and 0 dB and equal symbols the judge is 5 points more often right than on the coarse picture, "
          "ADJSCC's or the best linear one, KID is 30 % lower, and the mean of the candidates loses at most .6 dB",
          low_snr,
          all_of(*(at_least("accuracy, multimodal", f"accuracy, {arm}", 5.0) for arm in _RIVALS),
                 *(at_most("KID, multimodal", f"70 % of the KID, {arm}") for arm in _RIVALS),
                 *(at_least("PSNR, mean", f"PSNR, {arm}", -0.6) for arm in _RIVALS)),
          source="abstract; bars ours", seeds=3, minutes=12),
]  # fmt: skip
