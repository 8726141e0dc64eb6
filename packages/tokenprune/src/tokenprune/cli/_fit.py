"""The verbs that make a pruner: analyze, run, search, train, refine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ninefold.cli import Shared, progress
from ninefold.distributed import joined
from ninefold.report import Table

from tokenprune.cli._options import (
    Batch,
    Decode,
    Generations,
    Judged,
    Length,
    Model,
    Population,
    Pruner,
    Router,
    Sparsity,
    Steps,
    Tail,
    Text,
    Windows,
    load_model,
)


def analyze(
    *, model: Model = "smollm2", calibration: Text = "embedded", windows: Windows = 8, length: Length = 128,
    opts: Shared,
) -> list[Any]:  # fmt: skip
    """Show how redundant each block is: cosine of the stream before and after it, and block influence."""
    from tokenprune import Layout, datasets, redundancy
    from tokenprune import windows as cut
    from tokenprune.evaluation._roles import tokens_for

    language, tokenizer = load_model(model, opts)
    ids = tokens_for(windows * length, datasets.text(calibration), tokenizer)
    data = cut(ids, length=length, scored=1, count=windows, seed=opts.seed, prefix=datasets.prefix(tokenizer))
    found = redundancy(Layout.of(language), data)
    share, influence = found.share_above(0.8), found.influence
    table = Table(["block", "tokens with cosine > 0.8", "block influence"], title="Redundancy")
    table.rows += [[block, float(s), float(i)] for block, (s, i) in enumerate(zip(share, influence, strict=True))]
    overall = {"overall": float(share.mean()), "block 0": float(share[0]), "median block": float(share.median())}
    return [table, overall]


def run(
    *, model: Model = "smollm2", sparsity: Sparsity = 0.3, router: Router = "dynamic", calibration: Text = "embedded",
    windows: Windows = 42, length: Length = 128, scored: Tail = 24, steps: Steps = 50, batch: Batch = 4,
    generations: Generations = 8, population: Population = 12, decode: Decode = "off", fitness: Judged = "kl",
    opts: Shared,
) -> Table | None:  # fmt: skip
    """Search, train and refine into the run folder -o; killed anywhere, the same line goes on.

    As it comes, schedules are judged on 1,008 scored tokens; SmolLM2 then takes some 20 minutes on two cores.
    """
    return _stages(["search", "train", "refine"], None, model, sparsity, router, calibration, windows, length, scored,
                   steps, batch, generations, population, opts, decode=decode, fitness=fitness)  # fmt: skip


def search(
    *, model: Model = "smollm2", sparsity: Sparsity = 0.3, router: Router = "dynamic", calibration: Text = "embedded",
    windows: Windows = 42, length: Length = 128, scored: Tail = 24, generations: Generations = 8,
    population: Population = 12, decode: Decode = "off", fitness: Judged = "kl", opts: Shared,
) -> Table | None:  # fmt: skip
    """Stage 1: search a schedule with the static router into the run folder -o."""
    return _stages(["search"], None, model, sparsity, router, calibration, windows, length, scored, 1, 1, generations,
                   population, opts, decode=decode, fitness=fitness)  # fmt: skip


def train(
    pruner: Pruner, *, model: Model = "smollm2", calibration: Text = "embedded", windows: Windows = 42,
    length: Length = 128, scored: Tail = 24, steps: Steps = 50, batch: Batch = 4, opts: Shared,
) -> Table | None:  # fmt: skip
    """Stage 2: train the router of PRUNER into the run folder -o."""
    return _stages(["train"], pruner, model, 0.0, "dynamic", calibration, windows, length, scored, steps, batch, 1,
                   5, opts)  # fmt: skip


def refine(
    pruner: Pruner, *, model: Model = "smollm2", calibration: Text = "embedded", windows: Windows = 42,
    length: Length = 128, scored: Tail = 24, generations: Generations = 8, population: Population = 12,
    fitness: Judged = "kl", opts: Shared,
) -> Table | None:  # fmt: skip
    """Stage 3: search again from the schedule of PRUNER with its router, into the run folder -o."""
    return _stages(["refine"], pruner, model, 0.0, "dynamic", calibration, windows, length, scored, 1, 1, generations,
                   population, opts, fitness=fitness)  # fmt: skip


def _stages(
    names: list[str], start: Path | None, model: str, sparsity: float, router: str, calibration: str, windows: int,
    length: int, scored: int, steps: int, batch: int, generations: int, population: int, opts: Shared, *,
    decode: str = "off", fitness: Any = "kl",
) -> Table | None:  # fmt: skip
    """Stages in the folder -o; None in all but the first process of torchrun."""
    from contextlib import nullcontext
    from dataclasses import replace

    from ninefold.run import Run

    from tokenprune import FTPConfig, SearchConfig, TokenPruner, TrainConfig
    from tokenprune.evaluation._roles import for_fitting
    from tokenprune.evaluation._roles import held_out as held_out_windows
    from tokenprune.pruner._pipeline import Pipeline

    asked = {"stages": names, "start": str(start) if start else None, "model": model, "sparsity": sparsity,
             "router": router, "calibration": calibration, "windows": windows, "length": length, "scored": scored,
             "steps": steps, "batch": batch, "generations": generations, "population": population,
             "decode": decode, "fitness": fitness, "seed": opts.seed}  # fmt: skip
    config = FTPConfig(target_sparsity=sparsity, router=router, decode=decode, seed=opts.seed)
    of_search = SearchConfig(population=population, generations=generations)
    of_training = TrainConfig(steps=steps, batch=batch)
    out = opts.need_out()
    with joined() as (rank, _), progress(len(names), "starting") as bar:
        language, tokenizer = load_model(model, opts)
        pruner = TokenPruner.from_pretrained(start, language) if start else TokenPruner(language, config)
        cut: Any = {"count": windows, "length": length, "scored": scored}
        data, texts, validation = for_fitting(calibration, tokenizer, roles=3, seed=opts.seed, **cut)
        held_out = held_out_windows(calibration, tokenizer, **cut)
        # What the stages would refuse is refused here, on one window: a run folder, once made, holds to its settings.
        if names == ["train"] or ("train" in names and pruner.net is not None):
            pruner.training(texts.part(0, 1), of_training)
        if names != ["train"]:
            pruner.searching(data.part(0, 1), replace(of_search, alone=False), fitness=fitness)
        shown = {"done": 0.0}

        def advance(share: float, stage: str) -> None:
            total = names.index(stage) + share
            bar.advance(total - shown["done"], note=stage)
            shown["done"] = total

        with Run(out, asked) if rank == 0 else nullcontext() as run:
            work = Pipeline(
                run, pruner, data, texts, search=of_search, train=of_training, fitness=fitness, advance=advance,
                held_out=held_out, validation=validation,
            )  # fmt: skip
            pruner = work.stages(names)
    if run is None:
        return None
    table = Table(["block", "sparsity"], [[block, s] for block, s in enumerate(pruner.schedule)], title="Schedule")
    table.notes = [f"{name}: {_short(value)}" for name, value in pruner.metrics.items() if name != "held_out"]
    table.notes.append(work.unseen.note() if work.unseen else "held out: nothing, the text is too short for it")
    table.notes.append(f"pruner: {run.path / 'pruner'}")
    return table


def _short(value: Any) -> str:
    """A number, or several by name, as one reads them."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(one)}" for name, one in value.items())
    return f"{value:.4g}"
