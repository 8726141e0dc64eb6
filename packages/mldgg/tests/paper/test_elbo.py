"""Both bounds against quadrature on a case with one s and one v, the prior against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mldgg.paper._causal import CausalLearner, CausalPrior, elbo, elbo_independent, gaussian_log_density
from scipy.stats import multivariate_normal, norm

# s ~ N(.2, .7^2), v|s ~ N(.1 + .6 (s - .2), .5^2); q = N(s; .4, .6^2) N(v; -.1, .8^2); p(y=1|s) = sigmoid(2 s)
MARGINAL_V = math.sqrt(0.5**2 + (0.6 * 0.7) ** 2)


def densities(s, v):
    posterior = norm.logpdf(s, 0.4, 0.6) + norm.logpdf(v, -0.1, 0.8)
    log_s = norm.logpdf(s, 0.2, 0.7)
    given = norm.logpdf(v, 0.1 + 0.6 * (s - 0.2), 0.5)
    alone = norm.logpdf(v, 0.1, MARGINAL_V)
    label = -np.log1p(np.exp(-2 * s))
    decoder = norm.logpdf(0.3, 0.5 * s + 0.2 * v, 0.9)
    return label, log_s, given, alone, decoder, posterior


def quadrature(independent):
    """The bound as the publication writes it, on a fine grid."""
    s, v = np.meshgrid(np.linspace(-6, 6, 1201), np.linspace(-6, 6, 1201), indexing="ij")
    label, log_s, given, alone, decoder, posterior = densities(s, v)
    weight = np.exp(label + (given - alone if independent else 0))
    prior = log_s + (alone if independent else given)
    mass = np.exp(posterior) * (12 / 1200) ** 2
    evidence = (mass * weight).sum()
    return math.log(evidence) + (mass * weight * (prior + decoder - posterior)).sum() / evidence


@pytest.mark.parametrize("independent", [False, True])
def test_sampled_bound_equals_quadrature(independent):
    draws = np.random.default_rng(0)
    s, v = draws.normal(0.4, 0.6, 400_000), draws.normal(-0.1, 0.8, 400_000)
    label, log_s, given, alone, decoder, posterior = (torch.tensor(one)[:, None] for one in densities(s, v))
    if independent:
        found = elbo_independent(label, given - alone, log_s + alone, decoder, posterior)
    else:
        found = elbo(label, log_s + given, decoder, posterior)
    assert float(found) == pytest.approx(quadrature(independent), abs=0.02)


def test_variants_are_not_the_same_bound():
    assert abs(quadrature(False) - quadrature(True)) > 0.05


def test_one_sample_at_the_means_is_the_plain_sum():
    label, prior, decoder, posterior = torch.randn(4, 1, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(elbo(label, prior, decoder, posterior), (label + prior + decoder - posterior)[0])


def test_bound_stays_finite_for_labels_that_are_nearly_impossible():
    label = torch.full((3, 2), -1e4)
    assert torch.isfinite(elbo(label, label * 0, label * 0, label * 0)).all()


def test_prior_is_the_gaussian_it_says():
    torch.manual_seed(0)
    prior = CausalPrior(3, 2)
    with torch.no_grad():
        for one in prior.parameters():
            one.add_(0.3 * torch.randn(one.shape))
    s, v = torch.randn(5, 3), torch.randn(5, 2)
    factor_s = torch.tril(prior.below_s, -1) + torch.diag(prior.log_diagonal_s.exp())
    factor_v = torch.tril(prior.below_v, -1) + torch.diag(prior.log_diagonal_v.exp())
    mix = (prior.mix @ torch.linalg.inv(factor_s)).detach().numpy()
    cov_s, noise = ((one @ one.T).detach().numpy() for one in (factor_s, factor_v))
    mean = np.r_[prior.mean_s.detach(), prior.mean_v.detach()]
    joint = np.block([[cov_s, cov_s @ mix.T], [mix @ cov_s, mix @ cov_s @ mix.T + noise]])
    expected = multivariate_normal(mean, joint).logpdf(np.c_[s, v])
    found = (prior.log_s(s) + prior.log_v_given_s(v, s)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    marginal = multivariate_normal(mean[3:], joint[3:, 3:]).logpdf(v)
    np.testing.assert_allclose(prior.log_v(v).detach().numpy(), marginal, rtol=1e-4)


def test_gaussian_density_is_scipys():
    value, mean = torch.randn(4, 3), torch.randn(4, 3)
    found = gaussian_log_density(value, mean, 0.7)
    np.testing.assert_allclose(found, norm.logpdf(value, mean, 0.7).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("independent", [True, False])
def test_learner_bounds_each_node_and_follows_its_seed(independent):
    torch.manual_seed(0)
    learner = CausalLearner(8, independent=independent)
    r = torch.relu(torch.randn(6, 8))
    latent = learner.encode(r)
    assert latent.s.shape == (6, 256)
    assert latent.v.shape == (6, 128)
    assert learner.decode(latent.s, latent.v).shape == r.shape

    def bound(samples, seed=0):
        return learner.bound(r, latent, lambda s: -s.square().mean(dim=-1), samples=samples, seed=seed)

    assert torch.isfinite(bound(0)).all()
    assert torch.equal(bound(4, 1), bound(4, 1))
    assert not torch.equal(bound(4, 1), bound(4, 2))
    mean = bound(0).sum()
    mean.backward()
    assert learner.prior.mix.grad.abs().sum() > 0
    assert learner.raw_std_v.grad.abs() > 0
