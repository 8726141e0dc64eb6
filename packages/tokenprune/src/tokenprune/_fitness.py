"""Fitness of schedules: what a schedule costs the model on scored tokens; lower is better.

Schedules already judged are not run again; those that are new are taken in lexical order, and each starts from the
states of the one before at the first block in which they differ. All sequences run as one batch. Under torchrun the
processes share the new ones out, and all end with the same verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from ninefold.errors import InputError

from tokenprune import _processes
from tokenprune._executor import Everything, Executor, Router
from tokenprune._layout import Layout
from tokenprune._scored import Scored, divergence, nll
from tokenprune._stream import Stream

Kind = Literal["kl", "nll", "accuracy"]
Schedule = tuple[float, ...]


class Fitness:
    """Judges schedules.

    Args:
        layout: the model.
        data: sequences and their scored tokens.
        router: makes the router of a schedule.
        kind: "kl": divergence from the dense model (the default); "nll": of the scored tokens; "accuracy": the share
            of scored tokens that are not the most likely one (the paper's fitness is accuracy, here as an error).
        reuse: keep verdicts and states; off only to measure what that saves.

    Attributes:
        evaluations: schedules that were run.
        blocks_run: blocks that were run for them.
        memo: verdict by schedule.
    """

    def __init__(
        self, layout: Layout, data: Scored, router: Callable[[Schedule], Router], *, kind: Kind = "kl",
        reuse: bool = True,
    ) -> None:  # fmt: skip
        if kind not in ("kl", "nll", "accuracy"):
            raise InputError("fitness", got=repr(kind), expected="kl, nll or accuracy")
        self.executor, self.data, self.router = Executor(layout), data, router
        self.kind: Kind = kind
        self.reuse, self.memo, self.evaluations, self.blocks_run = reuse, {}, 0, 0
        self.memo: dict[Schedule, float]
        self.executor.router = Everything()
        self.reference = data.run(self.executor)[0].log_softmax(-1) if kind == "kl" else None

    @torch.no_grad()
    def __call__(self, schedules: Sequence[Schedule], advance: Callable[[], object] = lambda: None) -> list[float]:
        """One verdict for each schedule; `advance` is called after each that was run."""
        if not self.reuse:
            return [self._run(one, [self.data.start(self.executor)], 0, advance) for one in schedules]
        new = sorted({one for one in schedules if one not in self.memo})
        rank, processes = _processes.place()
        share = -(-len(new) // processes)
        self._judge(new[rank * share : (rank + 1) * share], advance)
        for found in _processes.gathered({one: self.memo[one] for one in new if one in self.memo}):
            self.memo |= found
        return [self.memo[one] for one in schedules]

    def _judge(self, schedules: Sequence[Schedule], advance: Callable[[], object]) -> None:
        """Schedules in lexical order."""
        states: list[Stream] = [self.data.start(self.executor)]
        before: Schedule = ()
        for one in schedules:
            same = next((i for i, (a, b) in enumerate(zip(one, before, strict=False)) if a != b), 0) if before else 0
            del states[same + 1 :]
            self.memo[one] = self._run(one, states, same, advance)
            before = one

    def _run(self, schedule: Schedule, states: list[Stream], start: int, advance: Callable[[], object]) -> float:
        self.executor.router = self.router(schedule)
        stream = states[start].snapshot()
        for block in range(start, self.executor.blocks):
            self.executor.step(stream, block)
            states.append(stream.snapshot())
        self.evaluations += 1
        self.blocks_run += self.executor.blocks - start
        advance()
        logits = self.data.logits(self.executor, stream)
        if self.reference is not None:
            return float(divergence(self.reference, logits).mean())
        if self.kind == "nll":
            return float(nll(logits, self.data.targets).mean())
        return float((logits.argmax(-1).cpu() != self.data.targets).float().mean())
