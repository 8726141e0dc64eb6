"""SASRec: self-attention over a user's last events, with full softmax, shared negatives, or the original loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError, require

from recsys.data._dataset import Dataset
from recsys.data._history import History
from recsys.data._words import codes, distinct, pack, unpack
from recsys.recommender._pretrained import Pretrained
from recsys.recommender._query import Query
from recsys.sequence._sequences import TIMES, Sequences, time_codes

LOSSES = ("softmax", "sampled", "bce")


@dataclass(kw_only=True, eq=False, repr=False)
class SASRec(Pretrained):
    """A causal transformer whose last state is held against the items' vectors. Needs the extra `torch`.

    Processes that torchrun starts train one model together: each takes its share of every batch.

    Args:
        factors, blocks, heads, dropout: of the network.
        longest: events looked at.
        loss: "softmax" over the catalogue (SASRec+), "sampled" (`negatives` drawn for each sequence and shared by its
            steps) or "bce" (one negative a step: the original, here as the rival).
        negatives: of the sampled loss.
        epochs, batch, learning_rate: of Adam.
        patience: epochs without a lower loss on held-out steps after which training stops; the best epoch is kept.
        action: context column whose embedding is added to the item's; None: not used.
        time: what of an event's time is added likewise: "gap" since the event before, hour of the "week", or None.
        device: torch device of the training.
        seed: of start, order, negatives and dropout.
    """

    name: ClassVar[str] = "sasrec"
    source: ClassVar[str] = "arXiv 1808.09781, 2309.07602"
    fitted: ClassVar[tuple[str, ...]] = ("parameters_", "actions_")
    trains_together: ClassVar[bool] = True
    space: ClassVar[dict[str, Any]] = {
        "factors": [32, 64, 128],
        "blocks": [1, 2],
        "dropout": (0.05, 0.5),
        "learning_rate": (0.0003, 0.003, "log"),
    }
    factors: int = 64
    blocks: int = 2
    heads: int = 1
    dropout: float = 0.1
    longest: int = 50
    loss: str = "softmax"
    negatives: int = 3000
    epochs: int = 100
    batch: int = 128
    learning_rate: float = 0.001
    patience: int = 10
    action: str | None = None
    time: str | None = None
    device: str = "cpu"
    seed: int = 0

    def _fit(self, data: Dataset) -> None:  # noqa: ARG002
        require("torch", "recsys", "torch")
        from recsys.neural._parallel import Group, SharedCheckpoint
        from recsys.neural._train import Trainer, set_vector

        self._check()
        self._group = Group.join(self.device)
        history = self.history_
        self.actions_ = pack(distinct(history.context[self.action]) if self.action else [])
        sequences = Sequences(history, self._marks(history), self.longest)
        if not len(sequences):
            raise InputError("SASRec", got="no user with two events", expected="sequences")
        net = self._net().to(self.device)
        trainer = Trainer(net, self.learning_rate)
        steps = -(-len(sequences) // self.batch)
        self.state_, self.best_ = trainer.state(), trainer.state()[0]
        self.record_ = np.array([np.inf, 0.0, 0.0])  # lowest held-out loss, epochs since, epochs done
        if self._checkpoint is not None and self._group.size > 1:
            like = {"state_": self.state_, "best_": self.best_, "record_": self.record_}
            self._checkpoint = SharedCheckpoint(self._checkpoint, self._group, like, self.device)
        for epoch in self._epochs(self.epochs, ("state_", "best_", "record_")):
            if self.record_[1] >= self.patience:
                continue
            trainer.restore(self.state_, epoch * steps)
            trainer.epoch(self._losses(net, sequences, epoch), (self.seed, epoch), self._group)
            held = float(self._group.same(np.array([self._held_loss(net, sequences)]), self.device)[0])
            self.state_ = trainer.state()
            better = held < self.record_[0]
            self.best_ = self.state_[0].copy() if better else self.best_
            self.record_ = np.array([min(held, self.record_[0]), 0 if better else self.record_[1] + 1, epoch + 1])
            if not np.isfinite(held):
                raise InputError(f"loss of {self!r}", got=f"{held} after epoch {epoch + 1}", expected="a finite loss")
        self.parameters_ = self.best_
        set_vector(net, self.parameters_)
        del self.state_, self.best_
        self._ready = net

    def _reads(self) -> list[str]:
        return [] if self.action is None else [self.action]

    def _check(self) -> None:
        if self.loss not in LOSSES:
            raise InputError("loss", got=repr(self.loss), expected=f"one of {LOSSES}")
        if min(self.factors, self.blocks, self.heads, self.longest, self.epochs, self.batch, self.negatives) < 1:
            raise InputError("SASRec", got=repr(self), expected="positive sizes")
        if not self.learning_rate > 0 or self.patience < 1:
            raise InputError("learning_rate, patience", got=repr(self), expected="positive numbers")
        if self.factors % self.heads or not 0 <= self.dropout < 1:
            raise InputError("SASRec", got=repr(self), expected="factors divided by heads, a dropout in [0, 1)")
        if self.action is not None and self.action not in self.history_.context.column_names:
            known = self.history_.context.column_names
            raise InputError("action", got=repr(self.action), expected=f"one of {known}, the context")
        if self.time is not None and self.time not in TIMES:
            raise InputError("time", got=repr(self.time), expected=f"one of {sorted(TIMES)}, or None")

    def _net(self) -> Any:
        torch = require("torch", "recsys", "torch")

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return self._make_net()

    def _make_net(self) -> Any:
        from recsys.neural._transformer import SASRecNet

        sizes = self.factors, self.blocks, self.heads, self.longest, self.dropout
        return SASRecNet(len(self.item_ids_), self._mark_sizes(), *sizes)

    def _mark_sizes(self) -> list[int]:
        """Codes of each mark that is added to an item."""
        actions = [] if self.action is None else [len(unpack(self.actions_))]
        return actions if self.time is None else [*actions, TIMES[self.time]]

    def _marks(self, history: History) -> list[np.ndarray]:
        """Codes of each event's marks, int (events,) each."""
        actions = [] if self.action is None else [codes(history.context[self.action], self.actions_)]
        return actions if self.time is None else [*actions, time_codes(history, self.time)]

    def _losses(self, net: Any, sequences: Sequences, epoch: int) -> Iterator[Callable[[], Any]]:
        """One loss a batch. Sequences of like length share a batch, which is then padded little; a batch weighs as
        its steps do, so that each step counts alike."""
        draw = np.random.default_rng([self.seed, epoch])
        batches, steps = sequences.batches(self.batch, draw)
        for rows, weight in zip(batches, steps / steps.mean(), strict=True):
            yield lambda rows=rows, weight=float(weight): self._loss(net, sequences, rows, draw, held=False) * weight

    def _held_loss(self, net: Any, sequences: Sequences) -> float:
        """Loss of the last step of up to 4,096 sequences of three events or more, without dropout."""
        torch = require("torch", "recsys", "torch")

        net.eval()
        rows = np.flatnonzero(sequences.counts > 2)[:4096]
        rows = rows if len(rows) else np.arange(len(sequences))
        draw, total = np.random.default_rng(self.seed), 0.0
        with torch.no_grad():
            for start in range(0, len(rows), self.batch):
                part = rows[start : start + self.batch]
                total += float(self._loss(net, sequences, part, draw, held=True)) * len(part)
        return total / len(rows)

    def _loss(self, net: Any, sequences: Sequences, rows: np.ndarray, draw: np.random.Generator, *, held: bool) -> Any:
        """Mean loss over a batch's steps; in training, what this process's rows add to it."""
        torch = require("torch", "recsys", "torch")

        from recsys.neural._transformer import binary_loss, sampled_loss, softmax_loss

        inputs, target, negatives = self._batch(sequences, rows, draw, held=held)
        mine, share = (slice(None), 1.0) if held else self._group.share(target)
        if share == 0:  # nothing to learn from here: a gradient of zero
            return sum(one.sum() for one in net.parameters()) * 0.0

        def there(array: np.ndarray) -> Any:
            return torch.from_numpy(array[mine]).to(self.device)

        hidden, vectors, wanted = net(*map(there, inputs)), net.vectors(), there(target)
        if negatives is None:
            return softmax_loss(hidden, wanted, vectors) * share
        loss = sampled_loss if self.loss == "sampled" else binary_loss
        return loss(hidden, wanted, vectors, there(negatives)) * share

    def _batch(
        self, sequences: Sequences, rows: np.ndarray, draw: np.random.Generator, *, held: bool
    ) -> tuple[list[np.ndarray], np.ndarray, np.ndarray | None]:
        """(the network's inputs; items wanted, -1 for none; items to be told from them, if the loss draws any)."""
        inputs, target = sequences.padded(rows, held=held)
        size = len(self.item_ids_)
        if self.loss == "softmax":
            return inputs, target, None
        if self.loss == "sampled":
            return inputs, target, draw.integers(0, size, (len(rows), min(self.negatives, size)))
        return inputs, target, sequences.negatives(rows, target, draw)

    def _factors(self, query: Query) -> tuple[np.ndarray, np.ndarray]:
        torch = require("torch", "recsys", "torch")

        net = self._network()
        inputs = Sequences(query.history, self._marks(query.history), self.longest, shortest=1)
        states = np.zeros((len(query), self.factors), np.float32)
        with torch.no_grad():
            for start in range(0, len(inputs), 512):
                rows = np.arange(start, min(start + 512, len(inputs)))
                states[inputs.rows[rows]] = net(*map(torch.from_numpy, inputs.inputs(rows)))[:, -1].numpy()
            return states, net.vectors().numpy().copy()

    def _network(self) -> Any:
        """The network with its learned parameters, on the CPU, made once."""
        if not hasattr(self, "_ready") or self._ready is None:
            require("torch", "recsys", "torch")
            from recsys.neural._train import set_vector

            self._ready = self._net()
            set_vector(self._ready, self.parameters_)
        return self._ready.cpu().eval()

    def _item_vectors(self) -> np.ndarray:
        return self._network().vectors().detach().numpy().copy()
