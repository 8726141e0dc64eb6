"""The published method from a text's name to a run folder, and what came out as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ninefold.progress import progress
from ninefold.report import Table
from ninefold.run import Run

from tokenprune.evaluation._naming import naming
from tokenprune.evaluation._roles import for_fitting, held_out, with_tasks
from tokenprune.ftp import _stages
from tokenprune.ftp._genetic import SearchConfig
from tokenprune.ftp._published import PublishedConfig, PublishedPruner
from tokenprune.ftp._train import TrainConfig

_ROLES = ("training", "training", "validation")


def texts_for_stages(
    calibration: str, tokenizer: Any, *, long: int | None, long_length: int, seed: int = 0, **cut: int
) -> _stages.Texts:
    """Windows and long-context tasks of one text for each stage, and for the end; no token has two roles.

    Args:
        calibration: name of the text. tokenizer: of the model; None: bytes.
        long: long-context tasks of each kind, see `with_tasks`. long_length: tokens of each.
        seed: random seed. cut: count, length and scored of the windows.
    Raises: InputError if the text is too short.
    """
    roles = for_fitting(calibration, tokenizer, roles=3, seed=seed, **cut)  # type: ignore[arg-type]
    with naming(length="long_length"):
        search, train, choice = (with_tasks(one, role, tokenizer, each=long, length=long_length, seed=seed + at)
                                 for at, (one, role) in enumerate(zip(roles, _ROLES, strict=True)))  # fmt: skip
    unseen = held_out(calibration, tokenizer, **cut)  # type: ignore[arg-type]
    if unseen is not None and sum(map(len, unseen.sequences)) > long_length:
        unseen = with_tasks(unseen, "test", tokenizer, each=long, length=long_length, seed=seed + 3)
    return _stages.Texts(search, train, choice, unseen)


def train_published(
    out: Path, model: Any, config: PublishedConfig, texts: _stages.Texts, settings: dict[str, Any], *,
    search: SearchConfig, train: TrainConfig, fitness: Any = "kl",
) -> PublishedPruner:  # fmt: skip
    """Search a schedule, train a router and refine, into a run folder, from which a killed run goes on.

    Args:
        out: the folder; the pruner is in its folder `pruner`. model: the language model. config: of the pruner.
        texts: see `texts_for_stages`. settings: which a run that goes on must share.
        search, train: sizes. fitness: see `Fitness`.
    Raises: InputError for what the search would refuse, before there is a folder.
    """
    pruner = PublishedPruner(model, config)
    pruner.searching(texts.calibration.part(0, 1), search, fitness=fitness)  # a run folder, once made, holds settings
    shown = 0.0
    with progress(len(_stages.STAGES), "starting") as bar:

        def advance(share: float, stage: str) -> None:
            nonlocal shown
            total = _stages.STAGES.index(stage) + share
            bar.advance(total - shown, note=stage)
            shown = total

        with Run(out, settings) as run:
            stages = _stages.Stages(run, pruner, texts, search=search, train=train, fitness=fitness, advance=advance)
            return stages.finish()


def schedule_table(made: PublishedPruner) -> Table:
    """A pruner's schedule, with its metrics as notes."""
    table = Table(["block", "sparsity"], [[block, s] for block, s in enumerate(made.schedule)], title="Schedule")
    table.notes = [f"{name}: {_short(value)}" for name, value in made.metrics.items() if name != "held_out"]
    table.notes.append(_of_held_out(made.metrics.get("held_out")))
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
