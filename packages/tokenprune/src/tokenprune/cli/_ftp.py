"""Access to the published method (module `ftp`): its verb, and pruner folders of either kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared
from ninefold.errors import InputError
from ninefold.report import Table
from typer import Option

from tokenprune.cli._options import ADVANCED, Asked, Folder, Length, Model, Sparsity, Tail, Text, Windows, load_model
from tokenprune.evaluation._naming import naming

_LONG = "Number of long-context tasks of each kind, in addition to windows.  [default: 4, if the text is long enough]"


def kind_of(folder: Path) -> Any:
    """The class that reads a pruner's folder."""
    from tokenprune import TokenPruner
    from tokenprune.pruner._files import router_of

    if router_of(folder) != "dynamic":
        return TokenPruner
    from tokenprune.ftp import PublishedPruner

    return PublishedPruner


@dataclass(frozen=True)
class Pruned:
    """A model, and its pruner: that of a folder, or the training-free one of a sparsity."""

    model: Model = "smollm2"
    pruner: Folder = None
    sparsity: Asked = None

    def __post_init__(self) -> None:
        if self.pruner is not None and self.sparsity is not None:
            raise InputError("--sparsity", got=self.sparsity, expected="none beside --pruner, which brings its own")
        from tokenprune.routers._schedule import checked_target

        with naming(target_sparsity="--sparsity"):
            checked_target(self.sparsity or 0.0)  # before a model is loaded

    def open(self, opts: Shared) -> tuple[Any, Any, Any]:
        """(model, tokenizer, pruner)."""
        language, tokenizer = load_model(self.model, opts)
        return language, tokenizer, self.on(language)

    def on(self, language: Any) -> Any:
        """The pruner on a model."""
        from tokenprune import FTPConfig, TokenPruner

        if self.pruner is not None:
            return kind_of(self.pruner).from_pretrained(self.pruner, language)
        return TokenPruner(language, FTPConfig(target_sparsity=0.3 if self.sparsity is None else self.sparsity))


@dataclass(frozen=True)
class Stages:
    """What the published method is given."""

    model: Model = "smollm2"
    sparsity: Sparsity = 0.3
    router: Annotated[str, Option(help="Router: dynamic, or static, which needs no training.")] = "dynamic"
    calibration: Text = "embedded"
    windows: Windows = 42
    length: Length = 128
    scored: Tail = 24
    long: Annotated[int | None, Option(min=0, help=_LONG)] = None
    long_length: Annotated[
        int, Option(min=64, help="Length of a long-context task, in tokens.", rich_help_panel=ADVANCED)
    ] = 256
    steps: Annotated[int, Option(min=1, help="Number of training steps of the router.")] = 50
    batch: Annotated[int, Option(min=1, help="Number of sequences per training step.", rich_help_panel=ADVANCED)] = 4
    generations: Annotated[int, Option(min=1, help="Number of generations of the genetic search.")] = 4
    population: Annotated[int, Option(min=5, help="Number of schedules per generation.", rich_help_panel=ADVANCED)] = 12
    fitness: Annotated[str, Option(help="Objective of the search: kl, nll or accuracy.")] = "kl"


def ftp(*, given: Stages, opts: Shared) -> Table:
    """Run the published method: search a schedule, train a router and refine both, in the run folder -o.

    Rerun the same command to resume after an interruption. Schedules are scored on 1,008 tokens of text and on
    long-context tasks by default. The training-free pruner needs none of this and is closer to the dense model.
    """
    from ninefold.run import Run

    from tokenprune.ftp import PublishedConfig, PublishedPruner, SearchConfig, TrainConfig
    from tokenprune.ftp._stages import Stages, schedule_table, texts_for_stages

    out, seed = opts.need_out(), opts.seed
    with naming(target_sparsity="--sparsity", router="--router"):
        config = PublishedConfig(target_sparsity=given.sparsity, router=given.router, seed=seed)
    language, tokenizer = load_model(given.model, opts)
    texts = texts_for_stages(
        given.calibration, tokenizer, long=given.long, long_length=given.long_length, seed=seed,
        count=given.windows, length=given.length, scored=given.scored,
    )  # fmt: skip
    pruner, search = PublishedPruner(language, config), SearchConfig(given.population, given.generations)
    # What the search would refuse is refused here, on one window: a run folder, once made, holds to its settings.
    pruner.searching(texts.calibration.part(0, 1), search, fitness=given.fitness)  # type: ignore[arg-type]
    with Run(out, {"seed": seed, **vars(given)}) as run:
        train = TrainConfig(steps=given.steps, batch=given.batch)
        made = Stages(run, pruner, texts, search=search, train=train, fitness=given.fitness).finish()
    table = schedule_table(made)
    table.notes.append(f"pruner: {out / 'pruner'}")
    return table
