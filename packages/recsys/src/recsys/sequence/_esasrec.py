"""eSASRec: SASRec's shifted targets with LiGR blocks and a softmax over few shared negatives. Extra `torch`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from recsys.sequence._sasrec import SASRec


@dataclass(kw_only=True, eq=False, repr=False)
class ESASRec(SASRec):
    """SASRec in which blocks are gated and 256 negatives are drawn for each sequence. Needs the extra `torch`.

    Args:
        loss, negatives: of `SASRec`, with other defaults; its other parameters are the same.
    """

    name: ClassVar[str] = "esasrec"
    source: ClassVar[str] = "arXiv 2508.06450, 2502.03417"
    loss: str = "sampled"
    negatives: int = 256

    def _make_net(self) -> Any:
        from recsys.neural._transformer import SASRecNet

        sizes = self.factors, self.blocks, self.heads, self.longest, self.dropout
        return SASRecNet(len(self.item_ids_), self._mark_sizes(), *sizes, gated=True)
