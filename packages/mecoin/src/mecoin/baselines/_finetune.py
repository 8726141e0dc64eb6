"""Fine-tuning without protection."""

from __future__ import annotations

from mecoin.baselines._gradient import GradientLearner


class FineTune(GradientLearner):
    """Cross entropy on each session's support, nothing against forgetting: the lower bound."""

    name = "Fine-tune"
    source = "lower bound"
    grid = tuple({"lr": lr} for lr in (1e-3, 2e-3, 5e-3, 1e-2))
