"""FSG that chooses a direction and no speed."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from bnn_fsg.fsg._fsg import FSG


class FSGDirection(FSG):
    """FSG whose G has, in each layer, the length of the straight-through gradient k g of the last step.

    Ours: the size of a learned G grows or fades with its nets, by a factor of hundreds, which at a rate and schedule
    that were tuned for plain gradients leads away. Here size is the optimiser's and the schedule's alone; the nets are
    taught through the look-ahead of that length, the factor held constant. Arguments: as of `FSG`, of which "fast_only"
    keeps its own length.
    """

    name: ClassVar[str] = "fsg-direction"
    source: ClassVar[str] = "ours, on arXiv 2412.11777"

    def direction(self, index: int) -> Tensor:
        made = super().direction(index)
        with torch.no_grad():
            factor = self.plain_gradient(index).norm() / made.norm().clamp(min=torch.finfo(made.dtype).tiny)
        return made * factor
