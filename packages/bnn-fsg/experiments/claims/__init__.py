"""What is claimed, as experiments.

_train     FSG at a small rate, compared with straight-through and MetaQuant
_frontier  1 bit and int8: accuracy, bytes and microseconds at four widths
_packed    the packed AdaBin network

Their networks are in `models`, their rivals in `baselines`.
"""

from ._claims import CLAIMS

__all__ = ["CLAIMS"]
