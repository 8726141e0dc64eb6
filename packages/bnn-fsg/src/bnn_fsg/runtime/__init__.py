"""The packed runtime: imports numpy and a library in C, never torch.

_model     `PackedModel`: load, run, save
_format    the `.bnn` file: JSON header, tight bits, SHA-256
_executor  a batch by the library or by numpy; threads (_threads)
_reference the graph in numpy: what the library agrees with bit for bit
_layer     a convolution met with its input's size: what both of them run
_geometry  where a kernel stands; zero padding by class of border
_program   a graph as steps of the library, in one arena of memory
_layout    weights, tables and bits as the library reads them
_native    the library (sources in `native/`): its sets of kernels, AVX-512, AVX2, NEON or plain C
"""

from bnn_fsg.runtime._model import PackedModel

__all__ = ["PackedModel"]
