"""Stage 2: train a router under a frozen model, a sequence or a few a step.

The gated forward computes every token and weighs it by its gate; with hard gates its values are those of the gathered
forward. The model's weights take no gradient; those of the router do, straight through the hard choice.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored
from tokenprune.ftp._dynamic_router import DynamicRouter
from tokenprune.ftp._fitness import Fitness
from tokenprune.ftp._gated import gated_step
from tokenprune.ftp._losses import distillation_loss, guide_loss, guide_weight, sparsity_loss
from tokenprune.models._layout import Layout
from tokenprune.routers._schedule import HIGHEST

_HELD = 64  # answers of the dense model, (scored tokens, vocabulary) numbers each


@dataclass(frozen=True)
class TrainConfig:
    """Settings of router training.

    Attributes:
        steps: of `batch` sequences each.
        batch: sequences in a step; its gradient is their mean.
        lr: of AdamW; after `warmup` (a share of the steps) it falls to zero along a cosine.
        clip: largest norm of the gradient.
        distill, sparsity, guide: weights of the losses.
        jitter: the schedule is moved by up to so much at each step, so that one router serves several targets.
        check: steps between two looks at the validation text, if there is one.

    Examples:
        >>> from tokenprune import datasets, tiny_model, windows
        >>> from tokenprune.ftp import PublishedPruner, TrainConfig

        >>> model = tiny_model()
        >>> ids = datasets.tokens(datasets.embedded_text(), None)  # no tokenizer: bytes
        >>> texts = windows(ids, length=48, scored=8, count=4)

        >>> pruner = PublishedPruner(model)
        >>> pruner.fit_router(texts, TrainConfig(steps=2, batch=1))
        >>> sorted(pruner.metrics["train"])
        ['distill', 'guide', 'loss', 'sparsity']
    """

    steps: int = 400
    lr: float = 1e-3
    warmup: float = 0.05
    clip: float = 1.0
    distill: float = 1.0
    sparsity: float = 1.0
    guide: float = 1.0
    jitter: float = 0.1
    batch: int = 1
    check: int = 25

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.check) < 1 or not self.lr > 0:
            got = f"{self.steps} steps of {self.batch} sequences at {self.lr}, a check each {self.check}"
            raise InputError("training", got=got, expected="steps, batch, check and lr above 0")


class Training:
    """Router training under way; `state` holds all that is needed to resume, bit for bit.

    Args:
        layout: the frozen model.
        router: its net is trained in place; its schedule is what the losses ask for.
        data: sequences, drawn in an order that the seed fixes.
        config: see there.
        seed: random seed of the order of sequences and of the jitter.
        validation: other sequences: the router is judged on them before the first step, each `check` steps and after
            the last, and ends as it was where it was nearest to the dense model. Left out, it ends as the last step.

    Attributes:
        verdicts: divergence from the dense model on `validation`, by steps taken.

    Examples:
        >>> from tokenprune import datasets, tiny_model, windows
        >>> from tokenprune.ftp import PublishedPruner, TrainConfig

        >>> model = tiny_model()
        >>> ids = datasets.tokens(datasets.embedded_text(), None)  # no tokenizer: bytes
        >>> texts = windows(ids, length=48, scored=8, count=4)

        >>> training = PublishedPruner(model).training(texts, TrainConfig(steps=3))
        >>> losses = [training.step()["loss"] for _ in range(3)]
        >>> training.done, len(losses)
        (True, 3)
    """

    def __init__(
        self, layout: Layout, router: DynamicRouter, data: Scored, config: TrainConfig, seed: int = 0,
        validation: Scored | None = None,
    ) -> None:  # fmt: skip
        if layout.quantised:
            raise InputError(
                "model", got="quantised weights", expected="float weights: packed ones serve inference only"
            )
        self.executor, self.router, self.data, self.config = Executor(layout, router), router, data, config
        self.dense, self.answers = Executor(layout), {}
        self.answers: dict[int, Tensor]
        self.schedule, self.seed, self.step_number = router.schedule, seed, 0
        self.parameters = [one for one in router.net.parameters() if one.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=config.lr)
        self.good: dict[str, Tensor] = copy.deepcopy(router.net.state_dict())
        self.best, self.verdicts = self.good, {}
        self.verdicts: dict[int, float]
        self.judge = None if validation is None else Fitness(layout, validation, lambda _: router)

    @property
    def kept_step(self) -> int:
        """The step that did best on the validation text; where none is given, the last."""
        return min(self.verdicts, key=self.verdicts.__getitem__) if self.verdicts else self.step_number

    def _look(self) -> None:
        """Judge the router as it is, and hold on to it if it is the best so far; once done, go back to the best."""
        if self.judge is None or not (self.step_number % self.config.check == 0 or self.done):
            return
        self.judge.forget()  # the router as it was
        (self.verdicts[self.step_number],) = self.judge([self.schedule])
        if self.kept_step == self.step_number:
            self.best = self.good
        if self.done:
            self.router.net.load_state_dict(self.best)

    @property
    def done(self) -> bool:
        """Whether all steps were taken."""
        return self.step_number >= self.config.steps

    def rate(self) -> float:
        """Learning rate of the next step."""
        warm = max(1, round(self.config.warmup * self.config.steps))
        if self.step_number < warm:
            return self.config.lr * (self.step_number + 1) / warm
        share = (self.step_number - warm) / max(1, self.config.steps - warm)
        return self.config.lr * 0.5 * (1 + math.cos(math.pi * share))

    def step(self) -> dict[str, float]:
        """One step; returns the losses, means over its sequences.

        Raises:
            InputError: if the loss is not finite; the router is then as it was after the last good step.
        """
        if self.step_number == 0:
            self._look()
        draw = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step_number)
        each = []
        for _ in range(self.config.batch):
            item = int(torch.randint(len(self.data), (1,), generator=draw))
            each.append(self._one(item, float((torch.rand(1, generator=draw) * 2 - 1) * self.config.jitter)))
            losses = each[-1][0]
            if not math.isfinite(losses["loss"]):
                self.router.net.load_state_dict(self.good)
                raise InputError(
                    "loss", got=losses["loss"], where=f"step {self.step_number}, sequence {item}",
                    expected="a finite number", hint="the router is as after the last good step",
                )  # fmt: skip
        self._descend([gradients for _, gradients in each if gradients])
        self.good = copy.deepcopy(self.router.net.state_dict())
        self.step_number += 1
        self._look()
        return {name: sum(losses[name] for losses, _ in each) / len(each) for name in each[0][0]}

    def _one(self, item: int, shift: float) -> tuple[dict[str, float], list[Tensor | None]]:
        """Losses of one sequence, and the gradient of their sum for each parameter; none if nothing was routed."""
        self.router.schedule = tuple(min(max(s + shift, 0.0), HIGHEST) if s > 0 else 0.0 for s in self.schedule)
        try:
            with _frozen(self.executor.layout.model):
                losses = self._losses(self.data.part(item, item + 1), item)
        finally:
            self.router.schedule = self.schedule
        total = losses["distill"] * self.config.distill + losses["sparsity"] * self.config.sparsity
        total = total + losses["guide"] * self.config.guide * guide_weight(self.step_number, self.config.steps)
        shown = {name: float(value.detach()) for name, value in losses.items()} | {"loss": float(total.detach())}
        if not (total.requires_grad and math.isfinite(shown["loss"])):
            return shown, []
        return shown, list(torch.autograd.grad(total, self.parameters, allow_unused=True))

    def _descend(self, gradients: list[list[Tensor | None]]) -> None:
        """One step of the optimiser along the mean over sequences, summed in their order."""
        if not gradients:
            return
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        for parameter, parts in zip(self.parameters, zip(*gradients, strict=True), strict=True):
            there = [one.to(parameter.device) for one in parts if one is not None]
            parameter.grad = torch.stack(there).sum(0) / self.config.batch if there else None
        torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()

    @torch.no_grad()
    def _dense(self, item: int) -> Tensor:
        """Logits (P, V) of the dense model at the scored positions of one sequence; the last `_HELD` are remembered."""
        if item not in self.answers:
            while len(self.answers) >= _HELD:
                del self.answers[next(iter(self.answers))]
            self.answers[item] = self.data.part(item, item + 1).run(self.dense)[0]
        return self.answers[item]

    def _losses(self, part: Scored, item: int) -> dict[str, Tensor]:
        stream = part.start(self.executor)
        choices, asked = [], []
        for block in range(self.executor.blocks):
            choice = gated_step(self.executor, stream, block)
            if choice is not None:
                choices.append(choice)
                asked.append(self.router.schedule[block])
        distill = distillation_loss(self._dense(item), part.logits(self.executor, stream))
        if not choices:  # a schedule that skips nothing where the router decides
            return {"distill": distill, "sparsity": torch.zeros(()), "guide": torch.zeros(())}
        margins, gates, guides = zip(*((one.margin, one.by_sign, one.guide) for one in choices), strict=True)
        return {"distill": distill, "sparsity": sparsity_loss(asked, gates), "guide": guide_loss(margins, guides)}

    def state(self) -> dict[str, Any]:
        """(tensors of net, best net and optimiser, step, verdicts): enough to resume."""
        tensors = {f"net.{name}": value for name, value in self.router.net.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": value for name, value in moments.items()}
        return {"tensors": tensors, "step": self.step_number, "verdicts": sorted(self.verdicts.items())}

    def restore(self, tensors: dict[str, Tensor], step: int, verdicts: Iterable[tuple[int, float]] = ()) -> None:
        """Continue from a `state`."""
        self.router.net.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("net.")})
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("adam."):
                _, index, name = key.split(".", 2)
                moments.setdefault(int(index), {})[name] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.good, self.step_number = copy.deepcopy(self.router.net.state_dict()), step
        self.best = {k[5:]: v for k, v in tensors.items() if k.startswith("best.")}
        self.verdicts = dict(verdicts)


@contextlib.contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """What is computed inside takes no gradient to the model's weights."""
    free = [one for one in model.parameters() if one.requires_grad]
    for one in free:
        one.requires_grad_(False)
    try:
        yield
    finally:
        for one in free:
            one.requires_grad_(True)
