"""Training of the memory's rows and the head, in the base session and when classes come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from mecoin._gkim import Head, memory_loss, update_loss
from mecoin._mram import ABSENT, Mram

BATCH = 512


@dataclass(frozen=True)
class Interaction:
    """How head and rows are trained together.

    Attributes:
        memory, update: weights of the two distillation terms (authors' code: .5 each).
        steps: Adam steps in the base session and in each later one; the number is fixed, so that no label beyond the
            support is needed to stop.
        lr: Adam's.
        distil: False trains the rows by cross-entropy alone, as if there were no head (the ablation "no GKIM").
    """

    memory: float = 0.5
    update: float = 0.5
    base_steps: int = 300
    steps: int = 100
    lr: float = 1e-2
    distil: bool = True

    def learn(
        self, head: Head | None, old: Mram, z: np.ndarray, target: np.ndarray, matched: np.ndarray, new: int, seed: int
    ) -> tuple[Head, np.ndarray]:
        """Grow the head, and learn `new` rows that start at zero.

        Args:
            head: of the classes so far; None in the base session.
            old: rows so far, frozen.
            z: (n, m) features of the labelled nodes; target: (n,) their columns; matched: (n,) places of their nearest
                prototypes, of which the first len(old.rows) are old.
            new: number of new rows.
        Returns: the new head and the (new, C) logits of the new rows.
        """
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self._learn(head, old, z, target, matched, new, generator)

    def _learn(
        self,
        head: Head | None,
        old: Mram,
        z: np.ndarray,
        target: np.ndarray,
        matched: np.ndarray,
        new: int,
        generator: torch.Generator,
    ) -> tuple[Head, np.ndarray]:
        known = head.last.out_features if head else 0
        classes = max(known, int(target.max()) + 1)
        grown = head.grown(classes - known) if head else Head(z.shape[1], classes)
        frozen = torch.full((len(old.rows), classes), float(ABSENT))
        frozen[:, : old.rows.shape[1]] = torch.from_numpy(old.rows)
        rows = torch.zeros(new, classes, requires_grad=True)
        features, labels, places = torch.from_numpy(z), torch.from_numpy(target), torch.from_numpy(matched)
        optimiser = torch.optim.Adam([*grown.parameters(), rows], lr=self.lr)
        grown.train()
        for _ in range(self.steps if head else self.base_steps):
            some = torch.arange(len(z)) if len(z) <= BATCH else torch.randint(len(z), (BATCH,), generator=generator)
            logits, at = grown(features[some]), places[some]
            fresh = at >= len(frozen)
            loss = F.cross_entropy(logits, labels[some])
            if self.distil:
                loss = loss + self.memory * memory_loss(frozen[at[~fresh]], logits[~fresh])
                loss = loss + self.update * update_loss(logits[fresh], rows[at[fresh] - len(frozen)])
            elif bool(fresh.any()):
                loss = loss + F.cross_entropy(rows[at[fresh] - len(frozen)], labels[some][fresh])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        grown.eval().requires_grad_(False)
        return grown, rows.detach().numpy().copy()
