"""The rivals: same interface as the method, one line each in the table.

Examples:
    >>> from mecoin import baselines
    >>> baselines.BASELINES["EWC"].source
    'Kirkpatrick et al. 2017, arXiv 1612.00796'
"""

from mecoin.baselines._gradient import ErGnn, Ewc, FineTune, Lwf, Mas
from mecoin.baselines._lda import Lda, LdaEm, SgcLda, SgcLdaEm, SgcNcm
from mecoin.protocol._learner import Learner

_ALL = (SgcNcm, SgcLda, SgcLdaEm, Lda, LdaEm, FineTune, Lwf, Ewc, Mas, ErGnn)
BASELINES: dict[str, type[Learner]] = {one.name: one for one in _ALL}
__all__ = ["BASELINES", "ErGnn", "Ewc", "FineTune", "Lda", "LdaEm", "Lwf", "Mas", "SgcLda", "SgcLdaEm", "SgcNcm"]
