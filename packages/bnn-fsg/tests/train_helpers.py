"""Small training runs for the tests of the loop; as a script, one of several processes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from bnn_fsg.baselines import GRADIENTS
from bnn_fsg.datasets import digits
from bnn_fsg.layers._layers import binarize
from bnn_fsg.layers._nets import Recipe
from bnn_fsg.training._trainer import CHECKPOINT, BinaryTrainer, Schedule
from ninefold.artifacts import save_state
from torch import nn

RECIPE = Recipe(net="mlp", classes=10, channels=1, size=(8, 8), width=8, weights="dorefa", white=16)
KINDS = ("ste", "fsg", "multifc", "plain")


def trainer(kind="fsg", epochs=3, out=None, **options):
    torch.manual_seed(0)
    model = (RECIPE if kind else replace(RECIPE, weights=None)).build()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    gradient = GRADIENTS[kind](model, optimizer) if kind else optimizer
    return BinaryTrainer(model, gradient, Schedule(epochs=epochs, batch=64, **options), seed=1, out=out)


def train_alike(out: Path) -> None:
    """Write `out`/KIND, by the first process alone; the second starts from other weights, which must not matter."""
    first = not dist.is_initialized() or dist.get_rank() == 0
    for kind in KINDS:
        torch.manual_seed(0 if first else 7)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))
        gradient = None
        if kind != "plain":
            model = binarize(model, "dorefa", example_input=torch.zeros(1, 1, 8, 8))
            gradient = GRADIENTS[kind](model, torch.optim.SGD(model.parameters(), lr=0.05))
        one = BinaryTrainer(
            model, gradient or torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), Schedule(epochs=1, batch=33)
        )
        losses = one.fit(digits("train").first(5 * 33 + 5)).losses  # parts of 17 and 16, and of 3 and 2 images
        if first:
            state = {"model": model.state_dict(), "gradient": one.gradient.state_dict(), "losses": losses}
            save_state(out / kind, state, package="bnn_fsg", **CHECKPOINT)


if __name__ == "__main__":
    dist.init_process_group("gloo")
    train_alike(Path(sys.argv[1]))
    dist.destroy_process_group()
