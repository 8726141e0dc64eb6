"""Seeded code of a change: signs at random places, unbiased, in some 2.8 bits for each.

_tensor   a coded tensor, and what a configuration says of its code
_size     the scales of a model's tensors in the bytes that the user gave
_seeded   the code of one tensor: sizes of rows, places and signs
_coder    the inner loops: draws from a seed and an index, range coder
"""

from tswitch.coding._seeded import Measured, SeededError, decode, encode, measure
from tswitch.coding._size import Coded, bytes_of, code
from tswitch.coding._tensor import CodedTensor, matrix_shape, seed_of

__all__ = [
    "Coded",
    "CodedTensor",
    "Measured",
    "SeededError",
    "bytes_of",
    "code",
    "decode",
    "encode",
    "matrix_shape",
    "measure",
    "seed_of",
]
