"""Constellations and LLRs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ninefold.errors import InputError
from semcom.phy import MODULATIONS, Modulation, hard_bits, power


def points(name):
    """(all bit words (2^b, b), their symbols (2^b,)) of a constellation."""
    modulation = Modulation(name)
    words = np.array(list(itertools.product((0, 1), repeat=modulation.bits)), np.uint8)
    return words, modulation.modulate(words)[:, 0]


@pytest.mark.parametrize("name", MODULATIONS)
def test_mean_power_is_one_and_neighbours_differ_in_one_bit(name):
    words, symbols = points(name)
    assert power(symbols[None])[0] == pytest.approx(1, abs=1e-6)
    distances = np.abs(symbols[:, None] - symbols[None])
    np.fill_diagonal(distances, np.inf)
    near = distances < distances.min() * 1.001
    flips = (words[:, None] != words[None]).sum(axis=2)
    assert (flips[near] == 1).all()


def test_symbols_are_those_of_the_standard():
    assert Modulation("qpsk").modulate(np.array([[0, 1]]))[0, 0] == pytest.approx((1 - 1j) / np.sqrt(2), abs=1e-6)
    word = np.array([[1, 0, 0, 1]])  # TS 38.211, 5.1.4: I = -(2 - 1), Q = 2 + 1
    assert Modulation("16qam").modulate(word)[0, 0] == pytest.approx((-1 + 3j) / np.sqrt(10), abs=1e-6)
    word = np.array([[0, 0, 1, 0, 1, 1]])  # 5.1.5: I = 4 + (2 + 1), Q = 4 - (2 + 1)
    assert Modulation("64qam").modulate(word)[0, 0] == pytest.approx((7 + 1j) / np.sqrt(42), abs=1e-6)


@pytest.mark.parametrize("name", MODULATIONS)
def test_llrs_equal_the_sum_over_all_points(name, rng):
    words, symbols = points(name)
    received = (rng.standard_normal((1, 9)) + 1j * rng.standard_normal((1, 9))) * 0.7
    noise = 0.3
    llr = Modulation(name).llr(received, noise).reshape(9, -1)
    metric = -(np.abs(received[0][:, None] - symbols[None]) ** 2) / noise
    join = np.logaddexp.reduce
    for place in range(words.shape[1]):
        zero, one = metric[:, words[:, place] == 0], metric[:, words[:, place] == 1]
        np.testing.assert_allclose(llr[:, place], join(zero, axis=1) - join(one, axis=1), rtol=1e-4, atol=1e-4)


@given(st.sampled_from(MODULATIONS), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_bits_come_back_without_noise(name, count, seed):
    bits = np.random.default_rng(seed).integers(0, 2, (2, count), dtype=np.uint8)
    modulation = Modulation(name)
    symbols = modulation.modulate(bits)
    assert symbols.shape[1] == modulation.symbols_for(count)
    np.testing.assert_array_equal(hard_bits(modulation.llr(symbols, 1e-3))[:, :count], bits)


def test_llrs_stay_finite_without_noise_and_without_signal():
    for noise in (0.0, 1e12):
        assert np.isfinite(Modulation("256qam").llr(np.array([[0.1 + 2j, 1e6]]), noise)).all()


@pytest.mark.parametrize("bits", [[[0, 1, 2, 0]], [[0, -1]], [[0.5, 1]], [0, 1]])
@pytest.mark.parametrize("name", MODULATIONS)
def test_what_is_no_bit_is_refused(name, bits):
    with pytest.raises(InputError, match="bits"):
        Modulation(name).modulate(np.array(bits))


def test_unknown_modulation_is_refused_with_the_names():
    with pytest.raises(InputError, match="256qam"):
        Modulation("8psk")
