"""Causal representation learner: r is encoded into v and s, the label is read off s alone, r is decoded from both.

Its prior over s and v, and both variants of the evidence lower bound, from log densities at samples of q(s, v | r).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


def elbo(label: Tensor, prior: Tensor, decoder: Tensor, posterior: Tensor) -> Tensor:
    """`MLDGG` (CSG): log q(y|r) + (1 / q(y|r)) E_q[p(y|s) log(p(s,v) p(r|s,v) / q(s,v|r))], q(y|r) = E_q[p(y|s)].

    Args:
        label: (K, N) log p(y|s) at K samples of q.
        prior: (K, N) log p(s, v).
        decoder: (K, N) log p(r|s, v).
        posterior: (K, N) log q(s, v|r).
    Returns: (N,) bounds; with K = 1 at the posterior means this is the default without sampling.
    """
    return _bound(label, prior + decoder - posterior)


def elbo_independent(label: Tensor, ratio: Tensor, prior: Tensor, decoder: Tensor, posterior: Tensor) -> Tensor:
    """`MLDGG-ind`: pi = E_q[(p(v|s)/p(v)) p(y|s)]; log pi + (1/pi) E_q[(p(v|s)/p(v)) p(y|s) log(p(s)p(v)p(r|s,v)/q)].

    Args:
        label: (K, N) log p(y|s) at K samples of q.
        ratio: (K, N) log p(v|s) - log p(v).
        prior: (K, N) log p(s) + log p(v).
        decoder: (K, N) log p(r|s, v).
        posterior: (K, N) log q(s, v|r).
    Returns: (N,) bounds.
    """
    return _bound(label + ratio, prior + decoder - posterior)


def _bound(weight: Tensor, gain: Tensor) -> Tensor:
    """Log E_q[w] + E_q[w gain] / E_q[w], from log w, in the log domain."""
    evidence = torch.logsumexp(weight, dim=0) - math.log(weight.shape[0])
    return evidence + (torch.softmax(weight, dim=0) * gain).sum(dim=0)


def gaussian_log_density(value: Tensor, mean: Tensor, std: Tensor | float) -> Tensor:
    """(..., d) values, means and deviations (or one) -> (...) log density with independent columns."""
    std = torch.as_tensor(std, dtype=value.dtype)
    terms = -((value - mean) / std).square() / 2 - std.log() - math.log(2 * math.pi) / 2
    return terms.sum(dim=-1)


class CausalPrior(nn.Module):
    """p(s) = N(mu_s, L_s L_s^T) and p(v|s) = N(mu_v + M L_s^-1 (s - mu_s), L_v L_v^T)."""

    def __init__(self, s: int, v: int, *, mean: float = 0.5, std: float = 0.5, correlation: float = 0.9) -> None:
        super().__init__()
        self.mean_s, self.mean_v = nn.Parameter(torch.full((s,), mean)), nn.Parameter(torch.full((v,), mean))
        self.log_diagonal_s = nn.Parameter(torch.full((s,), math.log(std)))
        self.log_diagonal_v = nn.Parameter(torch.full((v,), math.log(std)))
        self.below_s, self.below_v = nn.Parameter(torch.zeros(s, s)), nn.Parameter(torch.zeros(v, v))
        self.mix = nn.Parameter(torch.eye(v, s) * math.sqrt(correlation * std * std))

    def log_s(self, s: Tensor) -> Tensor:
        """(..., S) -> (...) log p(s)."""
        return _log_normal(s - self.mean_s, _factor(self.log_diagonal_s, self.below_s))

    def log_v_given_s(self, v: Tensor, s: Tensor) -> Tensor:
        """(..., V), (..., S) -> (...) log p(v|s)."""
        white = _solve(_factor(self.log_diagonal_s, self.below_s), s - self.mean_s)
        return _log_normal(v - self.mean_v - white @ self.mix.T, _factor(self.log_diagonal_v, self.below_v))

    def log_v(self, v: Tensor) -> Tensor:
        """(..., V) -> (...) log p(v), the marginal N(mu_v, L_v L_v^T + M M^T)."""
        factor = _factor(self.log_diagonal_v, self.below_v)
        covariance = factor @ factor.T + self.mix @ self.mix.T
        return _log_normal(v - self.mean_v, torch.linalg.cholesky(covariance))


def _factor(log_diagonal: Tensor, below: Tensor) -> Tensor:
    return torch.tril(below, -1) + torch.diag(log_diagonal.exp())


def _solve(factor: Tensor, rows: Tensor) -> Tensor:
    flat = rows.reshape(-1, rows.shape[-1])
    return torch.linalg.solve_triangular(factor, flat.T, upper=False).T.reshape(rows.shape)


def _log_normal(rows: Tensor, factor: Tensor) -> Tensor:
    white = _solve(factor, rows)
    constant = rows.shape[-1] * math.log(2 * math.pi) / 2 + factor.diagonal().log().sum()
    return -white.square().sum(dim=-1) / 2 - constant


S, V, HIDDEN = 256, 128, 256  # widths of s, v and the encoder's hidden layer
DECODER_STD = 0.03


@dataclass(frozen=True)
class Latent:
    """Posterior means of s (N, 256) and v (N, 128), and what the encoder needs to sample (u, (N, 128))."""

    s: Tensor
    v: Tensor
    u: Tensor


class CausalLearner(nn.Module):
    """Theta_r: encoder, decoder and prior. The decoder's last layer is linear, because r is not bounded.

    Args:
        channels: width of r.
        independent: use the bound `MLDGG-ind`, with the prior p(s)p(v), instead of `MLDGG`.
    """

    def __init__(self, channels: int, *, independent: bool = True) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, HIDDEN)
        self.to_v, self.to_u = nn.Linear(HIDDEN, V), nn.Linear(HIDDEN, V)
        self.to_s = nn.Linear(2 * V, S)
        self.from_s, self.out = nn.Linear(S, V), nn.Linear(2 * V, channels)
        self.raw_std_v = nn.Parameter(torch.tensor(0.5413))  # softplus gives 1
        self.prior = CausalPrior(S, V)
        self.independent = independent

    def encode(self, r: Tensor) -> Latent:
        """(N, d) representations -> posterior means."""
        h = torch.sigmoid(self.hidden(r))
        v, u = torch.sigmoid(self.to_v(h)), torch.sigmoid(self.to_u(h))
        return Latent(self._s(v, u), v, u)

    def _s(self, v: Tensor, u: Tensor) -> Tensor:
        return torch.sigmoid(self.to_s(torch.cat([v, u], dim=-1)))

    def decode(self, s: Tensor, v: Tensor) -> Tensor:
        """(..., S), (..., V) -> (..., d), the mean of p(r|s, v)."""
        return self.out(torch.cat([v, torch.sigmoid(self.from_s(s))], dim=-1))

    def bound(
        self, r: Tensor, latent: Latent, log_label: Callable[[Tensor], Tensor], *, samples: int = 0, seed: int = 0
    ) -> Tensor:
        """(N,) ELBO of the chosen variant.

        Args:
            r: (N, d) representations, as p(r|s, v) sees them.
            latent: what `encode` gave for them.
            log_label: (K, N, S) values of s -> (K, N) log p(y|s) of the nodes' labels.
            samples: draws from q; 0 evaluates at the posterior means.
            seed: of the draws.
        """
        std_v = nn.functional.softplus(self.raw_std_v)
        if samples:
            generator = torch.Generator().manual_seed(seed)
            noise = torch.randn((samples, *latent.v.shape), generator=generator)
            v = latent.v + std_v * noise
            mean_s = self._s(v, latent.u.expand(samples, -1, -1))
            s = mean_s + torch.randn(mean_s.shape, generator=generator)
        else:
            v, mean_s = latent.v[None], latent.s[None]
            s = mean_s
        posterior = gaussian_log_density(v, latent.v, std_v) + gaussian_log_density(s, mean_s, 1.0)
        decoder = gaussian_log_density(r, self.decode(s, v), DECODER_STD)
        log_s, given = self.prior.log_s(s), self.prior.log_v_given_s(v, s)
        if not self.independent:
            return elbo(log_label(s), log_s + given, decoder, posterior)
        alone = self.prior.log_v(v)
        return elbo_independent(log_label(s), given - alone, log_s + alone, decoder, posterior)
