"""Power, SNR and bit error rates against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ninefold.errors import InputError
from semcom.phy import (
    Channel,
    Modulation,
    bandwidth_ratio,
    bit_error_awgn,
    bit_error_rayleigh,
    ebn0_db,
    hard_bits,
    noise_variance,
    outage_rayleigh,
    power,
    reals_to_symbols,
    symbols_to_reals,
)


def test_variance_at_known_snrs():
    np.testing.assert_allclose(noise_variance(np.array([0.0, 10.0, -10.0])), [1, 0.1, 10])
    assert noise_variance(math.inf) == 0
    assert np.isfinite(noise_variance(-math.inf))
    with pytest.raises(InputError, match="SNR"):
        noise_variance(math.nan)


def test_energy_a_bit_of_rate_half_qpsk_is_that_of_a_symbol():
    assert ebn0_db(3.0, 2, 0.5) == pytest.approx(3.0)
    assert ebn0_db(3.0, 1) == pytest.approx(3.0)


def test_reals_of_unit_variance_are_symbols_of_unit_power(rng):
    reals = rng.standard_normal((3, 4000)).astype(np.float32)
    reals /= reals.std(axis=1, keepdims=True)
    reals -= reals.mean(axis=1, keepdims=True)
    symbols = reals_to_symbols(reals)
    np.testing.assert_allclose(power(symbols), 1, atol=1e-3)
    np.testing.assert_allclose(symbols_to_reals(symbols), reals, atol=1e-6)
    with pytest.raises(InputError, match="even"):
        reals_to_symbols(reals[:, :3])


def test_noise_has_half_its_variance_in_each_real_dimension(rng):
    received = Channel().distort(np.zeros((4, 50_000), np.complex64), 3.0, rng)
    expected = 10 ** (-0.3) / 2
    assert np.var(received.real) == pytest.approx(expected, rel=0.02)
    assert np.var(received.imag) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("name", "snr"), [("bpsk", 4.0), ("bpsk", 7.0), ("qpsk", 5.0), ("qpsk", 8.0)])
def test_bit_errors_in_awgn_are_within_three_sigma_of_the_formula(name, snr, rng):
    modulation = Modulation(name)
    bits = rng.integers(0, 2, (100, 4000), dtype=np.uint8)
    received = Channel().apply(modulation.modulate(bits), snr, rng)
    found = np.mean(hard_bits(modulation.llr(received.unbiased, received.noise)) != bits)
    expected = bit_error_awgn(10 ** (ebn0_db(snr, modulation.bits) / 10))
    assert abs(found - expected) < 3 * math.sqrt(expected * (1 - expected) / bits.size)


@pytest.mark.parametrize("snr", [0.0, 10.0])
def test_bit_errors_in_rayleigh_fading_follow_the_formula(snr, rng):
    modulation = Modulation("bpsk")
    bits = rng.integers(0, 2, (100, 4000), dtype=np.uint8)
    received = Channel.from_spec("rayleigh:symbol").apply(modulation.modulate(bits), snr, rng)
    found = np.mean(hard_bits(modulation.llr(received.unbiased, received.noise)) != bits)
    expected = bit_error_rayleigh(10 ** (snr / 10))
    assert abs(found - expected) < 3 * math.sqrt(expected * (1 - expected) / bits.size)


def test_outage_in_slow_fading_is_the_share_of_pictures_whose_capacity_is_too_small(rng):
    gains, _ = Channel.from_spec("rayleigh:image").gains(20_000, 8, rng)
    found = np.mean(np.log2(1 + np.abs(gains) ** 2 * 10**0.4) < 1)
    assert found == pytest.approx(outage_rayleigh(1.0, 4.0), abs=0.012)


def test_bandwidth_ratio_counts_complex_symbols():
    assert bandwidth_ratio(12_800, 3, 224, 224) == pytest.approx(0.085, abs=5e-4)
