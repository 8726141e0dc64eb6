"""Channels: statistics, estimates, accounting, deep fades, speed of the specification's parser."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ninefold.errors import InputError
from semcom.phy import Channel, Modulation, PilotPattern, complex_noise

SPECS = ["awgn", "rayleigh:image", "rayleigh:block=50,csi=pilot", "rayleigh:symbol", "rician:block=64,k=3", "ofdm"]
SPECS += ["tdl-a:csi=pilot", "tdl-c:csi=pilot,spread=1", "mimo:block=8,csi=pilot", "mimo:detector=zf"]
SPECS += ["ofdm:csi=pilot,pilots=1", "erasure:p=0.2", "bsc:p=0.05", "rayleigh:block=64,csi=none"]


@pytest.fixture
def symbols(rng):
    return complex_noise((6, 1000), rng)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("snr", [math.inf, 5.0, -math.inf])
def test_output_is_finite_at_any_snr(spec, snr, symbols):
    received = Channel.from_spec(spec).apply(symbols, snr, np.random.default_rng(0))
    assert received.symbols.shape == symbols.shape
    assert np.isfinite(received.symbols).all()
    assert np.isfinite(received.unbiased).all()
    assert np.isfinite(received.noise).all()
    assert (received.noise >= 0).all()


@pytest.mark.parametrize("spec", SPECS)
def test_seed_decides_all_and_global_state_is_untouched(spec, symbols):
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    one, two, other = (
        Channel.from_spec(spec).apply(symbols, 5.0, np.random.default_rng(seed)).symbols for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize(
    "spec", ["awgn", "rayleigh:image", "rayleigh:block=50", "rayleigh:symbol", "rician:k=2", "ofdm"]
)
def test_symbols_return_exactly_without_noise_and_with_perfect_knowledge(spec, symbols):
    received = Channel.from_spec(spec).apply(symbols, math.inf, np.random.default_rng(0))
    np.testing.assert_allclose(received.symbols, symbols, atol=2e-3)


@pytest.mark.parametrize("spec", ["awgn", "rayleigh:block=50", "rayleigh:symbol", "rician:k=2,block=10", "ofdm"])
def test_reported_noise_is_the_error_of_the_unbiased_symbols(spec, rng):
    symbols = complex_noise((200, 640), rng)
    received = Channel.from_spec(spec).apply(symbols, 8.0, rng)
    error = np.abs(received.unbiased - symbols) ** 2
    noise = np.broadcast_to(received.noise, error.shape)
    usual = noise < 3
    assert np.mean(error[usual] / noise[usual]) == pytest.approx(1, abs=0.02)


def test_estimates_from_pilots_report_their_own_error(rng):
    symbols = complex_noise((400, 500), rng)
    received = Channel.from_spec("rayleigh:block=50,csi=pilot,pilots=2").apply(symbols, 8.0, rng)
    error, noise = np.abs(received.unbiased - symbols) ** 2, np.broadcast_to(received.noise, symbols.shape)
    usual = noise < 0.3
    assert np.mean(error[usual] / noise[usual]) == pytest.approx(1, abs=0.1)


def test_gains_have_unit_power_and_share_a_block(rng):
    gains, span = Channel.from_spec("rician:k=4,block=10").gains(20_000, 25, rng)
    assert (gains.shape, span) == ((20_000, 3), 10)
    assert np.mean(np.abs(gains) ** 2) == pytest.approx(1, abs=0.01)
    assert np.mean(gains) == pytest.approx(math.sqrt(0.8), abs=0.01)


def test_lmmse_beats_least_squares_beats_no_knowledge(rng):
    symbols = complex_noise((300, 640), rng)
    error = {}
    for name in ("perfect", "pilot,estimator=lmmse", "pilot,estimator=ls", "none"):
        channel = Channel.from_spec(f"rayleigh:block=64,pilots=1,csi={name}")
        received = channel.apply(symbols, 3.0, np.random.default_rng(5)).symbols
        error[name] = np.mean(np.abs(received - symbols) ** 2)
    assert list(error) == sorted(error, key=lambda name: error[name])


def test_pilots_prefixes_and_filling_are_counted():
    assert Channel.from_spec("awgn").overhead(100) == 0
    assert Channel.from_spec("rayleigh:image,csi=pilot,pilots=3").overhead(100) == 3
    assert Channel.from_spec("rayleigh:block=30,csi=pilot,pilots=3").overhead(100) == 12
    assert Channel.from_spec("rayleigh:block=30").overhead(100) == 0
    assert Channel.from_spec("ofdm").overhead(100) == 2 * 80 - 100
    assert Channel.from_spec("ofdm:csi=pilot,pilots=1").overhead(100) == 3 * 80 - 100


def test_bits_survive_erasures_as_unknown_and_flips_as_flips(rng):
    bits = rng.integers(0, 2, (10, 2000), dtype=np.uint8)
    modulation = Modulation("qpsk")
    received = Channel.from_spec("erasure:p=0.25").apply(modulation.modulate(bits), math.inf, rng)
    llr = modulation.llr(received.unbiased, received.noise)
    assert np.mean(np.abs(llr) < 1e-3) == pytest.approx(0.25, abs=0.02)
    received = Channel.from_spec("bsc:p=0.1").apply(modulation.modulate(bits), 9.0, rng)
    llr = modulation.llr(received.unbiased, received.noise)
    assert np.mean((llr < 0) != bits) == pytest.approx(0.1, abs=0.01)
    np.testing.assert_allclose(np.abs(llr), math.log(9), rtol=1e-3)


def test_pilots_in_a_stream_give_the_gain_back(rng):
    pattern = PilotPattern(block=50, count=2)
    data = complex_noise((50, 400), rng)
    sent = pattern.insert(data)
    assert sent.shape[1] == pattern.length(400) == 416
    raw = Channel.from_spec("rayleigh:block=52").distort(sent, 12.0, rng)
    received = pattern.equalise(raw, 400, None)
    same = Channel.from_spec("rayleigh:block=50,csi=pilot,pilots=2").apply(data, 12.0, rng)
    errors = [np.mean(np.abs(one.symbols - data) ** 2) for one in (received, same)]
    assert errors[0] == pytest.approx(errors[1], rel=0.15)
    plain = PilotPattern().equalise(Channel().distort(data, 12.0, rng), 400, None)
    assert plain.noise.mean() == pytest.approx(10**-1.2, rel=0.2)


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("laser", "kind"),
        ("awgn:power=3", "power=3"),
        ("rayleigh:block=x", "block"),
        ("rayleigh:block=0", "block"),
        ("rayleigh:symbol,csi=pilot", "csi"),
        ("rayleigh:csi=maybe", "csi"),
        ("ofdm:taps=40", "taps"),
        ("bsc:p=2", "p"),
        ("ofdm:decay=nan", "decay"),
    ],
)
def test_bad_specification_is_named(spec, named):
    with pytest.raises(InputError, match=named):
        Channel.from_spec(spec)


def test_numbers_of_snrs_that_do_not_fit_the_rows_are_refused(symbols, rng):
    with pytest.raises(InputError, match="SNR: got 2 values, expected one, or one for each of 6 rows"):
        Channel().apply(symbols, np.array([1.0, 2.0]), rng)


def test_a_recording_takes_no_pilots_of_a_channel(symbols, rng):
    with pytest.raises(InputError, match=r"csi: got pilot.*--pilots"):
        Channel.from_spec("rayleigh:block=64,csi=pilot").distort(symbols, 5.0, rng)


def test_symbols_that_are_not_finite_are_named_by_row(symbols, rng):
    symbols[3, 7] = np.nan
    with pytest.raises(InputError, match="row 3"):
        Channel().apply(symbols, 5.0, rng)
