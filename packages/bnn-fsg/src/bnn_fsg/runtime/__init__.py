"""The packed runtime: imports numpy and numba, never torch.

_model     `PackedModel`: load, run, save
_format    the `.bnn` file: JSON header, tight bits, SHA-256
_layers    convolutions as the kernels want them; threads
_geometry  where a kernel stands; zero padding by class of border
_arguments what the kernels are given, grouped
_sign_layer numbers by signs, where sums of four inputs are less work than products
_kernels   xnor and popcount, and float tiles: the inner loops (_gather, _tiles, _vectors, _subsets, _last are their
           pieces)
_compiled  numba's compiler, with a cache that notices changes of any of these files
_numpy     the kernels once more, without numba
"""

from bnn_fsg.runtime._model import PackedModel

__all__ = ["PackedModel"]
