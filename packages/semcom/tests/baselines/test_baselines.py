"""Rivals: fillings against independent solutions, codecs, and the table of arms."""

from __future__ import annotations

import numpy as np
import pytest
from semcom.baselines import (
    CODECS,
    BitsApart,
    Codec,
    JsccLink,
    SeparateLink,
    harmonic_fill,
    ideal_over,
    ideal_pictures,
    mean_fill,
    random_masks,
)
from semcom.carrier import CarrierImageLink, LinkConfig, MaskCodec
from semcom.datasets import load
from semcom.evaluation import ARMS, make_arm, measure_arm, psnr, tune_scheme
from semcom.links import carry
from semcom.models import load_jscc, load_mae
from semcom.phy import Channel, outage_rayleigh


@pytest.fixture(scope="module")
def pictures():
    return load("embedded")[:10]


@pytest.fixture(scope="module")
def models():
    return load_mae("mae-32p4"), load_jscc("adjscc-c8")


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


@pytest.mark.parametrize("name", CODECS)
def test_codecs_are_rebuilt_from_what_is_sent(name, pictures):
    codec, scores = Codec(name), []
    for most in (80, 200):
        data = [codec.encode(image, most) for image in pictures[:4]]
        assert all(one is None or len(one) <= most for one in data)
        scores.append(
            np.mean([psnr(codec.decode(d or b"", 32, 32)[None], p[None]) for d, p in zip(data, pictures, strict=False)])
        )
    assert scores[0] < scores[1]
    assert scores[1] > 19
    assert codec.encode(pictures[0], 3) is None
    flat = codec.decode(codec.encode(pictures[0], 5) or b"", 32, 32)  # no version fits
    np.testing.assert_allclose(flat, np.broadcast_to(pictures[0].mean((0, 1)), flat.shape), atol=0.51)
    assert codec.decode(b"\x10\x00\x09nonsense!", 32, 32).shape == (32, 32, 3)
    assert (codec.decode(b"\x10", 32, 32) == 128).all()


def test_jpeg_scan_is_much_smaller_than_its_file(pictures):
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pictures[0]).save(buffer, "JPEG", quality=1)
    assert len(buffer.getvalue()) > 300
    assert len(Codec("jpeg").encode(pictures[0], 300) or b"") > 100
    assert Codec("jpeg").encode(pictures[0], 60) is not None


def test_jpeg_scan_ends_by_itself_whatever_follows_and_may_be_kept_at_whole_size(pictures):
    codec = Codec("jpeg")
    for picture in pictures:
        half, whole = codec.encode(picture, 60), codec.encode(picture, 60, whole_size=True)
        assert half is not None
        drawn = codec.decode(half, 32, 32)
        np.testing.assert_array_equal(codec.decode(half.ljust(90, b"\0"), 32, 32), drawn)
        if whole is not None:
            assert not whole[0] >> 7
            assert psnr(drawn[None], picture[None])[0] >= psnr(codec.decode(whole, 32, 32)[None], picture[None])[0]
    assert (codec.decode(bytes(60), 32, 32) == 128).all()  # nothing fitted


def test_separate_coding_is_grey_after_an_error_and_bounded_by_an_ideal_code(pictures):
    link = SeparateLink("jpeg", 256, 0)
    empty = np.zeros((10, 0), np.uint8)
    good, report = carry(link, pictures, empty, Channel(), 6.0, np.random.default_rng(0))
    assert report.symbols == 256
    bad, _ = carry(link, pictures, empty, Channel(), -3.0, np.random.default_rng(0))
    assert (bad.images == 128).all()
    ideal = psnr(ideal_pictures("jpeg", pictures, 256, 6.0), pictures).mean()
    assert psnr(bad.images, pictures).mean() < psnr(good.images, pictures).mean() < ideal
    assert tune_scheme("jpeg", 256, Channel(), 12.0, pictures[:3]) != ("qpsk", "ldpc:1/3")


def test_ideal_code_is_grey_in_outage_as_often_as_the_closed_form_says(pictures):
    many = np.repeat(pictures[:2], 400, axis=0)
    _, whole = ideal_over("jpeg", many, 64, Channel.from_spec("rayleigh:image"), 10.0, 0.5, np.random.default_rng(0))
    rate = 0.5 * np.log2(11)
    assert 1 - whole.mean() == pytest.approx(outage_rayleigh(rate, 10.0), abs=0.04)
    images, whole = ideal_over("jpeg", pictures, 256, Channel(), 6.0, 1.0, np.random.default_rng(0))
    assert whole.all()
    np.testing.assert_array_equal(images, ideal_pictures("jpeg", pictures, 256, 6.0))


def test_bits_apart_take_the_same_symbols_and_arrive(models, pictures):
    own, apart = CarrierImageLink(models[0]), BitsApart(models[0])
    assert own.report == apart.report
    found = measure_arm(apart, pictures, Channel(), 8.0, 0)
    assert found["ok"] == 1
    assert found["ber"] == 0


def test_bits_beside_a_coder_survive(models, pictures):
    beside = measure_arm(JsccLink(models[1], 48, repeats=2), pictures, Channel(), 10.0, 0)
    assert beside["ber"] == 0
    assert beside["psnr"].mean() > 20


def test_more_repeats_draw_better(models, pictures):
    once, often = (
        measure_arm(JsccLink(models[1], 0, repeats=n), pictures, Channel(), 0.0, 0)["psnr"].mean() for n in (1, 4)
    )
    assert often > once + 1


@pytest.mark.parametrize("name", ARMS)
def test_each_arm_has_the_interface_and_no_more_symbols_than_the_method(name, models, pictures):
    config = LinkConfig()
    arm, own = make_arm(name, *models, config), CarrierImageLink(models[0], config).report
    found = measure_arm(arm, pictures, Channel.from_spec("rayleigh:block=64"), 12.0, 1)
    assert found["report"]["payload_bits"] == own.payload_bits
    assert found["report"]["energy"] <= 1.1
    if name != "dense tokens":
        assert found["report"]["symbols"] <= own.symbols
    assert found["psnr"].shape == (10,)
    assert found["psnr"].mean() > 8
