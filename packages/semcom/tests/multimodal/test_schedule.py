"""Schedule and sampler against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from ninefold.errors import InputError
from semcom.multimodal._generator import candidate_noise
from semcom.multimodal._schedule import cosine_alphabar, mix, sample, times, velocity


def test_cosine_schedule_is_the_published_formula():
    table = cosine_alphabar()

    def curve(t):
        return math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2

    for t in (1, 10, 500, 900):
        assert float(table[t - 1]) == pytest.approx(curve(t) / curve(0), rel=1e-9)
    assert (table[1:] < table[:-1]).all()
    assert float(table[-1]) < 1e-5


def test_velocity_gives_the_clean_data_back():
    generator = torch.Generator().manual_seed(0)
    x, e = torch.randn(5, 3, 4, 4, generator=generator), torch.randn(5, 3, 4, 4, generator=generator)
    alphabar = cosine_alphabar()[torch.tensor([0, 100, 400, 700, 950])]
    z = mix(x, e, alphabar)
    a, s = (one.float()[:, None, None, None] for one in (alphabar.sqrt(), (1 - alphabar).sqrt()))
    torch.testing.assert_close(a * z - s * velocity(x, e, alphabar), x, atol=1e-5, rtol=1e-5)


def test_sampler_follows_the_flow_of_a_gaussian():
    """For x ~ N(m, d^2) the probability flow ends at m + d e, if it begins at unit noise e."""
    table, m, d = cosine_alphabar(), 0.4, 0.3

    def exact_v(z, t):
        a, s = math.sqrt(float(table[t])), math.sqrt(1 - float(table[t]))
        x = m + a * d**2 / (a**2 * d**2 + s**2) * (z - a * m)
        return (a * z - x) / s

    noise = torch.linspace(-2, 2, 9)[:, None]
    errors = [float((sample(exact_v, noise, steps) - (m + d * noise)).abs().max()) for steps in (5, 20, 80)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.02


def first_order(predict_v, z, steps):
    """DDIM (Song et al. 2021, eta 0)."""
    visited = times(steps)
    alphabars = [*(float(cosine_alphabar()[t]) for t in visited), 1.0]
    for t, now, then in zip(visited, alphabars, alphabars[1:], strict=False):
        v, a, s = predict_v(z, t), math.sqrt(now), math.sqrt(1 - now)
        z = math.sqrt(then) * (a * z - s * v) + math.sqrt(1 - then) * (s * z + a * v)
    return z


def test_second_order_is_closer_with_as_many_steps():
    table, d = cosine_alphabar(), 0.3

    def exact_v(z, t):
        a, s = math.sqrt(float(table[t])), math.sqrt(1 - float(table[t]))
        return (a * z - a * d**2 / (a**2 * d**2 + s**2) * z) / s

    noise = torch.ones(1, 1)
    second, first = abs(float(sample(exact_v, noise, 10)) - d), abs(float(first_order(exact_v, noise, 10)) - d)
    assert second < 0.8 * first


def test_one_step_is_the_first_estimate():
    noise = torch.ones(1, 2)
    torch.testing.assert_close(sample(lambda z, _: -z, noise, 1), noise, atol=1e-2, rtol=0)
    with pytest.raises(InputError, match="steps"):
        sample(lambda z, _: z, noise, 0)


def test_noise_of_a_candidate_depends_on_its_numbers_alone():
    first = candidate_noise(3, 7, 2, (12, 4, 4))
    torch.manual_seed(99)
    assert torch.equal(first, candidate_noise(3, 7, 2, (12, 4, 4)))
    for other in ((4, 7, 2), (3, 8, 2), (3, 7, 3)):
        assert not torch.equal(first, candidate_noise(*other, (12, 4, 4)))
