"""What torch models need: epochs that can be resumed, and networks as one array in a model's file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from ninefold.errors import InputError, require

from recsys.recommender._base import Recommender
from recsys.recommender._learner import bounded
from recsys.recommender._store import load

BatchLoss: TypeAlias = tuple[np.ndarray, Callable[[slice], Any]]


@dataclass(kw_only=True, eq=False, repr=False)
class NeuralModel(Recommender):
    """Base of models trained by Adam in a fixed number of epochs. Training needs the extra `torch`; answers do not.

    Processes that torchrun starts train one model together: each takes its share of every batch.

    Args:
        epochs, batch, learning_rate: of Adam.
        device: torch device of the training, and of a sequence network's answers where the machine has it.
        seed: of start, order and noise.
    """

    fitted: ClassVar[tuple[str, ...]] = ("parameters_",)
    shapes: ClassVar[dict[str, str]] = Recommender.shapes | {"parameters_": "p"}
    needs: ClassVar[tuple[tuple[str, str], ...]] = (("torch", "torch"),)
    trains_together: ClassVar[bool] = True
    epochs: int = bounded(50, least=1)
    batch: int = bounded(512, least=1)
    learning_rate: float = bounded(0.001, above=0)
    device: str = "cpu"
    seed: int = 0

    def _train(
        self, make: Callable[[], Any], losses: Callable[[Any, int, np.random.Generator], Iterable[BatchLoss]],
        steps: int, held: Callable[[Any], float], patience: int,
    ) -> Any:  # fmt: skip
        """Train the network that `make` draws and return it, on the CPU; `parameters_` holds its numbers.

        Args:
            make: makes the network.
            losses: (network, epoch, generator) -> for each step: its targets (-1 where there is none), and their mean
                loss over some of the rows.
            steps: of an epoch.
            held: held-out loss of a network; the epoch where it is lowest is kept.
            patience: epochs without a lower held-out loss after which training stops.
        """
        torch = require("torch", "recsys", "torch")
        from recsys.neural._parallel import Group, SharedCheckpoint
        from recsys.neural._train import Trainer, set_vector

        _check_device(torch, self.device)
        group = Group.join(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            net = make().to(self.device)
        trainer = Trainer(net, self.learning_rate)
        self.state_ = trainer.state()
        self.best_, self.record_ = self.state_[0], np.array([np.inf, 0.0, 0.0])  # lowest loss, epochs since, epochs
        kept = ("state_", "best_", "record_")
        if self._checkpoint is not None and group.size > 1:
            like = {name: getattr(self, name) for name in kept}
            self._checkpoint = SharedCheckpoint(self._checkpoint, group, like, self.device)
        for epoch in self._epochs(self.epochs, kept):
            if self.record_[1] >= patience:
                continue
            trainer.restore(self.state_, epoch * steps)
            draw = np.random.default_rng([self.seed, epoch])
            steps_of_epoch = (_shared(net, group, *one) for one in losses(net, epoch, draw))
            trainer.epoch(steps_of_epoch, (self.seed, epoch), group)
            self.state_ = trainer.state()
            self._note(float(group.same(np.array([held(net)]), self.device)[0]), epoch)
        self.parameters_ = self.best_
        set_vector(net, self.parameters_)
        del self.state_, self.best_
        return net.cpu().eval()

    def _note(self, loss: float, epoch: int) -> None:
        """Keep the epoch's parameters if its held-out loss is the lowest so far."""
        if not np.isfinite(loss):
            raise InputError(f"loss of {self!r}", got=f"{loss} after epoch {epoch + 1}", expected="a finite loss")
        better = loss < self.record_[0]
        self.best_ = self.state_[0].copy() if better else self.best_
        self.record_ = np.array([min(loss, self.record_[0]), 0 if better else self.record_[1] + 1, epoch + 1])

    # --- names that users of transformers know ---

    def save_pretrained(self, folder: str | Path, *, force: bool = False) -> Path:
        """The same as `save`: a folder of safetensors, JSON and Arrow files."""
        return self.save(folder, force=force)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Read a folder of `save_pretrained` or `save`.

        Raises:
            ArtifactError: if it is damaged, foreign or newer.
            InputError: if it holds a model of another class.
        """
        model = load(folder)
        if not isinstance(model, cls):
            raise InputError(f"folder {folder}", got=f"a {type(model).__name__}", expected=f"a {cls.__name__}")
        return model


def _check_device(torch: Any, device: str) -> None:
    """InputError for a device that torch does not know, or that this machine does not have."""
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise InputError("device", got=repr(device), expected='a torch device, e.g. "cpu" or "cuda"') from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError("device", got=repr(device), expected='"cpu": this machine has no CUDA device')


def _shared(net: Any, group: Any, target: np.ndarray, loss: Callable[[slice], Any]) -> Callable[[], Any]:
    """What this process adds to the mean loss of a batch of these targets."""
    mine, share = group.share(target)
    if share == 0:  # fewer rows than processes: a gradient of zero
        return lambda: sum(one.sum() for one in net.parameters()) * 0.0
    return lambda: loss(mine) * share
