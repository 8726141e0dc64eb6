"""The second system against an unsharp mask of equal PSNR, in features that no training of ours saw."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from ninefold_lab import Budget, all_of, at_most
from semcom.datasets import Captioned, load_captioned
from semcom.datasets._sets import spread
from semcom.evaluation import psnr
from semcom.multimodal import MMSemCom, unsharp, without_text
from semcom.phy import Channel
from semcom_experiments import foreign
from semcom_experiments.distance import kid
from semcom_experiments.kept import kept_rows

from ._common import claim, sized

_SNR = 0.0
_LEAST = 32  # pictures of a block
_NAMES = ("ImageNet features", "gradient histograms")


@functools.cache
def _link() -> MMSemCom:
    return MMSemCom.from_pretrained("mm-32", sampler={"bfloat16": True})


@functools.cache
def _data(split: str, pictures: int, references: int) -> tuple[Captioned, np.ndarray]:
    """Pictures to send, and at most so many of the other ones of the split."""
    whole = load_captioned("cifar10", split)
    sent = spread(len(whole.images), pictures)
    others = np.delete(whole.images, sent, axis=0)
    return whole.taken(sent), others[spread(len(others), references)]


def _received(data: Captioned, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What multimodal generation and selection draws of eight candidates, and the coarse picture of as many symbols."""
    link, drawn, coarse = _link(), [], []
    bare = without_text(link)
    for begin in range(0, len(data.images), 64):
        rows = np.arange(begin, min(begin + 64, len(data.images)))
        part = data.taken(rows)
        noise = [np.random.default_rng([seed, begin]) for _ in range(2)]
        own = Channel().apply(link.transmit(part.images, part.captions, _SNR).symbols, _SNR, noise[0])
        drawn.append(link.receive(own, _SNR, num_candidates=8, select="multimodal", seed=seed, rows=rows).images)
        without = Channel().apply(bare.transmit(part.images, None, _SNR).symbols, _SNR, noise[1])
        coarse.append(bare.receive(without, _SNR, num_candidates=0).coarse)
    return np.concatenate(drawn), np.concatenate(coarse)


def amount_of(coarse: np.ndarray, wanted: np.ndarray, quality: float) -> float:
    """The amount of the unsharp mask at which the mean PSNR of coarse pictures falls to `quality`, by halving."""
    low, high = 0.0, 8.0
    for _ in range(12):
        middle = (low + high) / 2
        if psnr(unsharp(coarse, middle), wanted).mean() >= quality:
            low = middle
        else:
            high = middle
    return low


def _amount(form: str, pictures: int) -> float:
    """That amount on validation pictures, for the PSNR that generation and selection has there."""

    def measured() -> float:
        data, _ = _data("validation", pictures, 0)
        drawn, coarse = _received(data, 1000)
        return amount_of(coarse, data.images, float(psnr(drawn, data.images).mean()))

    return kept_rows(FOREIGN_CLAIMS[0], f"amount, {form}", measured)


def foreign_distance(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """KID x 1000 by blocks of 32 pictures in two kinds of features, and PSNR of each picture, at 0 dB."""
    extractors = dict(zip(_NAMES, (foreign.imagenet_features(), foreign.gradient_histograms), strict=True))
    pictures = sized(budget, 320, 36)
    amount = _amount(budget.form, sized(budget, 160, 36))
    data, others = _data("test", pictures, sized(budget, 680, 80))
    drawn, coarse = _received(data, seed)
    arms = {"multimodal": drawn, "unsharp mask of equal PSNR": unsharp(coarse, amount), "coarse picture": coarse,
            "sources": data.images}  # fmt: skip
    scores = {f"PSNR, {arm}": psnr(images, data.images) for arm, images in arms.items() if arm != "sources"}
    blocks = max(1, pictures // _LEAST)
    for name, extract in extractors.items():
        references = extract(others)
        wanted = foreign.scaled(references, references)
        for arm, images in arms.items():
            features = foreign.scaled(extract(images), references)
            distances = [1000 * kid(features[at::blocks], wanted) for at in range(blocks)]
            scores[f"KID in {name}, {arm}"] = np.array(distances)
        half = 0.5 * scores[f"KID in {name}, unsharp mask of equal PSNR"]
        scores[f"half of the unsharp mask's KID in {name}"] = half
    return scores


FOREIGN_CLAIMS = [
    claim("generation-is-nearer-in-foreign-features",
          "at 0 dB and equal symbols the candidate chosen by image and text has at most half the KID of an unsharp "
          "mask of equal PSNR on the coarse picture, in features that no training of ours saw: those of a network "
          "trained on ImageNet, and histograms of gradients",
          foreign_distance,
          all_of(*(at_most(f"KID in {name}, multimodal", f"half of the unsharp mask's KID in {name}")
                   for name in _NAMES)), seeds=3, minutes=2),
]  # fmt: skip
