"""Mult-VAE, a rival: a variational autoencoder with a multinomial likelihood (Liang et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from recsys.data._dataset import Dataset
from recsys.recommender._base import Recommender
from recsys.recommender._query import Query
from torch import Tensor, nn


class MultVAENet(nn.Module):
    """m - hidden - 2 latent, and latent - hidden - m, tanh between."""

    def __init__(self, items: int, hidden: int, latent: int, dropout: float) -> None:
        super().__init__()
        self.dropout, self.latent = dropout, latent
        sizes = (items, hidden), (hidden, 2 * latent), (latent, hidden), (hidden, items)
        self.layers = nn.ModuleList(nn.Linear(*size) for size in sizes)
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


@dataclass(kw_only=True, eq=False, repr=False)
class MultVAE(Recommender):
    """items - hidden - latent - hidden - items; score: the log-softmax of the mean code.

    Args:
        hidden, latent: widths.
        dropout: share of the input dropped.
        beta: weight of the KL term at the end.
        anneal: epochs in which it rises there from 0.
        epochs, batch, learning_rate: of Adam.
        device: torch device.
        seed: of start, order and noise.
    """

    name: ClassVar[str] = "mult-vae"
    source: ClassVar[str] = "arXiv 1802.05814"
    hidden: int = 600
    latent: int = 200
    dropout: float = 0.5
    beta: float = 0.2
    anneal: int = 20
    epochs: int = 50
    batch: int = 500
    learning_rate: float = 0.001
    device: str = "cpu"
    seed: int = 0

    def _fit(self, data: Dataset) -> None:
        X = self.history_.matrix()
        X = X[np.diff(X.indptr) > 0]
        draw, steps = np.random.default_rng(self.seed), -(-X.shape[0] // self.batch)
        order = np.arange(X.shape[0])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._net = MultVAENet(data.n_items, self.hidden, self.latent, self.dropout).to(self.device)
            adam = torch.optim.Adam(self._net.parameters(), lr=self.learning_rate)
            for step in range(self.epochs * steps):
                order = draw.permutation(X.shape[0]) if step % steps == 0 else order
                rows = order[step % steps * self.batch :][: self.batch]
                x = torch.from_numpy(X[rows].toarray()).to(self.device)
                logp, kl = self._net(x)
                loss = (self.beta * min(1.0, step / steps / self.anneal) * kl - (logp * x).sum(1)).mean()
                adam.zero_grad()
                loss.backward()
                adam.step()
        self._net.eval()

    def _score(self, query: Query) -> np.ndarray:
        X = torch.from_numpy(query.history.matrix().toarray()).to(self.device)
        with torch.no_grad():
            return self._net(X)[0].cpu().numpy()
