"""The two ends: fine-tuning without protection, and a linear probe on the frozen encoder."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from mecoin.baselines._gradient import Batch, GradientLearner


class FineTune(GradientLearner):
    """Cross entropy on each session's support, nothing against forgetting: the lower bound."""

    name = "Fine-tune"
    source = "lower bound"
    grid = tuple({"lr": lr} for lr in (1e-3, 2e-3, 5e-3, 1e-2))


class LinearProbe(GradientLearner):
    """As fine-tuning, but only the head is trained."""

    name = "Linear probe"
    source = "lower bound"
    grid = tuple({"lr": lr, "steps": steps} for lr in (1e-3, 1e-2) for steps in (20, 100))

    def trained(self) -> list[nn.Parameter]:
        """The head."""
        self.module.requires_grad_(False)
        return list(self.head.parameters())

    def loss(self, batch: Batch) -> Tensor:
        """Cross entropy, without dropout in the frozen part."""
        self.module.eval()
        return F.cross_entropy(self.logits(batch), batch.target)
