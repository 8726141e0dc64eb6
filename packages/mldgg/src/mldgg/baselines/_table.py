"""All rivals by name."""

from __future__ import annotations

from mldgg.baselines._alignment import Coral, Dann, SrGnn
from mldgg.baselines._eerm import Eerm
from mldgg.baselines._meta_rivals import Fomaml, Mldg, Reptile
from mldgg.baselines._mixup import Mixup
from mldgg.baselines._parts import Csg, GraphGlow
from mldgg.baselines._propagation import LabelPropagation
from mldgg.baselines._ridges import CentredRidge, FeatureRidge, SgcRidge, TargetRidge, TwoHopRidge
from mldgg.baselines._risks import GroupDro, Irm, VRex
from mldgg.baselines._target import TargetGnn
from mldgg.baselines._trained import Erm, ErmFineTune
from mldgg.domains import Method

_FREE = (CentredRidge, TwoHopRidge, SgcRidge, FeatureRidge, TargetRidge, LabelPropagation)
_TRAINED = (
    Erm, ErmFineTune, TargetGnn, Irm, VRex, GroupDro, Coral, Dann, SrGnn, Mixup, Mldg, Fomaml, Reptile, Eerm,
    GraphGlow, Csg,
)  # fmt: skip
TRAINING_FREE: tuple[str, ...] = tuple(one.name for one in _FREE)
BASELINES: dict[str, type[Method]] = {one.name: one for one in (*_FREE, *_TRAINED)}
