"""One training loop for every estimator: epochs, schedule, log, checkpoints, several processes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.artifacts import load_state, save_state
from ninefold.distributed import place
from ninefold.errors import ArtifactError, InputError
from ninefold.run import Run
from torch import Tensor, nn

from bnn_fsg.datasets import Images
from bnn_fsg.estimators._distributed import average
from bnn_fsg.estimators._gradient import Gradient, Plain, first_reason
from bnn_fsg.layers._layers import Binary

CHECKPOINT: Any = {"kind": "bnn-fsg.checkpoint", "format_version": 1}
_EVALUATE = 500  # images at once


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long, in what steps.

    Attributes:
        epochs: passes over the training images.
        batch: images a step, over all processes; the last, smaller batch of an epoch is left out if it has not two
            images for each (BatchNorm needs them).
        drop_every: the lr is multiplied by `factor` every so many epochs (published: 30 of 100); 0 never.
        factor: see `drop_every`.
        augment: random crop of the image padded by 4, and a horizontal flip (CIFAR).
    """

    epochs: int
    batch: int = 128
    drop_every: int = 30
    factor: float = 0.1
    augment: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise InputError(name, got=getattr(self, name), expected="at least 1")


@dataclass
class History:
    """What a run logged: one entry an epoch.

    Attributes:
        epochs: dicts of epoch, loss (mean over the steps whose loss is finite), lr, skipped (steps until now),
            accuracy of the validation images, in [0, 1], and of 1-bit networks flips (share of signs that changed),
            error and spread (see `Gradient.estimate`).
        losses: of every step, in order.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    @property
    def mean_loss(self) -> float:
        """Mean training loss over all steps whose loss is finite."""
        return _mean(self.losses)


class BinaryTrainer:
    """Trains `model` with an estimator, or in full precision with a plain optimiser.

    Args:
        model: binarised or not; moved to no device here.
        gradient: the estimator (it knows the optimiser), or a torch optimiser for full precision.
        schedule: see `Schedule`.
        seed: random seed of the order of images and of their augmentation.
        out: a run folder: config.json, metrics.jsonl, checkpoints/. A run that was killed goes on with the same losses
            when the same trainer is made again; None keeps nothing.
        loss: (outputs, labels) -> mean loss.
        config: what else belongs into config.json.
    """

    def __init__(
        self,
        model: nn.Module,
        gradient: Gradient | torch.optim.Optimizer,
        schedule: Schedule,
        *,
        seed: int = 0,
        out: str | Path | None = None,
        loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy,
        config: dict[str, Any] | None = None,
    ) -> None:
        self.model, self.schedule, self.seed, self.loss = model, schedule, seed, loss
        self.gradient = gradient if isinstance(gradient, Gradient) else Plain(model, gradient)
        self.optimizer = self.gradient.optimizer
        self.out = None if out is None else Path(out)
        self._config = {**vars(schedule), "seed": seed, **(config or {})}
        self._lrs = [float(group["lr"]) for group in self.optimizer.param_groups]
        self._device = next(model.parameters()).device

    def fit(
        self, train: Images, validation: Images | None = None, *, on_step: Callable[[], object] = lambda: None
    ) -> History:
        """Train; returns what was logged, earlier parts of a resumed run included."""
        if len(train) < 2:
            raise InputError(train.name, got=f"{len(train)} image", expected="at least 2 to train on")
        if not self.steps(train):
            raise InputError("batch", got=self.schedule.batch, expected="at least 2 images for each process")
        history = History()
        with contextlib.ExitStack() as stack:
            run = None
            if self.out is not None and place()[0] == 0:
                run = stack.enter_context(Run(self.out, self._config))
            begin = self._resume(run, history)
            for epoch in range(begin, self.schedule.epochs):
                entry = self._epoch(epoch, train, history, on_step)
                if validation is not None:
                    entry["accuracy"] = accuracy(self.model, validation)
                history.epochs.append(entry)
                if run is not None:
                    run.log(**entry)
                    save_state(
                        run.checkpoints / "last.safetensors",
                        self._state(epoch + 1, history),
                        package="bnn_fsg",
                        **CHECKPOINT,
                    )
        self.model.eval()
        return history

    def steps(self, train: Images) -> int:
        """Steps that a whole run takes."""
        return self.schedule.epochs * len(_batches(np.arange(len(train)), self.schedule.batch, place()[1]))

    def _epoch(self, epoch: int, train: Images, history: History, on_step: Callable[[], object]) -> dict[str, Any]:
        schedule, gradient = self.schedule, self.gradient
        drops = epoch // schedule.drop_every if schedule.drop_every else 0
        for group, lr in zip(self.optimizer.param_groups, self._lrs, strict=True):
            if epoch == 0 or (schedule.drop_every and epoch % schedule.drop_every == 0):
                group["lr"] = lr * schedule.factor**drops
        self.model.train()
        draw = np.random.default_rng([self.seed, epoch])
        torch.manual_seed(self.seed * 1_000_003 + epoch)  # dropout and the like: no state of theirs to keep
        signs = _signs(self.model)
        losses = []
        batches = _batches(draw.permutation(len(train)), schedule.batch, place()[1])
        for number, rows in enumerate(batches):
            gradient.set_progress((epoch + number / len(batches)) / schedule.epochs)  # one epoch too runs through all
            images = train.inputs(rows)
            if schedule.augment:
                images = crop_and_flip(images, draw)
            rank, size = place()
            part = slice(rank, None, size)
            y = torch.from_numpy(train.labels[rows[part]]).to(self._device)
            losses.append(self._step(_tensor(images[part], self._device), y, len(y) * size / len(rows)))
            on_step()
        history.losses += losses
        entry: dict[str, Any] = {
            "epoch": epoch,
            "loss": _mean(losses),
            "lr": float(self.optimizer.param_groups[0]["lr"]),
        }
        if gradient.layers:
            entry |= {"flips": _flips(signs, _signs(self.model)), **gradient.estimate()}
        return {**entry, "skipped": gradient.skipped}

    def _step(self, x: Tensor, y: Tensor, share: float) -> float:
        """One step; `share` is how much more than the average process has of the batch: 1 where all have the same."""

        def closure() -> Tensor:
            loss = self.loss(self.model(x), y)
            return loss if share == 1 else loss * share  # so that the processes' average is the joined batch's mean

        whole = self.gradient.step(closure).clone().reshape(1)
        average([whole])
        return float(whole)

    def _state(self, epochs: int, history: History) -> dict[str, Any]:
        kept = {"epochs": epochs, "losses": history.losses, "log": history.epochs}
        return {"model": self.model.state_dict(), "gradient": self.gradient.state_dict(), **kept}

    def _resume(self, run: Run | None, history: History) -> int:
        """Epochs done already, after the states were taken back from the last checkpoint."""
        path = None if self.out is None else self.out / "checkpoints" / "last.safetensors"
        if path is None or not path.exists():
            if run is not None:
                run.rewind(0)
            return 0
        state = load_state(path, **CHECKPOINT)
        try:
            self.gradient.load_state_dict(state["gradient"])  # first: it knows which layer differs
            self.model.load_state_dict(state["model"])
        except (InputError, RuntimeError, ValueError, KeyError) as error:
            raise ArtifactError(path, f"is of another network or estimator ({first_reason(error)})") from None
        history.losses, history.epochs = list(state["losses"]), list(state["log"])
        if run is not None:
            run.rewind(state["epochs"])
        return int(state["epochs"])


@torch.no_grad()
def predict(model: nn.Module, images: Images) -> np.ndarray:
    """Classes that the model gives to images, (n,), in evaluation mode: by W, never by W_meta."""
    before = model.training
    model.eval()
    device = next(model.parameters()).device
    parts = (slice(at, at + _EVALUATE) for at in range(0, len(images), _EVALUATE))
    found = [model(_tensor(images.inputs(part), device)).argmax(1).cpu().numpy() for part in parts]
    model.train(before)
    return np.concatenate(found)


def _tensor(images: np.ndarray, device: torch.device) -> Tensor:
    """Images as torch's convolutions like them: channels last in memory, by a third faster on a CPU."""
    return torch.from_numpy(images).to(device, memory_format=torch.channels_last)


