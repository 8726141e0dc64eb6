"""What each estimator did best with on validation pictures, of three forwards and three optimisers.

The training table, experiments/results/train-table: ResNet-20 on 9,000 CIFAR-10 pictures from a trained start, rates by
successive halving, three seeds at the end.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chosen:
    """A forward of the weights, and an optimiser with its rate and the rate's decay; see `Arm` and `Schedule`."""

    weights: str
    optimizer: str
    lr: float
    decay: str


BEST = "reste"  # of all pairs
CHOSEN = {
    "reste": Chosen("bwn-f", "momentum", 0.01, "cosine"),
    "ste": Chosen("bwn-f", "momentum", 0.01, "cosine"),
    "irnet": Chosen("bwn-f", "momentum", 0.01, "cosine"),
    "multifc": Chosen("dorefa", "momentum", 0.01, "cosine"),
    "fsg": Chosen("dorefa", "adam", 1e-3, "step"),
}


def chosen(gradient: str) -> Chosen:
    """Of an estimator; of straight-through for surrogates that were not in the table."""
    return CHOSEN.get(gradient, CHOSEN["ste"])
