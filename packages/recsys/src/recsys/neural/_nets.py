"""The networks of Mult-VAE, LightGCN and the two towers."""

from __future__ import annotations

from typing import Any

import numpy as np
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


class LightGCNNet(nn.Module):
    """Vectors of users and items, spread over the normalised graph; the mean of all layers answers (He et al. 2020)."""

    def __init__(self, users: int, items: int, width: int) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(users, width), nn.Embedding(items, width)
        nn.init.normal_(self.user.weight, std=0.1)
        nn.init.normal_(self.item.weight, std=0.1)

    def layers(self, graph: Tensor, count: int) -> list[Tensor]:
        """Layers 0 to count, each (users + items, d); graph: D^-1/2 A D^-1/2, sparse."""
        found = [torch.cat([self.user.weight, self.item.weight])]
        for _ in range(count):
            found.append(torch.sparse.mm(graph, found[-1]))
        return found


def bpr_loss(net: LightGCNNet, graph: Tensor, count: int, triples: Tensor, l2: float) -> Tensor:
    """BPR on the mean of the layers, and half the L2 of the triples' vectors of layer 0, over the batch's size.

    Args:
        net, graph, count: see `LightGCNNet.layers`.
        triples: user, item had, item not had: codes (3, batch).
        l2: weight of the penalty, on layer 0 alone.
    """
    layers = net.layers(graph, count)
    mean = torch.stack(layers).mean(0)
    user, item = mean.split([net.user.num_embeddings, net.item.num_embeddings])
    own, had, other = user[triples[0]], item[triples[1]], item[triples[2]]
    loss = F.softplus((own * other).sum(1) - (own * had).sum(1)).mean()
    base = (net.user(triples[0]), net.item(triples[1]), net.item(triples[2]))
    return loss + l2 * sum((one**2).sum() for one in base) / 2 / triples.shape[1]


class TwoTowerNet(nn.Module):
    """Two ReLU networks, one hidden layer each, onto the unit sphere."""

    def __init__(self, inputs: int, hidden: int, width: int) -> None:
        super().__init__()
        sizes = ((inputs, hidden), (hidden, width))
        self.user, self.item = (nn.ModuleList(nn.Linear(a, b) for a, b in sizes) for _ in range(2))

    @staticmethod
    def tower(layers: Any, x: Tensor) -> Tensor:
        """Unit vectors (rows, d) of sparse inputs (rows, inputs)."""
        first, second = layers
        hidden = torch.sparse.mm(x, first.weight.T) + first.bias
        return F.normalize(second(hidden.relu()))


def in_batch_loss(
    users: Tensor, items: Tensor, code: Tensor, log_share: Tensor, temperature: float, own: Tensor | None = None
) -> Tensor:
    """Softmax of each row's item among the batch's, corrected by how often an item is drawn (Yi et al. 2019).

    Args:
        users: unit vectors, (rows, d); items: those of the whole batch, (batch, d).
        code: item of each row; other rows with the same item are left out.
        log_share: log of the share of events of each row's item, (batch,).
        temperature: by which cosines are divided.
        own: place of each user's item in the batch, (rows,); in their order if None.
    """
    own = torch.arange(len(code), device=code.device) if own is None else own
    scores = users @ items.T / temperature - log_share
    same = (code[own][:, None] == code) & (own[:, None] != torch.arange(len(code), device=code.device))
    return F.cross_entropy(scores.masked_fill(same, -torch.inf), own)


def sparse(matrix: Any, device: str) -> Tensor:
    """A scipy CSR matrix as a torch COO tensor, float32."""
    coo = matrix.tocoo()
    places = torch.from_numpy(np.stack([coo.row, coo.col]).astype(np.int64))
    values = torch.from_numpy(coo.data.astype(np.float32))
    return torch.sparse_coo_tensor(places, values, coo.shape, check_invariants=False).coalesce().to(device)
