"""What is claimed, as experiments.

_train          FSG at a small rate, compared with straight-through and MetaQuant
_frontier       1 bit and int8: accuracy, bytes and microseconds at four widths
_frontier_nets  their networks; `_int8_worker.py` (LiteRT) and `_onnx_worker.py` run the int8 ones
_packed         the packed AdaBin network
"""

from ._claims import CLAIMS

__all__ = ["CLAIMS"]
