"""The rivals: same interface as the method, one short module each, one line in the table."""

from __future__ import annotations

from mecoin.baselines._cec import Cec
from mecoin.baselines._dkvb import Dkvb
from mecoin.baselines._er_gnn import ErGnn
from mecoin.baselines._fact import Fact
from mecoin.baselines._finetune import FineTune, LinearProbe
from mecoin.baselines._gem import Gem
from mecoin.baselines._geometer import Geometer
from mecoin.baselines._hag_meta import HagMeta
from mecoin.baselines._icarl import ICarl
from mecoin.baselines._importance import Ewc, Mas, Twp
from mecoin.baselines._joint import Joint
from mecoin.baselines._lda import Lda, LdaEm, SgcLda, SgcLdaEm
from mecoin.baselines._lwf import Lwf
from mecoin.baselines._ncm import SgcNcm
from mecoin.baselines._options import Tunable
from mecoin.baselines._teen import Teen
from mecoin.protocol._learner import Learner, Options

_ALL: tuple[type[Learner], ...] = (
    SgcNcm,
    SgcLda,
    SgcLdaEm,
    Lda,
    LdaEm,
    Teen,
    Fact,
    Cec,
    FineTune,
    LinearProbe,
    Lwf,
    Ewc,
    Mas,
    Twp,
    Gem,
    ErGnn,
    ICarl,
    Geometer,
    HagMeta,
    Dkvb,
    Joint,
)
BASELINES: dict[str, type[Learner]] = {one.name: one for one in _ALL}
__all__ = [
    "BASELINES",
    "Cec",
    "Dkvb",
    "ErGnn",
    "Ewc",
    "Fact",
    "FineTune",
    "Gem",
    "Geometer",
    "HagMeta",
    "ICarl",
    "Joint",
    "Lda",
    "LdaEm",
    "Learner",
    "LinearProbe",
    "Lwf",
    "Mas",
    "Options",
    "SgcLda",
    "SgcLdaEm",
    "SgcNcm",
    "Teen",
    "Tunable",
    "Twp",
]
