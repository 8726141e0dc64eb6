"""What the torch models share: epochs that can be resumed, and networks as one array in a model's file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError, require

from recsys.recommender._pretrained import Pretrained


@dataclass(kw_only=True, eq=False, repr=False)
class NeuralModel(Pretrained):
    """Base of models trained by Adam in a fixed number of epochs. Training needs the extra `torch`; answers do not.

    Processes that torchrun starts train one model together: each takes its share of every batch.

    Args:
        epochs, batch, learning_rate: of Adam.
        device: torch device of the training.
        seed: of start, order and noise.
    """

    fitted: ClassVar[tuple[str, ...]] = ("parameters_",)
    trains_together: ClassVar[bool] = True
    epochs: int = 50
    batch: int = 512
    learning_rate: float = 0.001
    device: str = "cpu"
    seed: int = 0

    def _check_training(self) -> None:
        """InputError for settings of the training that are none; before steps are counted and texts are read."""
        if self.epochs < 1 or self.batch < 1 or not self.learning_rate > 0:
            raise InputError("epochs, batch, learning_rate", got=repr(self), expected="positive numbers")

    def _train(
        self,
        make: Callable[[], Any],
        losses: Callable[[Any, int, np.random.Generator], Iterable[tuple[int, Callable[[slice], Any]]]],
        steps: int,
    ) -> Any:
        """Train the network that `make` draws and return it, on the CPU; `parameters_` holds its numbers.

        Args:
            make: makes the network.
            losses: (network, epoch, generator) -> for each step: how many rows its batch has, and their mean loss over
                some of them.
            steps: of an epoch.
        """
        torch = require("torch", "recsys", "torch")
        from recsys.neural._parallel import Group, SharedCheckpoint
        from recsys.neural._train import Trainer

        group = Group.join(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            net = make().to(self.device)
        trainer = Trainer(net, self.learning_rate)
        self.state_ = trainer.state()
        if self._checkpoint is not None and group.size > 1:
            self._checkpoint = SharedCheckpoint(self._checkpoint, group, {"state_": self.state_}, self.device)
        for epoch in self._epochs(self.epochs, ("state_",)):
            trainer.restore(self.state_, epoch * steps)
            draw = np.random.default_rng([self.seed, epoch])
            steps_of_epoch = (_shared(net, group, *one) for one in losses(net, epoch, draw))
            trainer.epoch(steps_of_epoch, (self.seed, epoch), group)
            self.state_ = trainer.state()
        trainer.restore(self.state_, self.epochs * steps)
        self.parameters_ = self.state_[0].copy()
        del self.state_
        return net.cpu().eval()


def _shared(net: Any, group: Any, rows: int, loss: Callable[[slice], Any]) -> Callable[[], Any]:
    """What this process adds to the mean loss of a batch of so many rows."""
    mine, share = group.rows(rows)
    if share == 0:  # fewer rows than processes: a gradient of zero
        return lambda: sum(one.sum() for one in net.parameters()) * 0.0
    return lambda: loss(mine) * share


def layers_of(parameters: np.ndarray, sizes: list[tuple[int, int]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(weights (inputs, outputs), bias (outputs,)) of dense layers, whose numbers stand one after the other."""
    found, start = [], 0
    for inputs, outputs in sizes:
        weights = parameters[start : start + inputs * outputs].reshape(outputs, inputs).T
        start += inputs * outputs
        found.append((weights, parameters[start : start + outputs]))
        start += outputs
    return found
