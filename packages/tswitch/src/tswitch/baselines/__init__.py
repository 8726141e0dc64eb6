"""The rivals: one short module each, one line each in `METHODS`."""

from tswitch.baselines._averaging import Averaging
from tswitch.baselines._base import Fitted, Merger, Method
from tswitch.baselines._bitdelta import BitDelta
from tswitch.baselines._breadcrumbs import Breadcrumbs
from tswitch.baselines._dare import Dare
from tswitch.baselines._della import Della
from tswitch.baselines._emr import Emr
from tswitch.baselines._individual import Individual, Pretrained
from tswitch.baselines._lora import Lora, config_at, rank_at
from tswitch.baselines._mixed_bits import MixedBits
from tswitch.baselines._p_discard import PDiscard
from tswitch.baselines._pcb import Pcb
from tswitch.baselines._rescaled import Rescaled
from tswitch.baselines._sce import Sce
from tswitch.baselines._slerp import Slerp
from tswitch.baselines._tall_masks import ConsensusTaskArithmetic, TallMasks
from tswitch.baselines._task_arithmetic import TaskArithmetic
from tswitch.baselines._ties import Ties
from tswitch.baselines._tsvc import TsvC
from tswitch.baselines._twin_merging import SoftmaxRouter, TwinMerging

METHODS: dict[str, type[Method]] = {
    "individual": Individual,
    "base": Pretrained,
    "averaging": Averaging,
    "task_arithmetic": TaskArithmetic,
    "ties": Ties,
    "dare": Dare,
    "p_discard": PDiscard,
    "bitdelta": BitDelta,
    "emr": Emr,
    "tall_masks": TallMasks,
    "consensus_ta": ConsensusTaskArithmetic,
    "pcb": Pcb,
    "twin_merging": TwinMerging,
    "lora": Lora,
    "slerp": Slerp,
    "breadcrumbs": Breadcrumbs,
    "della": Della,
    "sce": Sce,
    "tsv_c": TsvC,
    "mixed_bits": MixedBits,
    "rescaled": Rescaled,
}

__all__ = [
    "METHODS",
    "Averaging",
    "BitDelta",
    "Breadcrumbs",
    "ConsensusTaskArithmetic",
    "Dare",
    "Della",
    "Emr",
    "Fitted",
    "Individual",
    "Lora",
    "Merger",
    "Method",
    "MixedBits",
    "PDiscard",
    "Pcb",
    "Pretrained",
    "Rescaled",
    "Sce",
    "Slerp",
    "SoftmaxRouter",
    "TallMasks",
    "TaskArithmetic",
    "Ties",
    "TsvC",
    "TwinMerging",
    "config_at",
    "rank_at",
]
