"""Fitness of schedules: what a schedule costs the model on scored tokens; lower is better.

A verdict is a mean over sequences, each by its own mean over scored tokens: a question of two tokens counts as much
as a window of text. Schedules already judged are not run again; those that are new are taken in lexical order, and each
starts at the first block in which it differs from all that are still held (`_prefixes.py`). All sequences run as one
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from ninefold.errors import InputError
from torch import Tensor

from tokenprune.executor._executor import Executor
from tokenprune.executor._router import Everything, Router
from tokenprune.executor._scored import Scored, divergence, nll
from tokenprune.executor._stream import Stream
from tokenprune.ftp._prefixes import Prefixes
from tokenprune.models._layout import Layout

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
        means: (sequences,) what each verdict is the mean of, by schedule.

    Examples:
        >>> from tokenprune import Layout, StaticRouter, datasets, tiny_model, windows
        >>> from tokenprune.ftp import Fitness

        >>> model = tiny_model()
        >>> ids = datasets.tokens(datasets.embedded_text(), None)  # no tokenizer: bytes
        >>> texts = windows(ids, length=48, scored=8, count=4)

        >>> judge = Fitness(Layout.of(model), texts, StaticRouter)
        >>> none, late = judge([(0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.5, 0.5)])
        >>> round(none, 4), late > none, judge.evaluations
        (0.0, True, 2)
    """

    def __init__(
        self, layout: Layout, data: Scored, router: Callable[[Schedule], Router], *, kind: Kind = "kl",
        reuse: bool = True,
    ) -> None:  # fmt: skip
        if kind not in ("kl", "nll", "accuracy"):
            raise InputError("fitness", got=repr(kind), expected="kl, nll or accuracy")
        self.executor, self.data, self.router = Executor(layout), data, router
        self.kind: Kind = kind
        self.reuse, self.evaluations, self.blocks_run = reuse, 0, 0
        self.memo: dict[Schedule, float] = {}
        self.means: dict[Schedule, Tensor] = {}
        self._prefixes: Prefixes | None = None
        self.executor.router = Everything()
        self.reference = data.run(self.executor)[0].log_softmax(-1) if kind == "kl" else None

    def forget(self) -> None:
        """Drop verdicts and states: the router has changed."""
        self.memo.clear()
        self.means.clear()
        self._prefixes = None

    @torch.no_grad()
    def __call__(self, schedules: Sequence[Schedule], advance: Callable[[], object] = lambda: None) -> list[float]:
        """One verdict for each schedule; `advance` is called after each that was run."""
        if not self.reuse:
            return [float(self._run(one, 0, self.data.start(self.executor), advance)[0].mean()) for one in schedules]
        new = sorted({one for one in schedules if one not in self.memo})
        self._judge(new, advance)
        self.memo |= {one: float(self.means[one].mean()) for one in new}
        return [self.memo[one] for one in schedules]

    def choose(self, candidates: Sequence[Schedule]) -> Schedule:
        """The best of these if it is better than the first by more than a standard error, else the first.

        Of many schedules that are alike the best on a few sequences is so by chance, and worse than the first on
        others (the one-standard-error rule, Breiman et al. 1984; the error is that of the mean difference over the
        sequences). One sequence tells nothing: the first.
        """
        first = candidates[0]
        verdicts = self(candidates)
        best = candidates[int(torch.tensor(verdicts).argmin())]
        gains = self.means[first] - self.means[best]
        error = gains.std(correction=1) / len(gains) ** 0.5 if len(gains) > 1 else torch.tensor(float("inf"))
        return best if gains.mean() > error else first

    def _judge(self, schedules: Sequence[Schedule], advance: Callable[[], object]) -> None:
        """Schedules in lexical order."""
        self._prefixes = self._prefixes or Prefixes(self.data.start(self.executor), self.executor.blocks)
        for one in schedules:
            self.means[one], streams = self._run(one, *self._prefixes.longest(one), advance)
            self._prefixes.note(one, streams)

    def _run(
        self, schedule: Schedule, done: int, stream: Stream, advance: Callable[[], object]
    ) -> tuple[Tensor, list[Stream]]:
        """Go on from the stream after so many blocks: (sequences,) means, and the stream after each block run."""
        self.executor.router = self.router(schedule)
        streams = []
        for block in range(done, self.executor.blocks):
            self.executor.step(stream, block)
            streams.append(stream.snapshot())
        self.evaluations += 1
        self.blocks_run += len(streams)
        advance()
        logits = self.data.logits(self.executor, stream)
        if self.reference is not None:
            values = divergence(self.reference, logits)
        elif self.kind == "nll":
            values = nll(logits, self.data.targets)
        else:
            values = (logits.argmax(-1).cpu() != self.data.targets).float()
        return self.data.by_sequence(values.cpu()) / torch.tensor(self.data.counts), streams