def accuracy(model: nn.Module, images: Images) -> float:
    """Share of images whose class is right."""
    return float((predict(model, images) == images.labels).mean())


def crop_and_flip(images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Each image shifted by up to 4 pixels over a border of zeros and flipped at random, (n, channels, h, w)."""
    count, _, height, width = images.shape
    padded = np.pad(images, ((0, 0), (0, 0), (4, 4), (4, 4)))
    top, left, flip = draw.integers(0, 9, count), draw.integers(0, 9, count), draw.random(count) < 0.5
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
    made = windows[np.arange(count), :, top, left]
    made[flip] = made[flip, :, :, ::-1]
    return made


def _mean(losses: list[float]) -> float:
    finite = [one for one in losses if math.isfinite(one)]
    return float(np.mean(finite)) if finite else math.nan


def _batches(order: np.ndarray, batch: int, processes: int) -> list[np.ndarray]:
    return [part for at in range(0, len(order), batch) if len(part := order[at : at + batch]) >= 2 * processes]


def _signs(model: nn.Module) -> Tensor | None:
    layers = [one for one in model.modules() if isinstance(one, Binary)]
    if not layers:
        return None
    return torch.cat([one.quantizer.bits(one.weight.detach()).reshape(-1).to(torch.int8) for one in layers])


def _flips(before: Tensor | None, after: Tensor | None) -> float:
    if before is None or after is None:
        return 0.0
    return float((before != after).float().mean())
