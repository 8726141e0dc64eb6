"""FSG, the method: G = alpha slow + (1 - alpha) k fast.

_fsg               the estimator and its presets
_direction         the estimator without a say in the size of a step
_fast_net          fast-net: g MLP(W~)
_slow_net          slow-net: a Mamba block over the history of gradients
_layouts           what a sequence is: per weight, flat, or in chunks; layer recognition embedding (LRE)
_scan_kernels      the selective scan over short histories, compiled
_sequence_kernels  the selective scan over one long sequence, compiled
_tiny              numbers that are too small to be quick, as zero
"""
