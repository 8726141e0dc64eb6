"""One training loop for every estimator: epochs, schedule, log, checkpoints, several processes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.artifacts import load_state, save_state
from ninefold.distributed import place
from ninefold.errors import ArtifactError, InputError
from ninefold.run import Run
from torch import Tensor, nn

from bnn_fsg.estimators._distributed import average
from bnn_fsg.estimators._gradient import Gradient, Plain, first_reason
from bnn_fsg.layers._layers import Binary
from bnn_fsg.training._compiling import Compiled, check_still
from bnn_fsg.training._scores import accuracy, torch_threads
from bnn_fsg.training._sources import FromImages, FromLoader, Source, source_of
from bnn_fsg.training._teacher import Teacher

CHECKPOINT: Any = {"kind": "bnn-fsg.checkpoint", "format_version": 1}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long, in what steps.

    Attributes:
        epochs: passes over the training images.
        batch: images a step, over all processes; the last, smaller batch of an epoch is left out if it has not two
            images for each (BatchNorm needs them).
        drop_every: the lr is multiplied by `factor` every so many epochs (published: 30 of 100); 0 never.
        factor: see `drop_every`.
        decay: "step", as `drop_every` says; "cosine" or "linear" lead the lr to 0 over the run, step by step.
        augment: random crop of the image padded by 4, and a horizontal flip (CIFAR).

    Examples:
        >>> import torch
        >>> from bnn_fsg import BinaryTrainer, Schedule, datasets
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> digits = datasets.digits("train")
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

        >>> schedule = Schedule(epochs=10, batch=64, decay="cosine")
        >>> round(schedule.share_of_lr(5, 0.5), 3)  # of the lr, half way
        0.5
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        >>> len(digits), BinaryTrainer(net, optimizer, schedule).steps(digits)
        (1437, 230)
    """

    epochs: int
    batch: int = 128
    drop_every: int = 30
    factor: float = 0.1
    augment: bool = False
    decay: str = "step"

    def __post_init__(self) -> None:
        if self.decay not in ("step", "cosine", "linear"):
            raise InputError("decay", got=repr(self.decay), expected="step, cosine or linear")
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise InputError(name, got=getattr(self, name), expected="at least 1")

    def share_of_lr(self, epoch: int, done: float) -> float:
        """What is left of the lr in an epoch, when `done` of the run's steps are done, in [0, 1)."""
        if self.decay == "step":
            return self.factor ** (epoch // self.drop_every) if self.drop_every else 1.0
        return 1 - done if self.decay == "linear" else (1 + math.cos(math.pi * done)) / 2


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
        out: a run folder: config.json, metrics.jsonl, checkpoints/. The same trainer resumes a killed run with the
            same losses; None keeps nothing.
        loss: (outputs, labels) -> mean loss.
        teacher: a network to follow in addition to the labels.
        config: what else belongs into config.json.
        threads: of torch on a CPU; None: as many as torch has. Sums of floats depend on it, and so does every figure:
            with a number given a run has the same losses whatever torch is set to (that is then how many threads the
            slow-net's kernels take, whose sums do not depend on it).
        compile: `torch.compile` the steps of network and teacher: a minute at the start, faster then. On a CPU torch
            wants a C++ compiler for it. InputError with estimators that learn, or whose derivative moves.

    Examples:
        >>> import torch
        >>> from bnn_fsg import BinaryTrainer, Schedule, datasets
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> digits = datasets.digits("train")
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

        >>> optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        >>> history = BinaryTrainer(net, optimizer, Schedule(epochs=2, batch=64), out="run").fit(digits)
        >>> [entry["epoch"] for entry in history.epochs], history.losses[-1] < history.losses[0]
        ([0, 1], True)

        The same trainer on the same folder resumes; here all is done:

        >>> again = BinaryTrainer(net, optimizer, Schedule(epochs=2, batch=64), out="run").fit(digits)
        >>> len(again.losses) == len(history.losses)
        True
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
        teacher: Teacher | None = None,
        config: dict[str, Any] | None = None,
        threads: int | None = None,
        compile: bool = False,  # noqa: A002  (torch's name for it)
    ) -> None:
        if threads is not None and threads < 1:
            raise InputError("threads", got=threads, expected="at least 1, or None")
        self.threads = threads
        self.model, self.schedule, self.seed, self.loss, self.teacher = model, schedule, seed, loss, teacher
        self.gradient = gradient if isinstance(gradient, Gradient) else Plain(model, gradient)
        self.optimizer = self.gradient.optimizer
        self.out = None if out is None else Path(out)
        self._config = {**vars(schedule), "seed": seed, **(config or {})}
        self._lrs = [float(group["lr"]) for group in self.optimizer.param_groups]
        self._device = next(model.parameters()).device
        self._outputs: Callable[[Tensor], Tensor] = model
        if compile:
            check_still(self.gradient)
            self._outputs = Compiled(model)
            self.teacher = teacher and replace(teacher, model=Compiled(teacher.model))

    def fit(
        self, train: Source, validation: Source | None = None, *, on_step: Callable[[], object] = lambda: None
    ) -> History:
        """Train; returns what was logged, earlier parts of a resumed run included.

        Args:
            train: images in memory, or a DataLoader of (float32 inputs, int64 labels), whose batches and transforms
                then replace the schedule's.
            validation: the same; its accuracy is logged after each epoch.
            on_step: called after each step.
        """
        source = source_of(train, self.schedule.batch, self.schedule.augment)
        if not len(source):
            raise InputError("batch", got=self.schedule.batch, expected="at least 2 images for each process")
        history = History()
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch_threads(self.threads if self._device.type == "cpu" else None))
            run = None
            if self.out is not None and place()[0] == 0:
                run = stack.enter_context(Run(self.out, self._config))
            begin = self._resume(run, history)
            for epoch in range(begin, self.schedule.epochs):
                entry = self._epoch(epoch, source, history, on_step)
                if validation is not None:
                    entry["accuracy"] = accuracy(self.model, validation, threads=self.threads)
                history.epochs.append(entry)
                if run is not None:
                    run.log(**entry)
                    path, state = run.checkpoints / "last.safetensors", self._state(epoch + 1, history)
                    save_state(path, state, package="bnn_fsg", **CHECKPOINT)
        self.model.eval()
        return history

    def steps(self, train: Source) -> int:
        """Steps that a whole run takes."""
        return self.schedule.epochs * len(source_of(train, self.schedule.batch, self.schedule.augment))

    def _set_lr(self, epoch: int, done: float) -> None:
        schedule = self.schedule
        if schedule.decay == "step" and epoch and not (schedule.drop_every and epoch % schedule.drop_every == 0):
            return  # who changed the lr between epochs has reasons
        for group, lr in zip(self.optimizer.param_groups, self._lrs, strict=True):
            group["lr"] = lr * schedule.share_of_lr(epoch, done)

    def _epoch(
        self, epoch: int, source: FromImages | FromLoader, history: History, on_step: Callable[[], object]
    ) -> dict[str, Any]:
        schedule, gradient = self.schedule, self.gradient
        self._set_lr(epoch, epoch / schedule.epochs)
        self.model.train()
        draw = np.random.default_rng([self.seed, epoch])
        torch.manual_seed(self.seed * 1_000_003 + epoch)  # dropout and the like: no state of theirs to keep
        signs = _signs(self.model)
        losses, count = [], len(source)
        for number, (x, y, share) in enumerate(source.epoch(draw, self._device)):
            done = (epoch + number / count) / schedule.epochs  # one epoch too runs through all
            gradient.set_progress(done)
            if schedule.decay != "step":
                self._set_lr(epoch, done)
            losses.append(self._step(x, y, share))
            on_step()
        history.losses += losses
        lr = float(self.optimizer.param_groups[0]["lr"])
        entry: dict[str, Any] = {"epoch": epoch, "loss": _mean(losses), "lr": lr}
        if gradient.layers:
            entry |= {"flips": _flips(signs, _signs(self.model)), **gradient.estimate()}
        return {**entry, "skipped": gradient.skipped}

    def _step(self, x: Tensor, y: Tensor, share: float) -> float:
        """One step; `share` is how much more than the average process has of the batch: 1 where all have the same."""

        def closure() -> Tensor:
            outputs = self._outputs(x)
            loss = self.loss(outputs, y)
            if self.teacher is not None:
                loss = self.teacher.follow(loss, outputs, x)
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


def _mean(losses: list[float]) -> float:
    finite = [one for one in losses if math.isfinite(one)]
    return float(np.mean(finite)) if finite else math.nan


def _signs(model: nn.Module) -> Tensor | None:
    layers = [one for one in model.modules() if isinstance(one, Binary)]
    if not layers:
        return None
    return torch.cat([one.quantizer.bits(one.weight.detach()).reshape(-1).to(torch.int8) for one in layers])


def _flips(before: Tensor | None, after: Tensor | None) -> float:
    if before is None or after is None:
        return 0.0
    return float((before != after).float().mean())
