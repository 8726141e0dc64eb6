"""The method as published: a searched schedule, a learnt router, a refinement; and a pruner that holds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from ninefold.errors import InputError
from torch import nn

from tokenprune.baselines import redundancy
from tokenprune.executor._scored import Scored
from tokenprune.ftp._dynamic_router import DynamicRouter, RouterNet
from tokenprune.ftp._fitness import Fitness, Kind
from tokenprune.ftp._genetic import Search, SearchConfig
from tokenprune.ftp._train import TrainConfig, Training
from tokenprune.pruner._config import FTPConfig
from tokenprune.pruner._pruner import TokenPruner
from tokenprune.routers._schedule import uniform
from tokenprune.routers._static_router import StaticRouter

Advance = Callable[[], object]
WIDEST = 4096  # of a router's middle layer; the publication's has 64
STARTS = ("static", "random")


@dataclass(frozen=True, kw_only=True)
class PublishedConfig(FTPConfig):
    """Settings of a `PublishedPruner`, in addition to `target_sparsity` and `protect` of `FTPConfig`.

    Attributes:
        router: "dynamic" (four factors, one net for all blocks) or "static" (first and most recent tokens).
        score_window: how many last queries score the keys.
        hidden: width of the net's middle layer.
        router_start: what the net is before training: "static", an imitation of the static rule that ranks tokens
            exactly as it does; "random", weights drawn by chance.
        seed: random seed.

    Examples:
        >>> from tokenprune.ftp import PublishedConfig

        >>> config = PublishedConfig(target_sparsity=0.4)
        >>> config.router, config.hidden, config.target_sparsity
        ('dynamic', 64, 0.4)
    """

    routers: ClassVar = ("dynamic", "static")

    router: str = "dynamic"
    score_window: int = 1
    hidden: int = 64
    router_start: str = "static"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._count("score_window")
        self._count("hidden", WIDEST)
        if self.router_start not in STARTS:
            raise InputError("router_start", got=f"{self.router_start!r:.40}", expected=f"one of {', '.join(STARTS)}")
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            raise InputError("seed", got=f"{self.seed!r:.40}", expected="a whole number from 0, below 2^63")


class PublishedPruner(TokenPruner):
    """A pruner with the published router, whose schedule is searched, its router trained, its schedule refined.

    Args:
        model: as of `TokenPruner`.
        config: see `PublishedConfig`.
        schedule: sparsity of each block; uniform until it is searched.

    Examples:
        >>> from tokenprune import datasets, tiny_model, windows
        >>> from tokenprune.ftp import PublishedConfig, PublishedPruner, SearchConfig, TrainConfig

        >>> model = tiny_model()  # random weights; `tokenprune.load` reads real ones
        >>> ids = datasets.tokens(datasets.embedded_text(), None)  # no tokenizer: bytes
        >>> texts = windows(ids, length=48, scored=8, count=4)

        >>> pruner = PublishedPruner(model, PublishedConfig(target_sparsity=0.3))
        >>> pruner.search(texts, SearchConfig(population=4, generations=1, elite=1))
        >>> pruner.fit_router(texts, TrainConfig(steps=2))
        >>> pruner.refine(texts, SearchConfig(population=4, generations=2, elite=1))
        >>> round(sum(pruner.schedule) / 4, 2), sorted(pruner.metrics["train"])
        (0.3, ['distill', 'guide', 'loss', 'sparsity'])
    """

    kind: ClassVar[type[FTPConfig]] = PublishedConfig

    def __init__(
        self, model: nn.Module, config: PublishedConfig | None = None, schedule: Sequence[float] | None = None
    ) -> None:
        super().__init__(model, config, schedule)
        if self.config.router == "dynamic":
            generator = torch.Generator().manual_seed(self.config.seed)
            net = RouterNet(self.config.hidden, generator=generator, start=self.config.router_start)
            self.net = net.to(self.layout.device)

    def router(self, schedule: Sequence[float] | None = None) -> StaticRouter:
        """The router of a schedule, this pruner's own if none is given."""
        schedule = self.schedule if schedule is None else schedule
        if not isinstance(self.net, RouterNet):
            return StaticRouter(schedule)
        return DynamicRouter(schedule, self.net, window=self.config.score_window)

    def searching(self, data: Scored, config: SearchConfig | None = None, *, fitness: Kind = "kl",
                  refine: bool = False, state: dict[str, Any] | None = None) -> tuple[Search, Fitness]:  # fmt: skip
        """The search of stage 1 (static router), or of stage 3 (`refine`: own router, from its schedule)."""
        judge, config = self._judge(data, fitness, refine), config or SearchConfig()
        if refine:
            config = replace(config, generations=max(1, config.generations // 2), moves=1)
        search = Search(
            self.config.target_sparsity, redundancy(self.layout, data).influence.numpy(), highest=data.highest,
            seed=self.config.seed + refine, config=config, around=self.schedule if refine else None, state=state,
        )  # fmt: skip
        return search, judge

    def _judge(self, data: Scored, fitness: Kind, refine: bool) -> Fitness:
        return Fitness(self.layout, data, self.router if refine else StaticRouter, kind=fitness)

    def search(
        self, calibration: Scored, config: SearchConfig | None = None, *, fitness: Kind = "kl",
        validation: Scored | None = None, refine: bool = False, advance: Advance = lambda: None,
    ) -> None:  # fmt: skip
        """Stage 1: search a schedule for the static router.

        Args:
            calibration: what schedules are judged on.
            config: sizes.
            fitness: see `Fitness`.
            validation: other sequences: the present schedule, or the uniform one, stays unless the best of a
                generation is better there by more than a standard error, since a search on little text fits that text.
            refine: stage 3, see `refine`.
            advance: is called after each generation.
        """
        search, judge = self.searching(calibration, config, fitness=fitness, refine=refine)
        while not search.done:
            search.advance(judge)
            advance()
        self.adopt(search, validation, fitness=fitness, refine=refine)

    def refine(self, calibration: Scored, config: SearchConfig | None = None, **options: Any) -> None:
        """Stage 3: search again from the present schedule with the trained router; arguments as of `search`."""
        self.search(calibration, config, refine=True, **options)

    def adopt(
        self, search: Search, validation: Scored | None = None, *, fitness: Kind = "kl", refine: bool = False
    ) -> None:  # fmt: skip
        """Take a search's history and its best schedule, or with `validation` what `Fitness.choose` takes."""
        self.history += search.history
        self.measured = None
        if validation is None:
            self.schedule = search.best
            return
        flat = uniform(self.config.target_sparsity, len(self.schedule))
        start = [tuple(self.schedule)] if refine else []
        candidates = list(dict.fromkeys([*start, flat, *(tuple(line["schedule"]) for line in search.history)]))
        judge = self._judge(validation, fitness, refine)
        self.schedule = judge.choose(candidates)
        self.metrics["refine validated" if refine else "search validated"] = judge.memo[self.schedule]

    def training(self, texts: Scored, config: TrainConfig | None = None, validation: Scored | None = None) -> Training:
        """Stage 2 under way: router training; see `Training` for the arguments."""
        router = self.router()
        if not isinstance(router, DynamicRouter):
            raise InputError("router", got="static", expected="dynamic: the static router learns nothing")
        return Training(self.layout, router, texts, config or TrainConfig(), self.config.seed, validation)

    def fit_router(
        self, texts: Scored, config: TrainConfig | None = None, *, validation: Scored | None = None,
        advance: Advance = lambda: None,
    ) -> None:  # fmt: skip
        """Stage 2: train the router.

        Args:
            texts: what it learns from.
            config: sizes.
            validation: other sequences; of the steps looked at, the start included, the best there is taken.
            advance: is called after each step.
        """
        training = self.training(texts, config, validation)
        while not training.done:
            self.metrics["train"] = training.step()
            advance()
        self.note(training)

    def note(self, training: Training) -> None:
        """What a finished training was worth on its validation sequences."""
        self.measured = None
        if training.verdicts:
            step = training.kept_step
            self.metrics["train validated"] = {
                "step": step, "kl": training.verdicts[step], "kl at the start": training.verdicts[0],
            }  # fmt: skip
