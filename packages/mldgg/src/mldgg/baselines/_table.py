"""All rivals by name."""

from __future__ import annotations

from mldgg.baselines._eerm import Eerm
from mldgg.baselines._propagation import LabelPropagation
from mldgg.baselines._ridges import CentredRidge, FeatureRidge, SgcRidge, TargetRidge, TwoHopRidge, WalkedRidge
from mldgg.baselines._trained import Erm, ErmFineTune
from mldgg.domains import Method

_FREE = (CentredRidge, WalkedRidge, TwoHopRidge, SgcRidge, FeatureRidge, TargetRidge, LabelPropagation)
_TRAINED = (Erm, ErmFineTune, Eerm)
TRAINING_FREE: tuple[str, ...] = tuple(one.name for one in _FREE)
BASELINES: dict[str, type[Method]] = {one.name: one for one in (*_FREE, *_TRAINED)}
