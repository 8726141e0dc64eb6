"""FSG, the published method: G = alpha slow + (1 - alpha) k fast.

_fsg           the estimator and its presets; the history of gradients is `estimators`' queue
_fast_net      fast-net: g MLP(W~)
_slow_net      slow-net: a Mamba block over the history of gradients, with the layer recognition embedding (LRE)
_scan_kernels  the selective scan over short histories, compiled
_tiny          numbers that are too small to be quick, as zero
"""
