"""eSASRec: SASRec with gated blocks. Extra `torch`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from recsys.sequence._sasrec import SASRec


@dataclass(kw_only=True, eq=False, repr=False)
class ESASRec(SASRec):
    """SASRec in which blocks are gated and 256 negatives are drawn for each sequence. Needs the extra `torch`.

    Args:
        loss, negatives: of `SASRec`, with other defaults; its other parameters are the same.

    Examples:
        >>> import recsys

        >>> steps = [(f"s{user}", f"lesson {step}") for user in range(60) for step in range(user % 3, user % 3 + 4)]
        >>> users, items = zip(*steps)
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.zoo.ESASRec(factors=16, blocks=1, epochs=30, learning_rate=0.01).fit(data)
        >>> model.recommend(["s3"], k=1).column("item").to_pylist()  # s3 ended with lesson 3
        ['lesson 4']
    """

    source: ClassVar[str] = "arXiv 2508.06450, 2502.03417"
    gated: ClassVar[bool] = True
    loss: str = "sampled"
    negatives: int = 256
