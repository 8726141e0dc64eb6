"""The rivals: same interface as the method, one short module each, one line in the table.

Examples:
    >>> from mecoin import baselines
    >>> baselines.BASELINES["EWC"].source
    'Kirkpatrick et al. 2017, arXiv 1612.00796'
"""

from __future__ import annotations

from mecoin.baselines._er_gnn import ErGnn
from mecoin.baselines._finetune import FineTune
from mecoin.baselines._importance import Ewc, Mas
from mecoin.baselines._lda import Lda, LdaEm, SgcLda, SgcLdaEm
from mecoin.baselines._lwf import Lwf
from mecoin.baselines._ncm import SgcNcm
from mecoin.baselines._options import Tunable
from mecoin.protocol._learner import Learner, Options

_ALL: tuple[type[Learner], ...] = (
    SgcNcm,
    SgcLda,
    SgcLdaEm,
    Lda,
    LdaEm,
    FineTune,
    Lwf,
    Ewc,
    Mas,
    ErGnn,
)
BASELINES: dict[str, type[Learner]] = {one.name: one for one in _ALL}
__all__ = [
    "BASELINES",
    "ErGnn",
    "Ewc",
    "FineTune",
    "Lda",
    "LdaEm",
    "Learner",
    "Lwf",
    "Mas",
    "Options",
    "SgcLda",
    "SgcLdaEm",
    "SgcNcm",
    "Tunable",
]
