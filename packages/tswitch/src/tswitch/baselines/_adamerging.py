"""AdaMerging, layer-wise: learn the coefficients that make predictions on unlabelled inputs least uncertain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from ninefold.artifacts import load_state, save_state
from ninefold.errors import InputError
from torch import Tensor

from tswitch.baselines._base import Merger
from tswitch.checkpoints._given import Model
from tswitch.switch._tasks import Piece, TaskVectors

_STATE: dict[str, Any] = {"kind": "tswitch.adamerging-state", "format_version": 1}
_KEEP_EVERY = 50


@dataclass(frozen=True, kw_only=True)
class AdaMerging(Merger):
    """theta_0 + sum of lambda_{l,i} tau_{l,i}, one coefficient for each tensor l and task i.

    Attributes:
        initial: every lambda before learning.
        coefficients: learned lambdas by tensor name, K each; see `learn`.
    """

    name = "adamerging"
    source = "arXiv 2310.02575"
    limits = "needs unlabelled test inputs of every task and holds all models while it learns"
    initial: float = 0.3
    coefficients: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def learn(
        self,
        base: Model,
        models: Sequence[Model],
        batches: Iterable[Sequence[tuple[int, Any]]],
        predict: Callable[[Mapping[str, Tensor], int, Any], Tensor],
        *,
        rate: float = 1e-3,
        together: Callable[[Mapping[str, Tensor], Sequence[tuple[int, Any]]], Sequence[Tensor]] | None = None,
        kept: Path | None = None,
        on_step: Callable[[float], object] = lambda _: None,
    ) -> AdaMerging:
        """Minimise the mean entropy of the predictions, summed over tasks, with Adam.

        Args:
            base, models: as for `fit`.
            batches: one item a step: (task, unlabelled inputs) pairs.
            predict: (state dict, task, inputs) -> logits (rows, classes), differentiable in the state dict.
            rate: Adam's learning rate.
            together: (state dict, a step's item) -> logits of each pair; called in place of `predict` where one forward
                pass over the inputs of all tasks is cheaper than one for each.
            kept: file of the state after every 50 steps; a run of the same arguments that was killed goes on from it.
            on_step: called with each step's loss, those before the state in `kept` included.
        Returns: this method with learned coefficients, each in [0, 1].
        """
        tasks = TaskVectors(base, models)
        pieces = [tasks.whole(name) for name in tasks.names]
        raw = torch.full((len(pieces), len(tasks)), self.initial, requires_grad=True)
        adam = torch.optim.Adam([raw], lr=rate, betas=(0.9, 0.999))
        fixed = {name: tasks.base.read(name) for name in tasks.copied}
        seen: list[float] = []
        if kept is not None and kept.exists():
            state = load_state(kept, **_STATE)
            adam.load_state_dict(state["adam"])
            with torch.no_grad():
                raw.copy_(state["raw"])
            seen = state["losses"]
            for value in seen:
                on_step(value)
        done = len(seen)
        for step, batch in enumerate(batches):
            if step < done:
                continue
            rows = zip(pieces, raw.clamp(0, 1), strict=True)
            state = {p.name: (p.base + row @ p.deltas).reshape(p.shape) for p, row in rows} | fixed
            state |= {other: state[name] for other, name in tasks.base.tied.items()}
            each = together(state, batch) if together is not None else [predict(state, *pair) for pair in batch]
            losses = [_entropy(logits) for logits in each]
            loss = torch.stack(losses).sum()
            if not torch.isfinite(loss):
                raise InputError(
                    "entropy of the predictions", got=loss.item(), where=f"step {step}", expected="a finite value"
                )
            adam.zero_grad()
            loss.backward()
            adam.step()
            seen.append(loss.item())
            on_step(seen[-1])
            if kept is not None and len(seen) % _KEEP_EVERY == 0:
                held = {"raw": raw.detach(), "adam": adam.state_dict(), "losses": seen}
                save_state(kept, held, **_STATE, package="tswitch")
        learned = raw.detach().clamp(0, 1).tolist()
        return replace(self, coefficients={p.name: tuple(row) for p, row in zip(pieces, learned, strict=True)})

    def merge_tensor(self, piece: Piece, measured: Any) -> Tensor:
        """Sum of lambda_i tau_i of this tensor."""
        row = self.coefficients.get(piece.name, [self.initial] * len(piece.deltas))
        return torch.tensor(row) @ piece.deltas


def _entropy(logits: Tensor) -> Tensor:
    logits = logits.float()
    return -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1).mean()
