"""Metrics against independent formulas."""

from __future__ import annotations

import numpy as np
import pytest
from ninefold.errors import InputError
from semcom.evaluation import psnr, ssim
from semcom.phy import error_interval, parse_range


def test_psnr_is_the_mean_of_each_pictures_decibels():
    black, grey = np.zeros((2, 8, 8, 3), np.uint8), np.full((2, 8, 8, 3), 51, np.uint8)
    grey[1] = 255
    np.testing.assert_allclose(psnr(black, grey), [20 * np.log10(5), 0], atol=1e-6)
    assert psnr(black, black)[0] == 100
    with pytest.raises(InputError, match="shapes"):
        psnr(black, grey[:1])


def test_similarity_is_one_for_equal_pictures_and_falls_with_noise(rng):
    smooth = np.cumsum(rng.normal(0, 3, (2, 176, 176, 3)), axis=2)
    images = np.clip(128 + smooth, 0, 255).astype(np.uint8)
    little = np.clip(images + rng.normal(0, 5, images.shape), 0, 255).astype(np.uint8)
    much = np.clip(images + rng.normal(0, 40, images.shape), 0, 255).astype(np.uint8)
    np.testing.assert_allclose(ssim(images, images), 1, atol=1e-9)
    assert (ssim(images, images) > ssim(little, images)).all()
    assert (ssim(little, images) > ssim(much, images)).all()


def test_similarity_equals_a_direct_sum_over_windows(rng):
    a, b = rng.integers(0, 256, (2, 1, 13, 12, 3), dtype=np.uint8)
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weight = np.outer(window, window) / window.sum() ** 2
    values = []
    for c in range(3):
        for y in range(3):
            for x in range(2):
                p, q = (one[0, y : y + 11, x : x + 11, c].astype(float) for one in (a, b))
                mp, mq = (weight * p).sum(), (weight * q).sum()
                vp, vq, vpq = (
                    (weight * p * p).sum() - mp**2,
                    (weight * q * q).sum() - mq**2,
                    (weight * p * q).sum() - mp * mq,
                )
                values.append(
                    (2 * mp * mq + 6.5025) * (2 * vpq + 58.5225) / ((mp**2 + mq**2 + 6.5025) * (vp + vq + 58.5225))
                )
    assert ssim(a, b)[0] == pytest.approx(np.mean(values), abs=1e-9)


def test_pictures_too_small_for_the_window_are_refused_with_numbers():
    small = np.zeros((1, 10, 16, 3), np.uint8)
    with pytest.raises(InputError, match="10 pixels, expected at least 11"):
        ssim(small, small)


def test_intervals_of_error_rates():
    low, high = error_interval(0, 1000)
    assert low == 0
    assert high == pytest.approx(0.0036821, abs=1e-6)  # 1 - .025 ** (1 / 1000)
    assert error_interval(1000, 1000)[1] == 1
    low, high = error_interval(50, 100)
    assert low == pytest.approx(1 - high)
    with pytest.raises(InputError, match="errors"):
        error_interval(3, 2)


def test_ranges_hold_both_ends():
    assert parse_range("-5:20:5") == [-5, 0, 5, 10, 15, 20]
    assert parse_range("0:0.3:0.1") == [0, 0.1, 0.2, 0.3]
    assert parse_range("1,4,7") == [1, 4, 7]
    assert parse_range("5, 5,1") == [5, 1]  # a point that is given twice is measured once
    for text in ("a", "1:2", "1:0:1", "0:1:0", "nan", "1,nan", "nan:1:1", "0:inf:1", "0:1:1e-6", "5dB", "1,,2", ""):
        with pytest.raises(InputError, match="range"):
            parse_range(text)
