"""MRaM's rows and the head, and GKIM: how they are trained in the base session and when classes come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from ninefold_graphs import softmax
from torch import Tensor, nn
from torch.nn import functional as F


class Head(nn.Module):
    """Class head g on (detached) node features: dropout .5, m -> 64 -> C."""

    def __init__(self, width: int, classes: int, hidden: int = 64) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(width, hidden), nn.Linear(hidden, classes)

    def forward(self, z: Tensor) -> Tensor:
        """z (n, m) -> logits (n, C)."""
        return self.last(F.relu(self.first(F.dropout(z, 0.5, self.training))))

    def grown(self, extra: int) -> Head:
        """A head with `extra` more classes behind; the old weights keep every bit."""
        grown = Head(self.first.in_features, self.last.out_features + extra, self.first.out_features)
        with torch.no_grad():
            grown.first.load_state_dict(self.first.state_dict())
            grown.last.weight[: self.last.out_features] = self.last.weight
            grown.last.bias[: self.last.out_features] = self.last.bias
        return grown


def memory_loss(old: Tensor, logits: Tensor) -> Tensor:
    """KL(P_old || g), mean over samples matched to old prototypes: the frozen rows teach the head.

    old: (n, C) probabilities of the matched rows; logits: (n, C) of the head. 0 without samples.
    """
    return F.kl_div(logits.log_softmax(1), old.detach(), reduction="sum") / max(len(old), 1)


def update_loss(logits: Tensor, rows: Tensor) -> Tensor:
    """KL(g || P_new), mean over samples matched to new prototypes: the head, detached, teaches the new rows.

    logits: (n, C) of the head; rows: (n, C) logits of the matched new rows. 0 without samples.
    """
    return F.kl_div(rows.log_softmax(1), logits.detach().softmax(1), reduction="sum") / max(len(rows), 1)


ABSENT = np.float32(-30.0)  # logit of a class that came after the row: probability 1e-13


@dataclass(frozen=True)
class Mram:
    """Rows of logits. Old rows are frozen: a session makes new rows, and columns in which old rows are `ABSENT`.

    Attributes:
        rows: (P, C) float32; row j is what retrieving prototype j predicts.
    """

    rows: np.ndarray

    def extended(self, rows: np.ndarray) -> Mram:
        """With new rows (P', C') below, C' >= C; the old rows keep every bit and are absent in the new columns."""
        grown = np.full((len(self.rows), rows.shape[1]), ABSENT, np.float32)
        grown[:, : self.rows.shape[1]] = self.rows
        return Mram(np.concatenate([grown, rows.astype(np.float32)]))

    def probabilities(self) -> np.ndarray:
        """(P, C), each row sums to 1."""
        return softmax(self.rows)


BATCH = 512


@dataclass(frozen=True)
class Interaction:
    """How head and rows are trained together.

    Attributes:
        memory, update: weights of the two distillation losses (authors' code: .5 each).
        steps: Adam steps in the base session and in each later one; the number is fixed, so that no label beyond the
            support is needed to stop.
        lr: Adam's, for the head; rows_lr: for the rows.
        distil: False leaves out both distillation losses (the ablation "no GKIM"): rows learn from labels alone.
    """

    memory: float = 0.5
    update: float = 0.5
    base_steps: int = 300
    steps: int = 100
    lr: float = 1e-2
    rows_lr: float = 0.1
    distil: bool = True

    def learn(
        self, head: Head | None, old: Mram, z: np.ndarray, target: np.ndarray, matched: np.ndarray, new: int, seed: int
    ) -> tuple[Head, np.ndarray]:
        """Grow the head, and learn `new` rows that start at zero.

        Args:
            head: of the classes so far; None in the base session.
            old: rows so far, frozen.
            z: (n, m) features of the labelled nodes, replayed ones among them; target: (n,) their columns; matched:
                (n,) indices of their nearest prototypes, of which the first len(old.rows) are old.
            new: number of new rows.
        Returns: the new head and the (new, C) logits of the new rows.
        """
        features, labels, nearest = (torch.from_numpy(np.asarray(one)) for one in (z, target, matched))
        known = head.last.out_features if head else 0
        classes = max(known, int(target.max()) + 1)
        frozen = torch.full((len(old.rows), classes), float(ABSENT))
        frozen[:, : old.rows.shape[1]] = torch.from_numpy(old.rows)
        frozen = frozen.softmax(1)
        balance = 1 / torch.bincount(labels).float()[labels]
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed)
            grown = head.grown(classes - known) if head else Head(z.shape[1], classes)
            grown.train().requires_grad_(True)
            rows = torch.zeros(new, classes, requires_grad=True)
            groups = [{"params": list(grown.parameters())}, {"params": [rows], "lr": self.rows_lr}]
            optimiser = torch.optim.Adam(groups, lr=self.lr)
            some = torch.arange(len(z))
            for _ in range(self.steps if head else self.base_steps):
                if len(z) > BATCH:  # classes alike: the head is to teach the row of a small class, too
                    some = torch.multinomial(balance, BATCH, True, generator=generator)
                optimiser.zero_grad()
                self.loss(grown(features[some]), labels[some], nearest[some], frozen, rows, known).backward()
                optimiser.step()
        return grown.eval().requires_grad_(False), rows.detach().numpy()

    def loss(self, logits: Tensor, target: Tensor, matched: Tensor, frozen: Tensor, rows: Tensor, known: int) -> Tensor:
        """CE(g, y) + memory * KL(P_old || g) + update * KL(g || P_new).

        The memory loss is about nodes of old classes that are matched to old prototypes: a node of a new class that is
        matched to an old one would be pulled to the wrong class.

        Args:
            logits: (n, C) of the head; target: (n,); matched: (n,) nearest prototypes, old ones first.
            frozen: (P, C) probabilities of old rows; rows: (new, C) logits of new ones; known: number of old classes.
        """
        fresh = matched >= len(frozen)
        own = rows[matched[fresh] - len(frozen)]
        loss = F.cross_entropy(logits, target)
        if not self.distil:
            return loss + F.cross_entropy(own, target[fresh], reduction="sum") / max(len(own), 1)
        kept = ~fresh & (target < known)
        loss = loss + self.memory * memory_loss(frozen[matched[kept]], logits[kept])
        return loss + self.update * update_loss(logits[fresh], own)
