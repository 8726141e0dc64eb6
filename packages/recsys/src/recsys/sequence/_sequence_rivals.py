"""GRU4Rec and BERT4Rec: what SASRec is compared with, trained and answered by the same code. Extra `torch`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from ninefold.errors import InputError, require

from recsys.recommender._query import Query
from recsys.sequence._sasrec import SASRec
from recsys.sequence._sequences import Sequences

if TYPE_CHECKING:
    from recsys.neural._transformer import GRU4RecNet, SASRecNet


@dataclass(kw_only=True, eq=False, repr=False)
class GRU4Rec(SASRec):
    """Gated recurrent layers instead of attention, with the losses of `SASRec`. Needs the extra `torch`.

    Args:
        blocks: recurrent layers; `heads` must be 1: there are none.
    """

    name: ClassVar[str] = "gru4rec"
    source: ClassVar[str] = "arXiv 1511.06939, 1706.03847"
    blocks: int = 1

    def _check(self) -> None:
        super()._check()
        if self.heads != 1:
            raise InputError("heads", got=self.heads, expected="1: GRU4Rec has no attention")

    def _make_net(self) -> GRU4RecNet:
        from recsys.neural._transformer import GRU4RecNet

        return GRU4RecNet(len(self.item_ids_), self._mark_sizes(), self.factors, self.blocks, self.dropout)


@dataclass(kw_only=True, eq=False, repr=False)
class BERT4Rec(SASRec):
    """Attention in both directions, trained to fill in masked items; an answer fills in a mask after the last event.

    Three rows in ten mask their last event alone, as answers do. Needs the extra `torch`.

    Args:
        masked: share of a row's events masked in training, one at least.
    """

    name: ClassVar[str] = "bert4rec"
    source: ClassVar[str] = "arXiv 1904.06690"
    masked: float = 0.2

    def _check(self) -> None:
        super()._check()
        if self.loss != "softmax" or self._mark_sizes():
            raise InputError("loss, action, time", got=repr(self), expected="softmax, and neither other, in BERT4Rec")
        if not 0 < self.masked < 1 or self.longest < 2:
            raise InputError("masked, longest", got=repr(self), expected="a share in (0, 1), two places or more")

    def _make_net(self) -> SASRecNet:
        from recsys.neural._transformer import SASRecNet

        sizes = self.factors, self.blocks, self.heads, self.longest, self.dropout
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

    def _factors(self, query: Query) -> tuple[np.ndarray, np.ndarray]:
        torch = require("torch", "recsys", "torch")

        net = self._network()
        inputs = Sequences(query.history, [], self.longest - 1, shortest=1)
        states = np.zeros((len(query), self.factors), np.float32)
        with torch.no_grad():
            for start in range(0, len(inputs), 512):
                rows = np.arange(start, min(start + 512, len(inputs)))
                (items,) = inputs.inputs(rows)
                given = np.concatenate([items, np.full((len(rows), 1), len(self.item_ids_))], axis=1)
                states[inputs.rows[rows]] = net(torch.from_numpy(given))[:, -1].numpy()
            return states, net.vectors().numpy().copy()
