"""The best linear link against its optimum, by other means."""

from __future__ import annotations

import numpy as np
import pytest
from ninefold.errors import InputError
from scipy.optimize import minimize
from semcom.baselines import powers
from semcom.evaluation import psnr
from semcom.links import carry
from semcom.phy import Channel, power
from semcom_experiments.linear import LinearLink


def gaussian_pictures(count: int, seed: int) -> np.ndarray:
    """Gaussian pictures with 64 directions of falling variance."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(np.random.default_rng(99).normal(size=(192, 64)))[0]
    values = rng.normal(size=(count, 64)) * (200 / np.arange(1, 65) ** 0.5) @ directions.T
    return np.clip(values + 128, 0, 255).round().astype(np.uint8).reshape(count, 8, 8, 3)


def sent(link: LinearLink, images: np.ndarray, snr_db: float, seed: int = 0) -> np.ndarray:
    nothing = np.zeros((len(images), 0), np.uint8)
    return carry(link, images, nothing, Channel(), snr_db, np.random.default_rng(seed))[0].images


@pytest.mark.parametrize("noise", [0.01, 0.3, 5.0])
def test_powers_are_what_an_optimiser_finds(noise):
    variances, total = np.array([9.0, 4.0, 1.0, 0.2, 0.01]), 5.0

    def error(logs: np.ndarray) -> float:
        share = np.exp(logs) / np.exp(logs).sum() * total
        return float((variances * noise / (share + noise)).sum())

    found = powers(variances, total, noise)
    best = min((minimize(error, start, method="Nelder-Mead", options={"maxiter": 20_000, "fatol": 1e-12})
                for start in (np.zeros(5), np.log(found + 1e-3))), key=lambda one: one.fun)  # fmt: skip
    assert found.sum() == pytest.approx(total)
    assert (variances * noise / (found + noise)).sum() <= best.fun + 1e-6


def test_power_is_one_in_each_picture_and_pictures_come_back_without_noise():
    link, images = LinearLink(gaussian_pictures(400, 0), 16), gaussian_pictures(50, 1)
    symbols = link.send(images, np.zeros((50, 0), np.uint8), 60.0)
    assert symbols.shape == (50, 16)
    assert np.allclose(power(symbols), 1, atol=1e-5)
    assert psnr(sent(link, images, 60.0), images).mean() > 22  # 31 of 64 directions
    assert np.allclose(sent(LinearLink(gaussian_pictures(400, 0), 24).of(16), images, 10.0), sent(link, images, 10.0))


def test_error_is_nearly_that_of_the_optimum():
    """Mean squared error beside the formula for Gaussian components whose scale costs nothing."""
    link, images = LinearLink(gaussian_pictures(4000, 0), 32), gaussian_pictures(2000, 1)
    got = ((sent(link, images, 10.0) / 255.0 - images / 255.0) ** 2).sum(axis=(1, 2, 3)).mean()
    share = powers(link.variances, 64.0, 0.1)
    assert got < 1.2 * (link.variances * 0.1 / (share + 0.1)).sum() + 192 / 12 / 255**2


def test_deep_noise_gives_the_mean_picture_and_too_few_symbols_are_refused():
    training = gaussian_pictures(100, 0)
    drawn = sent(LinearLink(training, 16), training[:20], -40.0)
    assert psnr(drawn, np.broadcast_to(training.mean(axis=0).round().astype(np.uint8), drawn.shape)).mean() > 20
    with pytest.raises(InputError, match="at least 4"):
        LinearLink(training, 3)
