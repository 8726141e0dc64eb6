"""The rivals: same interface as the method, one line each in the table.

Examples:
    >>> from mecoin import baselines
    >>> baselines.BASELINES["SGC-LDA"].source
    'training-free; SGC: Wu et al. 2019, arXiv 1902.07153; LDA: Fisher 1936'
"""

from mecoin.baselines._lda import Lda, LdaEm, SgcLda, SgcLdaEm
from mecoin.baselines._ncm import SgcNcm
from mecoin.protocol._learner import Learner

BASELINES: dict[str, type[Learner]] = {one.name: one for one in (SgcNcm, SgcLda, SgcLdaEm, Lda, LdaEm)}
__all__ = ["BASELINES", "Lda", "LdaEm", "SgcLda", "SgcLdaEm", "SgcNcm"]
