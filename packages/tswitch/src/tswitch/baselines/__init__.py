"""The rivals: one short module each, one line each in `METHODS`."""

from tswitch.baselines._averaging import Averaging
from tswitch.baselines._base import Fitted, Merger, Method
from tswitch.baselines._bitdelta import BitDelta
from tswitch.baselines._dare import Dare
from tswitch.baselines._emr import Emr
from tswitch.baselines._individual import Individual, Pretrained
from tswitch.baselines._lora import Lora
from tswitch.baselines._p_discard import PDiscard
from tswitch.baselines._pcb import Pcb
from tswitch.baselines._rescaled import Rescaled
from tswitch.baselines._tall_masks import ConsensusTaskArithmetic, TallMasks
from tswitch.baselines._task_arithmetic import TaskArithmetic
from tswitch.baselines._ties import Ties
from tswitch.baselines._twin_merging import TwinMerging

_CLASSES = (Individual, Pretrained, Averaging, TaskArithmetic, Ties, Dare, PDiscard, BitDelta, Emr, TallMasks,
            ConsensusTaskArithmetic, Pcb, TwinMerging, Lora, Rescaled)  # fmt: skip
METHODS: dict[str, type[Method]] = {method.name: method for method in _CLASSES}
__all__ = ["METHODS", "Fitted", "Merger", "Method", *(method.__name__ for method in _CLASSES)]  # pyright: ignore[reportUnsupportedDunderAll]
