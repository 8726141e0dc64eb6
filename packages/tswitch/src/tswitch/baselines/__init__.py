"""Ways to merge fine-tuned models: one short module each, one line each in `METHODS`."""

from tswitch.baselines._averaging import Averaging
from tswitch.baselines._base import Fitted, Merger, Method
from tswitch.baselines._dare import Dare
from tswitch.baselines._emr import Emr
from tswitch.baselines._pcb import Pcb
from tswitch.baselines._spectral import IsoCts, TsvM
from tswitch.baselines._task_arithmetic import TaskArithmetic
from tswitch.baselines._ties import Ties

_ALL = (Averaging, TaskArithmetic, Ties, Dare, Emr, Pcb, IsoCts, TsvM)
METHODS: dict[str, type[Method]] = {rule.name: rule for rule in _ALL}
__all__ = [
    "METHODS", "Averaging", "Dare", "Emr", "Fitted", "IsoCts", "Merger", "Method", "Pcb", "TaskArithmetic", "Ties",
    "TsvM",
]  # fmt: skip
