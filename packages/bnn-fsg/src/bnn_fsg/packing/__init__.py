"""From a binarised torch module to a packed model.

_pack     `pack`
_trace    a module's forward as a graph
_values   values and graph while they are made
_modules  modules as nodes
_calls    functions and methods as nodes
_smooth   curves, softmax and normalisation, as modules and as calls
_spatial  padding, slices, resampling, transposed convolutions, as both
_fold     BatchNorm and the next threshold as one whole number a channel
_check    each node against what torch computed there
_twin     a packed model back in torch, as floats (_moves is a piece of it)
"""
