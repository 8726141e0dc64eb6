"""SASRec: self-attention over a user's last events, with full softmax, shared negatives, or the original loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError, require

from recsys._base import Recommender
from recsys._dataset import Dataset
from recsys._history import History
from recsys._query import Query
from recsys._words import codes, distinct, pack, unpack

LOSSES = ("softmax", "sampled", "bce")


@dataclass(kw_only=True, eq=False, repr=False)
class SASRec(Recommender):
    """A causal transformer whose last state is held against the items' vectors. Needs the extra `torch`.

    Args:
        factors, blocks, heads, dropout: of the network.
        longest: events looked at.
        loss: "softmax" over the catalogue (SASRec+), "sampled" (`negatives` drawn for each sequence and shared by its
            steps) or "bce" (one negative a step: the original, here as the rival).
        negatives: of the sampled loss.
        epochs, batch, learning_rate: of Adam.
        patience: epochs without a lower loss on held-out steps after which training stops; the best epoch is kept.
        action: context column whose embedding is added to the item's; None: not used.
        device: torch device of the training.
        seed: of start, order, negatives and dropout.
    """

    name: ClassVar[str] = "sasrec"
    source: ClassVar[str] = "arXiv 1808.09781, 2309.07602"
    fitted: ClassVar[tuple[str, ...]] = ("parameters_", "actions_")
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
    device: str = "cpu"
    seed: int = 0

    def _fit(self, data: Dataset) -> None:  # noqa: ARG002
        require("torch", "recsys", "torch")
        from recsys.neural._train import Trainer, set_vector

        self._check()
        history = self.history_
        self.actions_ = pack(distinct(history.context[self.action]) if self.action else [])
        sequences = Sequences(history, self._action_codes(history), self.longest)
        if not len(sequences):
            raise InputError("SASRec", got="no user with two events", expected="sequences")
        net = self._net().to(self.device)
        trainer = Trainer(net, self.learning_rate)
        steps = -(-len(sequences) // self.batch)
        self.state_, self.best_ = trainer.state(), trainer.state()[0]
        self.record_ = np.array([np.inf, 0.0, 0.0])  # lowest held-out loss, epochs since, epochs done
        for epoch in self._epochs(self.epochs, ("state_", "best_", "record_")):
            if self.record_[1] >= self.patience:
                continue
            trainer.restore(self.state_, epoch * steps)
            trainer.epoch(self._losses(net, sequences, epoch), (self.seed, epoch))
            held = self._held_loss(net, sequences)
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

    def _check(self) -> None:
        if self.loss not in LOSSES:
            raise InputError("loss", got=repr(self.loss), expected=f"one of {LOSSES}")
        if min(self.factors, self.blocks, self.heads, self.longest, self.epochs, self.batch, self.negatives) < 1:
            raise InputError("SASRec", got=repr(self), expected="positive sizes")
        if self.factors % self.heads or not 0 <= self.dropout < 1:
            raise InputError("SASRec", got=repr(self), expected="factors divided by heads, a dropout in [0, 1)")
        if self.action is not None and self.action not in self.history_.context.column_names:
            known = self.history_.context.column_names
            raise InputError("action", got=repr(self.action), expected=f"one of {known}, the context")

    def _net(self) -> Any:
        torch = require("torch", "recsys", "torch")

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return self._make_net()

    def _make_net(self) -> Any:
        from recsys.neural._transformer import SASRecNet

        return SASRecNet(
            len(self.item_ids_), len(unpack(self.actions_)), self.factors, self.blocks, self.heads, self.longest,
            self.dropout,
        )  # fmt: skip

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
        torch = require("torch", "recsys", "torch")

        from recsys.neural._transformer import binary_loss, sampled_loss, softmax_loss

        items, actions, target = sequences.padded(rows, held=held)

        def there(array: np.ndarray) -> Any:
            return torch.from_numpy(array).to(self.device)

        hidden, vectors = net(there(items), None if actions is None else there(actions)), net.vectors()
        size, wanted = len(self.item_ids_), there(target)
        if self.loss == "softmax":
            return softmax_loss(hidden, wanted, vectors)
        if self.loss == "sampled":
            negatives = draw.integers(0, size, (len(rows), min(self.negatives, size)))
            return sampled_loss(hidden, wanted, vectors, there(negatives))
        return binary_loss(hidden, wanted, vectors, there(sequences.negatives(rows, target, draw)))

    def _action_codes(self, history: History) -> np.ndarray | None:
        return None if self.action is None else codes(history.context[self.action], self.actions_)

    def _factors(self, query: Query) -> tuple[np.ndarray, np.ndarray]:
        torch = require("torch", "recsys", "torch")

        net = self._network()
        inputs = Sequences(query.history, self._action_codes(query.history), self.longest, shortest=1)
        states = np.zeros((len(query), self.factors), np.float32)
        with torch.no_grad():
            for start in range(0, len(inputs), 512):
                rows = np.arange(start, min(start + 512, len(inputs)))
                items, actions = inputs.inputs(rows)
                given = [None if one is None else torch.from_numpy(one) for one in (items, actions)]
                states[inputs.rows[rows]] = net(*given)[:, -1].numpy()
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


class Sequences:
    """The last `longest` steps of the users with `shortest` events or more, as left-padded arrays."""

    def __init__(self, history: History, actions: np.ndarray | None, longest: int, shortest: int = 2) -> None:
        self.history, self.actions, self.longest = history, actions, longest
        self.rows = np.flatnonzero(history.counts >= shortest)
        self.counts = history.counts[self.rows]

    @cached_property
    def had(self) -> np.ndarray:
        """user * items + item of all pairs, sorted."""
        return np.unique(self.history.rows() * self.history.n_items + self.history.item)

    def __len__(self) -> int:
        return len(self.rows)

    def _at(self, rows: np.ndarray, skip: np.ndarray | int, length: int, values: np.ndarray) -> np.ndarray:
        """Values of the `length` events that end `skip` before the last, int64 (rows, length), -1 before the first."""
        ends = self.history.indptr[self.rows[rows] + 1] - skip
        places = ends[:, None] - length + np.arange(length)
        real = places >= self.history.indptr[self.rows[rows]][:, None]
        return np.where(real, values[np.maximum(places, 0)], -1).astype(np.int64)

    def inputs(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """(items, actions) of all events of rows, up to the longest."""
        length = min(int(self.counts[rows].max()), self.longest)
        both = self.history.item, self.actions
        items, actions = (None if one is None else self._at(rows, 0, length, one) for one in both)
        assert items is not None
        return items, actions

    def padded(self, rows: np.ndarray, *, held: bool) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """(items, actions, targets): the target of a step is the next item, -1 where there is none.

        A row's last step is held out if it has three events or more: training never sees it, `held` asks for it alone.
        """
        skip = (self.counts[rows] > 2).astype(np.int64) * (not held)
        length = max(min(int((self.counts[rows] - 1 - skip).max()), self.longest), 1)
        items = self._at(rows, 1 + skip, length, self.history.item)
        target = np.where(items >= 0, self._at(rows, skip, length, self.history.item), -1)
        if held:
            target[:, :-1] = -1
        return items, None if self.actions is None else self._at(rows, 1 + skip, length, self.actions), target

    def window(self, rows: np.ndarray, *, held: bool) -> np.ndarray:
        """Item codes of the last events of rows, int64 (rows, steps), without the step that `padded` holds out."""
        skip = (self.counts[rows] > 2).astype(np.int64) * (not held)
        return self._at(rows, skip, max(min(int((self.counts[rows] - skip).max()), self.longest), 2), self.history.item)

    def batches(self, size: int, draw: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
        """(rows of each batch in chance order, their steps): pools of 32 batches are drawn, and sorted by length."""
        order, pool = draw.permutation(len(self)), 32 * size
        pools = [order[start : start + pool] for start in range(0, len(order), pool)]
        order = np.concatenate([one[np.argsort(self.counts[one], kind="stable")] for one in pools])
        batches = [np.sort(order[start : start + size]) for start in range(0, len(order), size)]
        steps = np.minimum(self.counts - 1 - (self.counts > 2), self.longest)
        chance = draw.permutation(len(batches))
        return [batches[one] for one in chance], np.array([steps[batches[one]].sum() for one in chance], np.float64)

    def negatives(self, rows: np.ndarray, target: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """An item that the row's user never had, for each target, int64 like target (rows, steps)."""
        items = self.history.n_items
        user = np.broadcast_to(self.rows[rows][:, None], target.shape)
        drawn = draw.integers(0, items, target.shape)
        for _ in range(20):  # a user who had nearly everything keeps what was drawn last
            keys = user * items + drawn
            bad = self.had[np.minimum(np.searchsorted(self.had, keys), len(self.had) - 1)] == keys
            if not bad.any():
                break
            drawn[bad] = draw.integers(0, items, int(bad.sum()))
        return drawn
