"""What every gradient estimator is: a plug-in of one trainer.

_gradient     the step, the straight-through estimator, the optimiser-shaped wrapper
_learned      estimators that learn: history of gradients (HGS), look-ahead (W_meta), meta-forward
_before       what a skipped step puts back
_distributed  several processes as one, under torchrun
"""
