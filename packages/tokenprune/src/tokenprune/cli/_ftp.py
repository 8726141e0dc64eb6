"""The one door to the published method (room `ftp`): its verb, and pruners' folders of either kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, progress
from ninefold.report import Table

from tokenprune.cli._options import Length, Model, Sparsity, Tail, Text, Windows, load_model, naming, one_of

Router = Annotated[str, typer.Option("--router", help="dynamic, or static: then there is nothing to train.")]
Steps = Annotated[int, typer.Option("--steps", min=1, help="Steps of router training.")]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Sequences of a step.")]
Long = Annotated[
    int | None,
    typer.Option("--long", min=0, help="Long-context tasks of each kind beside windows.  [default: 4, if text lasts]"),
]
LongLength = Annotated[int, typer.Option("--long-length", min=64, help="Tokens of a long-context task.")]
Generations = Annotated[int, typer.Option("--generations", min=1, help="Generations of the search.")]
Population = Annotated[int, typer.Option("--population", min=5, help="Schedules in a generation.")]
Judged = Annotated[str, typer.Option("--fitness", help="kl, nll or accuracy: what schedules are judged by.")]


def kind_of(folder: Path) -> Any:
    """The class that reads a pruner's folder."""
    from tokenprune import TokenPruner
    from tokenprune.pruner._files import router_of

    if router_of(folder) != "dynamic":
        return TokenPruner
    from tokenprune.ftp import PublishedPruner

    return PublishedPruner


def pruner_of(language: Any, folder: Path | None, sparsity: float | None) -> Any:
    """The pruner of a folder, or the training-free one of a sparsity."""
    from tokenprune import FTPConfig, TokenPruner

    if folder is not None:
        return kind_of(folder).from_pretrained(folder, language)
    return TokenPruner(language, FTPConfig(target_sparsity=one_of(folder, sparsity)))


def ftp(
    *, model: Model = "smollm2", sparsity: Sparsity = 0.3, router: Router = "dynamic", calibration: Text = "embedded",
    windows: Windows = 42, length: Length = 128, scored: Tail = 24, long: Long = None, long_length: LongLength = 256,
    steps: Steps = 50, batch: Batch = 4, generations: Generations = 4, population: Population = 12,
    fitness: Judged = "kl", opts: Shared,
) -> Table:  # fmt: skip
    """The method as published: search a schedule, train a router, refine, into the run folder -o.

    Killed anywhere, the same line goes on. By default, schedules are judged on 1,008 scored tokens of text and on
    long-context tasks. The training-free pruner, which needs none of this, is nearer the dense model.
    """
    from ninefold.run import Run

    from tokenprune.evaluation._roles import for_fitting, with_tasks
    from tokenprune.evaluation._roles import held_out as held_out_windows
    from tokenprune.ftp import PublishedConfig, PublishedPruner, SearchConfig, TrainConfig
    from tokenprune.ftp._stages import STAGES, Stages, Texts

    settings = {"seed": opts.seed, "model": model, "sparsity": sparsity, "router": router, "calibration": calibration,
                "windows": windows, "length": length, "scored": scored, "long": long, "long_length": long_length,
                "steps": steps, "batch": batch, "generations": generations, "population": population,
                "fitness": fitness}  # fmt: skip
    out, seed = opts.need_out(), opts.seed
    of_search = SearchConfig(population=population, generations=generations)
    cut: Any = {"count": windows, "length": length, "scored": scored}
    uses = ("training", "training", "validation")
    with progress(len(STAGES), "starting") as bar:
        with naming(target_sparsity="--sparsity", router="--router"):
            config = PublishedConfig(target_sparsity=sparsity, router=router, seed=seed)
        language, tokenizer = load_model(model, opts)
        roles = for_fitting(calibration, tokenizer, roles=3, seed=seed, **cut)
        with naming(length="--long-length"):
            parts = [with_tasks(one, role, tokenizer, each=long, length=long_length, seed=seed + at)
                     for at, (one, role) in enumerate(zip(roles, uses, strict=True))]  # fmt: skip
        unseen = held_out_windows(calibration, tokenizer, **cut)
        if unseen is not None and sum(map(len, unseen.sequences)) > long_length:
            unseen = with_tasks(unseen, "test", tokenizer, each=long, length=long_length, seed=seed + 3)
        pruner = PublishedPruner(language, config)
        # What the search would refuse is refused here, on one window: a run folder, once made, holds to its settings.
        pruner.searching(parts[0].part(0, 1), of_search, fitness=fitness)  # type: ignore[arg-type]
        shown = {"done": 0.0}

        def advance(share: float, stage: str) -> None:
            total = STAGES.index(stage) + share
            bar.advance(total - shown["done"], note=stage)
            shown["done"] = total

        with Run(out, settings) as run:
            work = Stages(run, pruner, Texts(*parts, unseen), search=of_search, fitness=fitness, advance=advance,
                          train=TrainConfig(steps=steps, batch=batch))  # fmt: skip
            made = work.finish()
    table = Table(["block", "sparsity"], [[block, s] for block, s in enumerate(made.schedule)], title="Schedule")
    table.notes = [f"{name}: {_short(value)}" for name, value in made.metrics.items() if name != "held_out"]
    table.notes += [_of_held_out(made.metrics.get("held_out")), f"pruner: {out / 'pruner'}"]
    return table


def _of_held_out(kl: dict[str, float] | None) -> str:
    if kl is None:
        return "held out: nothing, the text is too short for it"
    says = f"held out: {kl['pruner']:.4g} nats a token from the dense model, training-free {kl['training-free']:.4g}"
    return f"{says}: use the training-free pruner" if kl["pruner"] > kl["training-free"] else says


def _short(value: Any) -> str:
    """A number, or several by name, as one reads them."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(one)}" for name, one in value.items())
    return f"{value:.4g}"
