"""Rivals of the published form: fillings against independent solutions, bits sent apart at equal symbols."""

from __future__ import annotations

import numpy as np
import pytest
from semcom.datasets import load
from semcom.evaluation import psnr
from semcom.links import carry
from semcom.models import load_mae
from semcom.paper import (
    CarrierImageLink,
    Harmonic,
    LinkConfig,
    MaskCodec,
    MeanFill,
    harmonic_fill,
    mean_fill,
)
from semcom.phy import Channel
from semcom_experiments.apart import BitsApart, random_masks


@pytest.fixture(scope="module")
def pictures():
    return load("embedded")[:10]


@pytest.fixture(scope="module")
def model():
    return load_mae("mae-32p4")


def test_harmonic_filling_is_what_repeated_averaging_gives(pictures, rng):
    masks = MaskCodec(64, 0.5).encode(rng.integers(0, 2, (1, 60)))
    filled = harmonic_fill(pictures[:1], masks, 4)[0].astype(float)
    hidden = masks.reshape(8, 8).repeat(4, 0).repeat(4, 1)
    field = np.where(hidden[..., None], 128.0, pictures[0])
    weight = np.pad(np.ones((32, 32)), 1)
    count = weight[:-2, 1:-1] + weight[2:, 1:-1] + weight[1:-1, :-2] + weight[1:-1, 2:]
    for _ in range(3000):
        p = np.pad(field, ((1, 1), (1, 1), (0, 0)))
        mean = (p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:]) / count[..., None]
        field = np.where(hidden[..., None], mean, pictures[0])
    np.testing.assert_allclose(filled, field, atol=0.6)


def test_fillings_keep_what_was_received_and_need_no_masked_pixel(pictures, rng):
    masks = MaskCodec(64, 0.75).encode(rng.integers(0, 2, (10, 48)))
    hidden = masks.reshape(-1, 8, 8).repeat(4, 1).repeat(4, 2)
    other = pictures.copy()
    other[hidden] = 255 - other[hidden]
    for fill in (mean_fill, harmonic_fill):
        filled = fill(pictures, masks, 4)
        np.testing.assert_array_equal(filled, fill(other, masks, 4))
        np.testing.assert_array_equal(filled[~hidden], pictures[~hidden])
    assert (
        psnr(harmonic_fill(pictures, masks, 4), pictures).mean() > psnr(mean_fill(pictures, masks, 4), pictures).mean()
    )


def test_random_masks_have_the_weight_and_no_favourites():
    masks = random_masks(MaskCodec(64, 0.75), np.arange(4000))
    assert ((~masks).sum(axis=1) == 16).all()
    rates = (~masks).mean(axis=0)
    assert 0.22 < rates.min() < rates.max() < 0.28


@pytest.mark.parametrize("kind", [BitsApart, Harmonic, MeanFill])
def test_rivals_take_the_same_symbols_and_their_bits_arrive(kind, model, pictures, rng):
    own, rival = CarrierImageLink(model), kind(model)
    assert own.report == rival.report
    bits = rng.integers(0, 2, (10, 48), dtype=np.uint8)
    delivered, report = carry(rival, pictures, bits, Channel.from_spec("rayleigh:block=64"), 20.0, rng)
    assert delivered.ok.all()
    np.testing.assert_array_equal(delivered.bits, bits)
    assert report.energy <= 1.1
    assert psnr(delivered.images, pictures).mean() > 8


def test_dense_tokens_are_three_times_as_many(model):
    dense = CarrierImageLink(model, LinkConfig(sparse="dense", tap="decoder_embed"))
    assert CarrierImageLink(model).report.symbols <= 0.3 * dense.report.symbols
