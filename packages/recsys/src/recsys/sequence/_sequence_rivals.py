"""GRU4Rec and BERT4Rec: what SASRec is compared with, trained and answered by the same code. Extra `torch`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError

from recsys.data._history import History
from recsys.sequence._sasrec import check_heads
from recsys.sequence._sequence_model import NextItemModel, SequenceModel
from recsys.sequence._sequences import Sequences


@dataclass(kw_only=True, eq=False, repr=False)
class GRU4Rec(NextItemModel):
    """Gated recurrent layers instead of attention, with the losses of `SASRec`. Needs the extra `torch`.

    Args:
        blocks: recurrent layers.
        factors, dropout, max_len, patience: see `SequenceModel`.
        loss, negatives, action, time: see `NextItemModel`.
        epochs, batch, learning_rate, device, seed: see `NeuralModel`.

    Examples:
        >>> import recsys

        >>> steps = [(f"s{user}", f"lesson {step}") for user in range(60) for step in range(user % 3, user % 3 + 4)]
        >>> users, items = zip(*steps)
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.GRU4Rec(factors=16, epochs=30, learning_rate=0.01).fit(data)
        >>> model.recommend(["s3"], k=1).column("item").to_pylist()  # s3 ended with lesson 3
        ['lesson 4']
    """

    source: ClassVar[str] = "arXiv 1511.06939, 1706.03847"
    removed: ClassVar[dict[str, Any]] = {"heads": 1}
    blocks: int = 1

    def _make_net(self) -> Any:
        from recsys.neural._transformer import GRU4RecNet

        return GRU4RecNet(len(self.item_ids_), self._mark_sizes(), self.factors, self.blocks, self.dropout)


@dataclass(kw_only=True, eq=False, repr=False)
class BERT4Rec(SequenceModel):
    """Attention in both directions, trained to fill in masked items; an answer fills in a mask after the last event.

    Three rows in ten mask their last event alone, as answers do. Needs the extra `torch`.

    Args:
        heads: of the attention.
        masked: share of a row's events masked in training, one at least.
        factors, blocks, dropout, max_len, patience, epochs, batch, learning_rate, device, seed: as of `SASRec`.

    Examples:
        >>> import recsys

        >>> steps = [(f"s{user}", f"lesson {step}") for user in range(60) for step in range(user % 3, user % 3 + 4)]
        >>> users, items = zip(*steps)
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.BERT4Rec(factors=16, blocks=1, epochs=60, learning_rate=0.01).fit(data)
        >>> model.recommend(["s3"], k=1).column("item").to_pylist()  # s3 ended with lesson 3
        ['lesson 4']
    """

    source: ClassVar[str] = "arXiv 1904.06690"
    removed: ClassVar[dict[str, Any]] = {"loss": "softmax", "negatives": 3000, "action": None, "time": None}
    heads: int = 1
    masked: float = 0.2

    def _check(self) -> None:
        super()._check()
        check_heads(self)
        if not 0 < self.masked < 1 or self.max_len < 2:
            raise InputError("masked, max_len", got=repr(self), expected="a share in (0, 1), two places or more")

    def _make_net(self) -> Any:
        from recsys.neural._transformer import SASRecNet

        sizes = self.factors, self.blocks, self.heads, self.max_len, self.dropout
        return SASRecNet(len(self.item_ids_), [], *sizes, causal=False)

    def _batch(
        self, sequences: Sequences, rows: np.ndarray, draw: np.random.Generator, *, held: bool
    ) -> tuple[list[np.ndarray], np.ndarray, None]:
        items = sequences.window(rows, held=held)
        real, last = items >= 0, np.arange(items.shape[1]) == items.shape[1] - 1
        hide = np.broadcast_to(last, items.shape)
        if not held:
            hide = (draw.random(items.shape) < self.masked) & real
            hide = np.where(~hide.any(axis=1, keepdims=True) | (draw.random((len(items), 1)) < 0.3), last, hide)
        return [np.where(hide, len(self.item_ids_), items)], np.where(hide, items, -1), None

    def _inputs(self, history: History) -> Sequences:
        return Sequences(history, [], self.max_len - 1, shortest=1)

    def _given(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        (items,) = inputs
        return [np.concatenate([items, np.full((len(items), 1), len(self.item_ids_))], axis=1)]
