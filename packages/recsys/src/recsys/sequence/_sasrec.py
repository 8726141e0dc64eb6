"""SASRec: self-attention over a user's last events. Extra `torch`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from recsys.sequence._sequence_model import SequenceModel


@dataclass(kw_only=True, eq=False, repr=False)
class SASRec(SequenceModel):
    """A causal transformer (Kang and McAuley 2018), with full softmax if nothing is said (SASRec+). Extra `torch`.

    Args:
        factors, blocks, heads, dropout, max_len, patience: see `SequenceModel`.
        loss, negatives, action, time: see `SequenceModel`.
        epochs, batch, learning_rate, device, seed: see `NeuralModel`.

    Examples:
        >>> import recsys

        >>> steps = [(f"s{user}", f"lesson {step}") for user in range(60) for step in range(user % 3, user % 3 + 4)]
        >>> users, items = zip(*steps)
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.SASRec(factors=16, blocks=1, epochs=30, learning_rate=0.01).fit(data)
        >>> model.recommend(["s3"], k=1).column("item").to_pylist()  # s3 ended with lesson 3
        ['lesson 4']
    """

    source: ClassVar[str] = "arXiv 1808.09781, 2309.07602"
    gated: ClassVar[bool] = False

    def _make_net(self) -> Any:
        from recsys.neural._transformer import SASRecNet

        sizes = self.factors, self.blocks, self.heads, self.max_len, self.dropout
        return SASRecNet(len(self.item_ids_), self._mark_sizes(), *sizes, gated=self.gated)
