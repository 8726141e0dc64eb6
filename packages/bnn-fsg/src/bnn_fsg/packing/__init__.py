"""From a binarised torch module to a packed model.

_pack     `pack`
_trace    a module's calls, read as they run
_values   values, how they lie in pictures, and the graph while it is made
_calls    functions and methods as nodes; these are its pieces:
_layers   convolutions and linear layers, 1-bit and float
_smooth   curves, softmax, normalisation and products of matrices
_spatial  pooling, padding, slices, joins, resampling
_composites  attention and others, read as the calls of which they are made
_fold     BatchNorm and the next threshold as one whole number a channel
_check    each node against what torch computed there
_twin     a packed model back in torch, as floats (_moves is a piece of it)
"""
