"""Stage 2: a router is trained under the frozen model.

_train   the loop, its teacher and its state
_gated   the gated forward: gates multiply, gradients go straight through
_losses  distillation, sparsity and guide loss
"""
