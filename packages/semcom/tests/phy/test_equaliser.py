"""What radios add: a constant, an echo, a carrier that drifts. Taken out, reported, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from semcom.baselines import BlockDct
from semcom.carrier import BesideLink
from semcom.phy import Received, Waveform, complex_noise, noise_variance


def heard(symbols, rng, *, snr_db=12.0, dc=0.0, echo_db=None, delay=4, offset=0.003, drift=0.0):
    """Recorded samples: an echo `delay` samples late, a carrier whose offset changes by `drift`, a constant by rms."""
    samples = Waveform().modulate(symbols)
    if echo_db is not None:
        late = np.concatenate([np.zeros(delay), samples[:-delay]])
        samples = samples + 10 ** (echo_db / 20) * np.exp(2j * np.pi * rng.uniform()) * late
    at = np.arange(len(samples))
    samples = samples * np.exp(2j * np.pi * (offset * at + drift * at**2 / (2 * len(at)) + rng.uniform()))
    rms = np.sqrt(np.mean(np.abs(samples) ** 2))
    samples = np.concatenate([np.zeros(rng.integers(1, 3000)), samples, np.zeros(rng.integers(100, 900))])
    noise = np.sqrt(noise_variance(snr_db)) * complex_noise((1, len(samples)), rng)[0]
    return samples + noise + dc * rms * np.exp(2j * np.pi * rng.uniform())


def snr_of(found, symbols):
    gain = np.vdot(symbols, found) / np.vdot(symbols, symbols)
    return float(10 * np.log10(np.abs(gain) ** 2 / np.mean(np.abs(found - gain * symbols) ** 2)))


@pytest.mark.parametrize("dc", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("offset", [0.0, 0.003, -0.02])
def test_a_constant_costs_less_than_half_a_decibel(dc, offset):
    rng = np.random.default_rng(3)
    symbols, waveform = complex_noise((1, 6000), rng)[0], Waveform()
    clean = waveform.receive(heard(symbols, rng, offset=offset), 6000)
    found = waveform.receive(heard(symbols, rng, dc=dc, offset=offset), 6000)
    assert snr_of(found.symbols, symbols) > snr_of(clean.symbols, symbols) - 0.5
    assert found.dc == pytest.approx(dc / np.sqrt(1 + noise_variance(12.0) * 4), rel=0.35)
    assert "DC offset" in found.corrected
    assert "DC offset" not in clean.corrected


@pytest.mark.parametrize(("echo_db", "delay"), [(-6.0, 4), (-6.0, 10), (-10.0, 4), (-10.0, 3)])
def test_an_echo_costs_what_the_best_linear_receiver_must_lose(echo_db, delay):
    rng = np.random.default_rng(4)
    symbols, waveform = complex_noise((1, 6000), rng)[0], Waveform()
    found = waveform.receive(heard(symbols, rng, echo_db=echo_db, delay=delay), 6000)
    echo, frequencies = 10 ** (echo_db / 20), np.linspace(0, 2 * np.pi, 4096, endpoint=False)
    gains = np.abs(1 + echo * np.exp(1j * frequencies)) ** 2 / noise_variance(12.0)
    bound = 10 * np.log10(1 / np.mean(1 / (1 + gains)) - 1)  # MMSE of a channel of two paths, whole symbols apart
    assert snr_of(found.symbols, symbols) > bound - 0.8
    assert found.echo_db == pytest.approx(echo_db, abs=3.0)
    assert "echo" in found.corrected
    assert found.snr_db == pytest.approx(snr_of(found.symbols, symbols), abs=0.6)


def test_a_clean_recording_is_left_as_it_is():
    rng = np.random.default_rng(5)
    symbols = complex_noise((1, 3000), rng)[0]
    found = Waveform().receive(heard(symbols, rng), 3000)
    assert found.corrected == ("carrier offset",)
    assert not found.warnings
    assert found.offset == pytest.approx(0.003, abs=2e-5)


@pytest.mark.parametrize("drift", [1e-4, -2.5e-4])
def test_a_drifting_carrier_is_followed_and_reported(drift):
    rng = np.random.default_rng(6)
    symbols = complex_noise((1, 30_000), rng)[0]
    found = Waveform().receive(heard(symbols, rng, drift=drift), 30_000)
    assert snr_of(found.symbols, symbols) > 11.5
    assert found.drift == pytest.approx(drift, rel=0.25)


@pytest.mark.parametrize(
    ("words", "named"), [({"snr_db": -2.0}, "SNR"), ({"echo_db": -3.0}, "echo"), ({"dc": 0.5}, "DC offset")]
)
def test_a_bad_quality_is_a_warning_with_its_number(words, named):
    rng = np.random.default_rng(7)
    symbols = complex_noise((1, 3000), rng)[0]
    warnings = Waveform().receive(heard(symbols, rng, **words), 3000).warnings
    assert any(one.startswith(named) and any(letter.isdigit() for letter in one) for one in warnings)


def test_a_hundred_recordings_with_all_of_it_give_the_payload_or_refuse():
    rng, waveform, link = np.random.default_rng(8), Waveform(), BesideLink(BlockDct(1 / 12))
    picture, payload = rng.integers(0, 256, (32, 48, 3), dtype=np.uint8), rng.bytes(200)
    symbols, whole = link.send([picture], payload)[0], 0
    for trial in range(100):
        words = {"dc": rng.uniform(0, 0.4), "echo_db": rng.uniform(-20, -6), "delay": int(rng.integers(1, 12))}
        offset, drift = rng.uniform(-0.03, 0.03), rng.uniform(-1e-4, 1e-4)
        samples = heard(symbols, rng, snr_db=(2.0, 6.0, 10.0, 14.0)[trial % 4], offset=offset, drift=drift, **words)
        found = waveform.receive(samples, len(symbols))
        equal = Received((found.symbols / (1 + found.noise))[None], np.full((1, 1), found.noise, np.float32))
        got = link.receive(equal, [(32, 48)])
        assert got.payload in (None, payload)
        whole += got.payload == payload
    assert whole >= 70  # of the 75 above 2 dB
