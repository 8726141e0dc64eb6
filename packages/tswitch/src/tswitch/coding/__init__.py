"""Seeded sparse code of a change: entries at places that follow from a seed, in steps with subtractive dither.

_tensor   a coded tensor, and how its seeded code is read
_size     codes of a model's tensors in the bytes that the user gave
_places   the draws: which entries are kept, and their dither, from a seed alone
_seeded   the code of one tensor: levels of rows and columns, symbols of the kept entries
"""

from tswitch.coding._seeded import NEVER_CHANGES, Draw, Measured, SeededError, decode, encode, measure
from tswitch.coding._size import Coded, bytes_of, code
from tswitch.coding._tensor import CodedTensor, draw_of, flat_change, matrix_shape

__all__ = [
    "NEVER_CHANGES",
    "Coded",
    "CodedTensor",
    "Draw",
    "Measured",
    "SeededError",
    "bytes_of",
    "code",
    "decode",
    "draw_of",
    "encode",
    "flat_change",
    "matrix_shape",
    "measure",
]
