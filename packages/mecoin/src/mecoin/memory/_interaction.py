"""Training of the memory's rows and the head, in the base session and when classes come.

Gradients are in closed form (`_gkim`), and Adam is written out: on five nodes, automatic differentiation costs several
times the arithmetic, and making an optimiser of torch's loads its compiler, which takes longer than adding a class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mecoin.memory._gkim import Head, memory_slope, update_slope
from mecoin.memory._mram import ABSENT, Mram

BATCH = 512


@dataclass(frozen=True)
class Interaction:
    """How head and rows are trained together.

    Attributes:
        memory, update: weights of the two distillation terms (authors' code: .5 each).
        steps: Adam steps in the base session and in each later one; the number is fixed, so that no label beyond the
            support is needed to stop.
        lr: Adam's.
        solve: do not step the rows; put them where the update loss is least, which is known in closed form: the mean of
            what the trained head says of a prototype's nodes. Adam's fixed steps leave rows of a session with five
            nodes far flatter than those of the base session, so that a mixture of rows favours base classes. (ours)
        distil: False trains the rows by cross-entropy alone, as if there were no head (the ablation "no GKIM").
    """

    memory: float = 0.5
    update: float = 0.5
    base_steps: int = 300
    steps: int = 100
    lr: float = 1e-2
    solve: bool = False
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
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.default_generator.manual_seed(seed)  # not torch.manual_seed, which also writes down the call stack
            known = head.last.out_features if head else 0
            classes = max(known, int(target.max()) + 1)
            grown = head.grown(classes - known) if head else Head(z.shape[1], classes)
            samples = _Samples.of(old, classes, z, target, matched, new)
            rows = torch.zeros(new, classes)
            self._descend(grown, rows, samples, self.steps if head else self.base_steps, generator)
            if self.solve:
                self._solve(grown.eval(), rows, samples)
        return grown.eval().requires_grad_(False), rows.numpy()

    def _descend(self, head: Head, rows: Tensor, samples: _Samples, steps: int, generator: torch.Generator) -> None:
        """Adam over all parameters as one vector, in place."""
        parts = [head.first.weight, head.first.bias, head.last.weight, head.last.bias, rows]
        flat = torch.cat([part.reshape(-1) for part in parts])
        slope, first, second = (torch.zeros_like(flat) for _ in range(3))
        sizes = [part.numel() for part in parts]
        weights, slopes = (
            [piece.view_as(part) for piece, part in zip(whole.split(sizes), parts, strict=True)]
            for whole in (flat, slope)
        )
        count, taught = len(samples.target), self.distil and not bool(samples.fresh.all())
        for step in range(1, steps + 1):
            batch = samples
            if count > BATCH:
                # classes alike: the head is to teach the row of a small class, too
                batch = samples.take(torch.multinomial(samples.balance, BATCH, True, generator=generator))
            self._slopes(weights, slopes, batch, taught)
            first.lerp_(slope, 0.1)
            second.mul_(0.999).addcmul_(slope, slope, value=0.001)
            spread = (second / (1 - 0.999**step)).sqrt_().add_(1e-8)
            flat.addcdiv_(first, spread, value=-self.lr / (1 - 0.9**step))
        for part, learnt in zip(parts, weights, strict=True):
            part.copy_(learnt)

    def _solve(self, head: Head, rows: Tensor, samples: _Samples) -> None:
        """Rows of least mean KL(head || row), in place; of a prototype that is nobody's nearest it stays."""
        share = head(samples.z).softmax(1) if self.distil else samples.target
        count = samples.match.sum(0)[:, None]
        best = (samples.match.T @ share / count.clamp(min=1)).log().clamp(min=float(ABSENT))
        rows.copy_(torch.where(count > 0, best, rows))

    def _slopes(self, weights: list[Tensor], slopes: list[Tensor], batch: _Samples, taught: bool) -> None:
        """Write the gradient of cross-entropy and distillation terms into `slopes`; taught: by old rows, too."""
        first, bias, last, last_bias, rows = weights
        x = F.dropout(batch.z, 0.5)
        inner = torch.addmm(bias, x, first.T).relu_()
        share = torch.addmm(last_bias, inner, last.T).softmax(1)
        logits = (share - batch.target) / len(share)
        if taught:
            logits += self.memory * memory_slope(batch.frozen, share, batch.fresh)
        if not self.solve:
            weight, teacher = (self.update, share) if self.distil else (1, batch.target)
            slopes[4].copy_(weight * update_slope(teacher, rows, batch.match))
        torch.mm(logits.T, inner, out=slopes[2])
        torch.sum(logits, 0, out=slopes[3])
        back = (logits @ last) * (inner > 0)
        torch.mm(back.T, x, out=slopes[0])
        torch.sum(back, 0, out=slopes[1])


@dataclass(frozen=True)
class _Samples:
    """Labelled nodes: features (n, m), target (n, C) one-hot, and what the memory says of them.

    Attributes:
        frozen: (n, C) probabilities of the matched old rows; zeros where the matched prototype is new.
        fresh: (n, 1) is the matched prototype new?
        match: (n, new) one-hot place of the matched new prototype; zeros where it is old.
        balance: (n,) one over the number of nodes of its class.
    """

    z: Tensor
    target: Tensor
    frozen: Tensor
    fresh: Tensor
    match: Tensor
    balance: Tensor

    @classmethod
    def of(cls, old: Mram, classes: int, z: np.ndarray, target: np.ndarray, matched: np.ndarray, new: int) -> _Samples:
        """What stays the same in all steps."""
        count = len(old.rows)
        logits = torch.full((count, classes), float(ABSENT))
        logits[:, : old.rows.shape[1]] = torch.from_numpy(old.rows)
        place = torch.from_numpy(matched)
        fresh = (place >= count)[:, None]
        frozen = torch.zeros(len(z), classes)
        frozen[~fresh[:, 0]] = logits.softmax(1)[place[~fresh[:, 0]]]
        match = F.one_hot((place - count).clamp(min=0), new).float() * fresh
        truth = F.one_hot(torch.from_numpy(target), classes).float()
        balance = 1 / truth.sum(0)[torch.from_numpy(target)]
        return cls(torch.from_numpy(z), truth, frozen, fresh, match, balance)

    def take(self, some: Tensor) -> _Samples:
        """Some of them."""
        return _Samples(*(part[some] for part in vars(self).values()))
