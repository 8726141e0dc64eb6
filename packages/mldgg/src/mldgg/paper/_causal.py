"""Causal representation learner: r is encoded into v and s, the label is read off s alone, r is decoded from both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mldgg.paper._elbo import elbo, elbo_independent, gaussian_log_density
from mldgg.paper._prior import CausalPrior

S, V, HIDDEN = 256, 128, 256
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
