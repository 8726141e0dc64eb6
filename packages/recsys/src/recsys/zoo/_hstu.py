"""HSTU: pointwise attention that knows how far apart events are, in steps and in time. Extra `torch`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError

from recsys.data._history import History
from recsys.sequence._sequence_model import SequenceModel


@dataclass(kw_only=True, eq=False, repr=False)
class HSTU(SequenceModel):
    """Gated layers of pointwise attention (Zhai et al. 2024), with the losses of `SASRec`. Needs the extra `torch`.

    The time between two events is that between the events themselves; the moment of the next one is not used.

    Args:
        relative_time: the time between two events biases the attention; needs times.
        factors, blocks, heads, dropout, max_len, patience: see `SequenceModel`.
        loss, negatives, action, time: see `SequenceModel`.
        epochs, batch, learning_rate, device, seed: see `NeuralModel`.

    Examples:
        >>> import recsys

        >>> steps = [(f"s{user}", f"lesson {step}") for user in range(60) for step in range(user % 3, user % 3 + 4)]
        >>> users, items = zip(*steps)
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.zoo.HSTU(factors=16, blocks=1, epochs=30, learning_rate=0.01, relative_time=False).fit(data)
        >>> model.recommend(["s3"], k=1).column("item").to_pylist()  # s3 ended with lesson 3
        ['lesson 4']
    """

    source: ClassVar[str] = "arXiv 2402.17152"
    relative_time: bool = True

    def _make_net(self) -> Any:
        from recsys.neural._hstu import HSTUNet

        sizes = self.factors, self.blocks, self.heads, self.max_len, self.dropout
        return HSTUNet(len(self.item_ids_), self._mark_sizes(), *sizes, timed=self.relative_time)

    def _marks(self, history: History) -> list[np.ndarray]:
        if not self.relative_time:
            return super()._marks(history)
        if history.time is None:
            raise InputError(
                "relative_time", got="events without times", expected="a time column, or relative_time=False"
            )
        return [*super()._marks(history), history.time // 1_000_000]
