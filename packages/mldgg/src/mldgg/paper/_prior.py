"""Learnable Gaussian prior over s (causes the label) and v (varies with the graph)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


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
