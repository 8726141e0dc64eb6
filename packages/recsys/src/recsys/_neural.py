"""What the torch models share: epochs that can be resumed, and networks as one array in a model's file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError, require

from recsys._pretrained import Pretrained


@dataclass(kw_only=True, eq=False, repr=False)
class NeuralModel(Pretrained):
    """Base of models trained by Adam in a fixed number of epochs. Training needs the extra `torch`; answers do not.

    Args:
        epochs, batch, learning_rate: of Adam.
        device: torch device of the training.
        seed: of start, order and noise.
    """

    fitted: ClassVar[tuple[str, ...]] = ("parameters_",)
    epochs: int = 50
    batch: int = 512
    learning_rate: float = 0.001
    device: str = "cpu"
    seed: int = 0

    def _train(
        self,
        make: Callable[[], Any],
        losses: Callable[[Any, int, np.random.Generator], Iterable[Callable[[], Any]]],
        steps: int,
    ) -> Any:
        """Train the network that `make` draws and return it, on the CPU; `parameters_` holds its numbers.

        Args:
            make: makes the network.
            losses: (network, epoch, generator) -> the epoch's losses, one a step.
            steps: of an epoch.
        """
        torch = require("torch", "recsys", "torch")
        from recsys.neural._train import Trainer

        if self.epochs < 1 or self.batch < 1 or self.learning_rate <= 0:
            raise InputError("epochs, batch, learning_rate", got=repr(self), expected="positive numbers")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            net = make().to(self.device)
        trainer = Trainer(net, self.learning_rate)
        self.state_ = trainer.state()
        for epoch in self._epochs(self.epochs, ("state_",)):
            trainer.restore(self.state_, epoch * steps)
            draw = np.random.default_rng([self.seed, epoch])
            trainer.epoch(losses(net, epoch, draw), (self.seed, epoch))
            self.state_ = trainer.state()
        trainer.restore(self.state_, self.epochs * steps)
        self.parameters_ = self.state_[0].copy()
        del self.state_
        return net.cpu().eval()


def layers_of(parameters: np.ndarray, sizes: list[tuple[int, int]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(weights (inputs, outputs), bias (outputs,)) of dense layers, whose numbers stand one after the other."""
    found, start = [], 0
    for inputs, outputs in sizes:
        weights = parameters[start : start + inputs * outputs].reshape(outputs, inputs).T
        start += inputs * outputs
        found.append((weights, parameters[start : start + outputs]))
        start += outputs
    return found
