"""Both variants of the evidence lower bound, from log densities at samples of q(s, v | r)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


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
