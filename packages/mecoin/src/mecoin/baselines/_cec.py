"""CEC: classifier weights adapted to each other by graph attention, trained on pseudo-incremental episodes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mecoin.baselines._frozen import SCALE, Episode, FrozenLearner, Pool, cosines


class Attention(nn.Module):
    """LayerNorm(w + out(softmax(q k' / sqrt h) v)) over all classifier weights: one head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.norm = nn.LayerNorm(width)

    def forward(self, weights: Tensor) -> Tensor:
        """(C, h) -> (C, h)."""
        links = self.query(weights) @ self.key(weights).T / weights.shape[1] ** 0.5
        return self.norm(weights + self.out(links.softmax(1) @ self.value(weights)))


class Cec(FrozenLearner):
    """Class means, adapted together; scaled cosine.

    Attributes:
        way: classes that act as new in an episode.
    """

    name = "CEC"
    source = "Zhang et al. 2021, arXiv 2104.03047"
    limits = "new classes of episodes are base classes, where the publication turns images; on the frozen encoder"
    grid = tuple({"lr": lr, "episodes": count} for lr in (2e-4, 1e-3) for count in (100, 400))
    way: int = 2

    def fit_pool(self, pool: Pool) -> None:
        """Train the attention to tell queries of old and of new classes apart."""
        self.attention = Attention(pool.z.shape[1])
        optimiser = torch.optim.Adam(self.attention.parameters(), lr=self.lr)
        for _ in range(int(self.episodes)):
            episode = Episode.draw(pool, self.rng, way=int(self.way))
            weights = torch.stack([pool.z[rows].mean(0) for rows in episode.support])
            optimiser.zero_grad()
            logits = SCALE * cosines(pool.z[episode.query], self.attention(weights))
            F.cross_entropy(logits, episode.target).backward()
            optimiser.step()
        self.attention.requires_grad_(False)
        self.prototypes = pool.means()

    def score_rows(self, z: Tensor) -> Tensor:
        """Cosines to the adapted weights."""
        return cosines(z, self.attention(self.prototypes))

    def modules(self) -> list[nn.Module]:
        """The attention."""
        return [self.attention]
