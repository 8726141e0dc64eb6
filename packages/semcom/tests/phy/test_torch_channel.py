"""The torch channel equals numpy's and has gradients; TDL profiles and MIMO against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from semcom.phy import Channel, apply_torch, capacity_awgn, complex_noise, tdl_profile, torch_noise_equivalent

SPECS = [
    "awgn",
    "rayleigh",
    "rayleigh:block=7",
    "rayleigh:symbol",
    "rayleigh:block=16,csi=pilot,pilots=3",
    "rayleigh:image,csi=pilot,estimator=ls",
    "rayleigh:block=16,csi=none",
    "rician:block=5,k=2",
    "rician:image,csi=pilot",
    "ofdm",
    "ofdm:csi=pilot,taps=5",
    "ofdm:csi=pilot,estimator=ls",
    "ofdm:csi=none",
    "tdl-a",
    "tdl-a:csi=pilot",
    "tdl-c",
    "tdl-c:csi=pilot,spread=1",
    "mimo",
    "mimo:block=8",
    "mimo:block=8,csi=pilot",
    "mimo:block=8,detector=zf",
    "mimo:symbol",
]


@pytest.mark.parametrize("spec", SPECS)
def test_torch_equals_numpy_with_the_same_generator(spec, rng):
    channel = Channel.from_spec(spec)
    symbols = complex_noise((4, 131), rng)
    snr = np.array([-3.0, 4.0, 11.0, 30.0])
    expected = channel.apply(symbols, snr, np.random.default_rng(5))
    found, noise = apply_torch(channel, torch.from_numpy(symbols), snr, np.random.default_rng(5))
    scale = max(1.0, float(np.abs(expected.symbols).max()))
    np.testing.assert_allclose(found.numpy(), expected.symbols, atol=1e-6 * scale)
    np.testing.assert_allclose(noise.expand(4, 131), np.broadcast_to(expected.noise, (4, 131)), rtol=2e-5)


@pytest.mark.parametrize("spec", SPECS)
def test_double_precision_stays_and_has_exact_gradients(spec, rng):
    channel = Channel.from_spec(spec)
    symbols = torch.from_numpy(complex_noise((2, 5), rng)).to(torch.complex128).requires_grad_()
    found, noise = apply_torch(channel, symbols, 6.0, np.random.default_rng(1))
    assert (found.dtype, noise.dtype) == (torch.complex128, torch.float64)
    assert torch.autograd.gradcheck(lambda x: apply_torch(channel, x, 6.0, np.random.default_rng(1))[0], (symbols,))


@pytest.mark.parametrize("spec", SPECS)
def test_gradient_is_that_of_finite_differences(spec, rng):
    channel = Channel.from_spec(spec)
    symbols = torch.from_numpy(complex_noise((2, 20), rng)).requires_grad_()

    def loss(values):
        return apply_torch(channel, values, 6.0, np.random.default_rng(1))[0].abs().square().sum()

    loss(symbols).backward()
    direction = torch.from_numpy(complex_noise((2, 20), rng))
    with torch.no_grad():
        step = 1e-2
        numeric = (loss(symbols + step * direction) - loss(symbols - step * direction)) / (2 * step)
    exact = (symbols.grad.conj() * direction).real.sum()
    torch.testing.assert_close(numeric, exact, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["tdl-a", "tdl-c"])
def test_tdl_profiles_have_the_delay_spread_that_was_asked_for(name):
    powers = tdl_profile(name, 20.0)
    at = np.arange(len(powers))
    mean = (powers * at).sum()
    assert powers.sum() == pytest.approx(1)
    assert np.sqrt((powers * (at - mean) ** 2).sum()) == pytest.approx(20.0, rel=0.03)


def test_profiles_longer_than_the_prefix_are_refused():
    with pytest.raises(InputError, match="prefix"):
        Channel.from_spec("tdl-a:spread=3")
    with pytest.raises(InputError, match="detector"):
        Channel.from_spec("mimo:detector=ml")
    with pytest.raises(InputError, match="tdl-b"):
        tdl_profile("tdl-b", 1.0)


def test_mimo_at_high_snr_has_the_capacity_of_two_streams_and_zero_forcing_loses_at_low(rng):
    symbols = complex_noise((400, 64), rng)
    rates = {}
    for detector in ("lmmse", "zf"):
        received = Channel.from_spec(f"mimo:block=2,detector={detector}").apply(symbols, 0.0, np.random.default_rng(3))
        error = np.abs(received.unbiased - symbols) ** 2
        said = np.broadcast_to(received.noise, error.shape)
        near = said < np.quantile(said, 0.9)  # the mean of the rest has no finite variance
        assert error[near].mean() == pytest.approx(said[near].mean(), rel=0.1)
        rates[detector] = np.log2(1 + 1 / said).mean()
    assert rates["lmmse"] > rates["zf"] + 0.1
    assert 2 * rates["lmmse"] > capacity_awgn(0.0)  # a channel use carries two symbols


def test_pilots_of_both_antennas_are_counted():
    assert Channel.from_spec("mimo:block=8,csi=pilot,pilots=3").overhead(64) == 2 * 3 * 8
    assert Channel.from_spec("mimo:block=8").overhead(64) == 0


def test_equivalent_reals_are_the_symbols_of_a_channel_without_fading(rng):
    symbols = torch.from_numpy(complex_noise((2, 500), rng))
    estimate, noise = apply_torch(Channel(), symbols, 7.0, rng)
    reals, snr = torch_noise_equivalent(estimate, noise)
    torch.testing.assert_close(snr, torch.full((2,), 7.0), atol=1e-4, rtol=0)
    assert float((reals - torch.view_as_real(symbols).flatten(1) * 2**0.5).square().mean()) == pytest.approx(
        10**-0.7, rel=0.1
    )
