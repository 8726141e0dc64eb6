"""What a pruner is worth on sequences that no stage has seen, beside the training-free one that it came as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from tokenprune.executor._executor import Executor
from tokenprune.executor._router import Everything
from tokenprune.executor._scored import Scored, divergence, nll
from tokenprune.pruner._pruner import TokenPruner

DENSE, PRUNER, FLOOR = "dense", "pruner", "as it comes"


@dataclass(frozen=True)
class Unseen:
    """Of held-out sequences, by arm: "dense", "pruner" and the default; means over sequences, each by its own mean.

    Attributes:
        kl: divergence from the dense model, nats a scored token.
        nll: of the scored tokens.
        flops: of all passes.
    """

    kl: Mapping[str, float]
    nll: Mapping[str, float]
    flops: Mapping[str, float]

    @property
    def worse(self) -> bool:
        """Whether the pruner is further from the dense model than the default pruner."""
        return self.kl[PRUNER] > self.kl[FLOOR]

    def note(self) -> str:
        """In words, with what to do where the stages have fitted their own texts alone."""
        says = f"held out: {self.kl[PRUNER]:.4g} nats a token from the dense model, as it comes {self.kl[FLOOR]:.4g}"
        says += f" (NLL {self.nll[PRUNER]:.4g}, as it comes {self.nll[FLOOR]:.4g}, dense {self.nll[DENSE]:.4g})"
        if not self.worse:
            return says
        return f"{says}: WORSE than as it comes, the stages have fitted their own texts: give them more --windows"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "kl": dict(self.kl),
            "nll": dict(self.nll),
            "flops": dict(self.flops),
            "worse than as it comes": self.worse,
        }

    @classmethod
    def of_dict(cls, kept: Mapping[str, Any]) -> Unseen:
        """Back from JSON values."""
        return cls(kept["kl"], kept["nll"], kept["flops"])


@torch.no_grad()
def unseen(pruner: TokenPruner, data: Scored, *, rows: int = 8) -> Unseen:
    """Score a pruner, the training-free one that it came as, and the dense model on held-out sequences.

    Args:
        pruner: as it is.
        data: sequences that no stage has seen.
        rows: sequences in one pass.
    """
    routers = {DENSE: Everything(), PRUNER: pruner.router(), FLOOR: pruner.as_it_comes()}
    arms = {name: Executor(pruner.layout, router) for name, router in routers.items()}
    kl, losses, flops = (dict.fromkeys(arms, 0.0) for _ in range(3))
    for start in range(0, len(data), rows):
        part = data.part(start, start + rows)
        counts = torch.tensor(part.counts)
        reference: Any = None
        for name, executor in arms.items():
            logits, stream = part.run(executor)
            reference = logits.log_softmax(-1) if reference is None else reference
            for sums, values in ((kl, divergence(reference, logits)), (losses, nll(logits, part.targets))):
                sums[name] += float((part.by_sequence(values.cpu()) / counts).sum())
            flops[name] += executor.cost(stream, logits=len(part.targets)).flops
    return Unseen({k: v / len(data) for k, v in kl.items()}, {k: v / len(data) for k, v in losses.items()}, flops)
