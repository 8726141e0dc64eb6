"""The network of Mult-VAE."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MultVAENet(nn.Module):
    """m - hidden - 2 latent, and latent - hidden - m, tanh between (Liang et al. 2018)."""

    def __init__(self, items: int, hidden: int, latent: int, dropout: float) -> None:
        super().__init__()
        self.dropout, self.latent = dropout, latent
        self.layers = nn.ModuleList(
            nn.Linear(a, b) for a, b in ((items, hidden), (hidden, 2 * latent), (latent, hidden), (hidden, items))
        )
        for one in self.layers:
            assert isinstance(one, nn.Linear)
            nn.init.xavier_uniform_(one.weight)
            nn.init.zeros_(one.bias)

    def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """(log-softmax over items (rows, items), KL of each row from the unit normal (rows,)) of rows of 0 and 1."""
        first, second, third, fourth = self.layers
        dropped = F.dropout(F.normalize(X), self.dropout, self.training)
        mean, log_variance = second(first(dropped).tanh()).split(self.latent, 1)
        kl = 0.5 * (log_variance.exp() + mean**2 - 1 - log_variance).sum(1)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp() if self.training else mean
        return fourth(third(z).tanh()).log_softmax(1), kl


def vae_loss(net: MultVAENet, X: Tensor, beta: float) -> Tensor:
    """- multinomial log likelihood + beta KL, mean over rows of X (rows, items)."""
    logp, kl = net(X)
    return (beta * kl - (logp * X).sum(1)).mean()
