"""All rivals by name."""

from __future__ import annotations

from mldgg.baselines._ridges import CentredRidge, TargetRidge, WalkedRidge
from mldgg.baselines._trained import Erm
from mldgg.baselines._unlabelled import CorrectAndSmooth, DiscriminantEm, GraphAny, LabelPropagation, SelfTrainedRidge
from mldgg.domains import Method

_FREE = (
    CentredRidge, WalkedRidge, CorrectAndSmooth, SelfTrainedRidge, DiscriminantEm, GraphAny, TargetRidge,
    LabelPropagation,
)  # fmt: skip
TRAINING_FREE: tuple[str, ...] = tuple(one.name for one in _FREE)
BASELINES: dict[str, type[Method]] = {one.name: one for one in (*_FREE, Erm)}
