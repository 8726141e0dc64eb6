"""What is claimed, as experiments.

_train          FSG at a small rate, compared with straight-through and MetaQuant
_frontier       1 bit and int8: accuracy, bytes and microseconds at three widths
_frontier_nets  their networks; `_int8_worker.py` runs the int8 ones in an environment of its own
_packed         the packed AdaBin network
"""

from ._claims import CLAIMS

__all__ = ["CLAIMS"]
