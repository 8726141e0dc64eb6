"""Rivals that only experiments use, on the interface of `tswitch.baselines`; what merges for users is there."""

from tswitch.baselines import METHODS as _SHIPPED
from tswitch.baselines import Method

from ._bitdelta import BitDelta
from ._individual import Individual, Pretrained
from ._lora import Lora
from ._p_discard import PDiscard
from ._rescaled import Rescaled
from ._tall_masks import ConsensusTaskArithmetic, TallMasks
from ._twin_merging import TwinMerging

_OWN = (Individual, Pretrained, BitDelta, Lora, PDiscard, Rescaled, TallMasks, ConsensusTaskArithmetic, TwinMerging)
METHODS: dict[str, type[Method]] = _SHIPPED | {method.name: method for method in _OWN}
__all__ = [
    "METHODS",
    "BitDelta",
    "ConsensusTaskArithmetic",
    "Individual",
    "Lora",
    "PDiscard",
    "Rescaled",
    "TallMasks",
    "TwinMerging",
]
