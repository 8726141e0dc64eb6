"""What is claimed, as experiments.

_train   training: small rates, matched rates, ablations, 1-bit inputs
_packed  the packed AdaBin network
"""

from ._claims import CLAIMS

__all__ = ["CLAIMS"]
