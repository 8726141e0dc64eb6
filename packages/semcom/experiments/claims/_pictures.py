"""Experiments on the received picture: fillings, payload against random masks, bits sent apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ninefold_lab import Budget
from semcom.evaluation import psnr
from semcom.paper import (
    MaskCodec,
    TokenCoder,
    harmonic_fill,
)
from semcom_experiments.apart import random_masks
from semcom_experiments.published import SNR, links_at, mae, pictures_of, scored


def fillings(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """PSNR of the autoencoder and of fillings on the same received kept patches, at mask ratios .75 and .9."""
    pictures, scores = pictures_of(budget), {}
    for ratio in (0.75, 0.9):
        links = links_at(ratio)
        for name in ("carrier", "harmonic inpainting", "mean fill"):
            scores[f"{name}, r = {ratio}"] = scored(links[name], pictures, SNR, seed)
        masks = random_masks(links["carrier"].codec, np.arange(len(pictures)) + 1000 * seed)
        filled = harmonic_fill(pictures, masks, mae().patch_size)
        scores[f"harmonic inpainting of true kept pixels, r = {ratio}"] = psnr(filled, pictures)
    return scores


def _bits_of(kind: str, rows: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Payload bits (rows, count) of a kind."""
    if kind == "random":
        return rng.integers(0, 2, (rows, count), dtype=np.uint8)
    if kind == "zeros":
        return np.zeros((rows, count), np.uint8)
    if kind == "text":
        text = b"Whoever sends telemetry, keys or control bits beside a picture gets the bytes back with a checksum. "
        stream = np.unpackbits(np.frombuffer(text, np.uint8))
    else:
        stream = np.unpackbits(np.array([0x55, 0x0F], np.uint8))
    return np.resize(stream, rows * count).reshape(rows, count)


def payload_masks(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """Mean PSNR of each picture over masks made by payloads of four kinds, by chance, and by zeros without scrambler.

    No noise: the mask alone differs.
    """
    pictures = pictures_of(budget, 150, 20)
    masks_each = 12 if budget.form == "full" else 4
    coder, codec = TokenCoder(mae()), MaskCodec(64, 0.75, scramble_key=f"claim {seed}")
    rng, rows = np.random.default_rng(seed), np.arange(len(pictures))
    plain = MaskCodec(64, 0.75, scramble_key=None)
    scores: dict[str, np.ndarray] = {}
    for kind in ("random mask", "random", "zeros", "text", "periodic", "zeros without scrambler"):
        found = []
        for turn in range(masks_each):
            index = turn * len(pictures) + rows
            if kind == "random mask":
                masks = random_masks(MaskCodec(64, 0.75, scramble_key=f"chance {seed}"), index)
            elif kind == "zeros without scrambler":
                masks = plain.encode(_bits_of("zeros", len(rows), 48, rng))
            else:
                masks = codec.encode(_bits_of(kind, len(rows), 48, rng), index)
            tokens, gains = coder.encode(pictures, masks, 17)
            found.append(psnr(coder.decode(tokens, masks, gains), pictures))
            if kind == "zeros without scrambler":  # always the same mask
                break
        scores[kind] = np.mean(found, axis=0)
    return scores


def apart(budget: Budget, seed: int) -> Mapping[str, np.ndarray]:
    """PSNR of the carrier link and of the same bits sent apart beside a pseudo-random mask, at equal symbols."""
    pictures = pictures_of(budget)
    found: dict[str, list[np.ndarray]] = {"carrier": [], "bits sent apart": []}
    for turn in range(4 if budget.form == "full" else 1):
        links = links_at(0.75, key=f"{seed}, {turn}")  # other masks each time, in both arms
        for name, scores in found.items():
            scores.append(scored(links[name], pictures, SNR, 10 * seed + turn))
    return {name: np.mean(scores, axis=0) for name, scores in found.items()}
