"""What a searched schedule is worth on text that no stage has seen, beside a uniform one under the same router."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from tokenprune.executor._executor import Executor
from tokenprune.executor._router import Everything
from tokenprune.executor._scored import Scored, divergence, nll
from tokenprune.pruner._pruner import TokenPruner
from tokenprune.routers._schedule import uniform


@dataclass(frozen=True)
class Unseen:
    """Of held-out text, by arm: "dense", "schedule" and "uniform".

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
        """Whether the schedule is further from the dense model than a uniform one."""
        return self.kl["schedule"] > self.kl["uniform"]

    def note(self) -> str:
        """In words, with what to do where the search has fitted its own texts alone."""
        says = (
            f"held out: {self.kl['schedule']:.4g} nats a token from the dense model, uniform {self.kl['uniform']:.4g}"
        )
        says += f" (NLL {self.nll['schedule']:.4g}, uniform {self.nll['uniform']:.4g}, dense {self.nll['dense']:.4g})"
        if not self.worse:
            return says
        return f"{says}: WORSE than uniform, the search has fitted its own texts: give it more --windows"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"kl": dict(self.kl), "nll": dict(self.nll), "flops": dict(self.flops), "worse than uniform": self.worse}

    @classmethod
    def of_dict(cls, kept: Mapping[str, Any]) -> Unseen:
        """Back from JSON values."""
        return cls(kept["kl"], kept["nll"], kept["flops"])


@torch.no_grad()
def unseen(pruner: TokenPruner, data: Scored, *, rows: int = 8) -> Unseen:
    """Score a pruner, a uniform schedule of the same mean under its router, and the dense model, on held-out text.

    Args:
        pruner: as it is.
        data: sequences that no stage has seen.
        rows: sequences in one pass.
    """
    blocks = len(pruner.layout.blocks)
    flat = uniform(sum(pruner.schedule) / blocks, blocks)
    routers = {"dense": Everything(), "schedule": pruner.router(), "uniform": pruner.router(flat)}
    arms = {name: Executor(pruner.layout, router) for name, router in routers.items()}
    kl, losses, flops = (dict.fromkeys(arms, 0.0) for _ in range(3))
    for start in range(0, len(data), rows):
        part = data.part(start, start + rows)
        reference: Any = None
        for name, executor in arms.items():
            logits, stream = part.run(executor)
            reference = logits.log_softmax(-1) if reference is None else reference
            kl[name] += float(divergence(reference, logits).sum())
            losses[name] += float(nll(logits, part.targets).sum())
            flops[name] += executor.cost(stream, logits=len(part.targets)).flops
    count = len(data.targets)
    return Unseen({k: v / count for k, v in kl.items()}, {k: v / count for k, v in losses.items()}, flops)
