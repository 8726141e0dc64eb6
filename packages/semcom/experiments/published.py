"""What the claims on the published carrier share: the shipped autoencoder, test pictures, links and fillings."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from ninefold_lab import Budget
from semcom.datasets import load
from semcom.evaluation import psnr
from semcom.links import PictureLink, carry
from semcom.models import SmallMae, load_mae
from semcom.paper import CarrierImageLink, Harmonic, LinkConfig, MeanFill
from semcom.phy import Channel
from semcom_experiments.apart import BitsApart

SNR = 5.0  # dB, where a claim names none


@functools.cache
def mae() -> SmallMae:
    """The shipped masked autoencoder."""
    return load_mae("mae-32p4")  # type: ignore[return-value]


@functools.cache
def test_pictures(count: int) -> np.ndarray:
    """Test pictures of CIFAR-10, evenly over the classes: (count, 32, 32, 3)."""
    return load("cifar10", "test", count)


def pictures_of(budget: Budget, full: int = 250, quick: int = 40) -> np.ndarray:
    """So many test pictures as the form has."""
    return test_pictures(full if budget.form == "full" else quick)


def scored(link: PictureLink, pictures: np.ndarray, snr: float, seed: int) -> np.ndarray:
    """PSNR of each picture over AWGN, with random payload bits of the seed."""
    bits = np.random.default_rng([seed, 0]).integers(0, 2, (len(pictures), link.report.payload_bits), dtype=np.uint8)
    delivered, _ = carry(link, pictures, bits, Channel(), snr, np.random.default_rng([seed, 1]))
    return psnr(delivered.images, pictures)


def links_at(ratio: float, key: int | str = 0) -> dict[str, Any]:
    """The carrier link and the fillings in its place, at a mask ratio; the key decides pseudo-random masks."""
    config = LinkConfig(mask_ratio=ratio)
    kinds = (CarrierImageLink, BitsApart, Harmonic, MeanFill)
    return {kind.name: kind(mae(), config, key=key) for kind in kinds}
