"""One pass of a decoder trained against a critic, beside an unsharp mask of equal PSNR, in foreign features."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from ninefold_lab import Budget, all_of, at_most
from semcom.evaluation import psnr
from semcom.models import JsccCoder, JsccConfig
from semcom.multimodal import MMSemCom, unsharp
from semcom_experiments import foreign
from semcom_experiments.distance import kid
from semcom_experiments.kept import kept_model
from semcom_experiments.perceptual import PerceptualRecipe, drawn_by, train_perceptual

from . import _foreign
from ._common import claim, sized


def perceptual_distance(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """KID x 1000 by blocks of 32 test pictures in two kinds of features, and PSNR, at 0 dB; trained anew by seed."""
    small = {} if budget.form == "full" else {"steps": 2, "batch": 4}
    recipe = replace(PerceptualRecipe(seed=seed), **small)
    train = functools.partial(train_perceptual, recipe)
    coder = kept_model("perceptual", recipe.to_meta(), train, (JsccCoder, JsccConfig))
    shipped = MMSemCom.from_pretrained("mm-32").features.coder
    (choices, _), (data, others) = (
        _foreign._data(split, sized(budget, count, 36), sized(budget, rest, 80))
        for split, count, rest in (("validation", 160, 0), ("test", 320, 680))
    )
    pair = [drawn_by(one, choices.images, 0.0, seed) for one in (coder, shipped)]
    amount = _foreign.amount_of(pair[1], choices.images, float(psnr(pair[0], choices.images).mean()))
    drawn, coarse = (drawn_by(one, data.images, 0.0, seed) for one in (coder, shipped))
    arms = {
        "one perceptual pass": drawn,
        "unsharp mask of equal PSNR": unsharp(coarse, amount),
        "coarse picture": coarse,
    }
    scores = {f"PSNR, {arm}": psnr(images, data.images) for arm, images in arms.items()}
    blocks = max(1, len(data.images) // 32)
    for name, extract in zip(_foreign._NAMES, (foreign.imagenet_features(), foreign.gradient_histograms), strict=True):
        references = extract(others)
        known = foreign.scaled(references, references)
        for arm, images in arms.items():
            features = foreign.scaled(extract(images), references)
            distances = [1000 * kid(features[at::blocks], known) for at in range(blocks)]
            scores[f"KID in {name}, {arm}"] = np.array(distances)
        half = 0.5 * scores[f"KID in {name}, unsharp mask of equal PSNR"]
        scores[f"half of the unsharp mask's KID in {name}"] = half
    return scores


PERCEPTUAL_CLAIMS = [
    claim("one-perceptual-pass-is-nearer",
          "at 0 dB and equal symbols one pass of the coarse decoder, trained on against a critic, has at most half "
          "the KID of an unsharp mask of equal PSNR, in features that no training of ours saw",
          perceptual_distance,
          all_of(*(at_most(f"KID in {name}, one perceptual pass", f"half of the unsharp mask's KID in {name}")
                   for name in _foreign._NAMES)), seeds=3, minutes=2),
]  # fmt: skip
