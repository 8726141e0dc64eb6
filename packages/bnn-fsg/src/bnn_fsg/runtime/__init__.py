"""The packed runtime: kernels, the `.bnn` file and its executor. Imports numpy and numba, never torch."""

from bnn_fsg.runtime._model import PackedModel

__all__ = ["PackedModel"]
