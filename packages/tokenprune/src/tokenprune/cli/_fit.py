"""The verbs that make a pruner: analyze, run, search, train, refine."""

from __future__ import annotations

from typing import Any

from ninefold.cli import Shared, progress
from ninefold.distributed import joined
from ninefold.errors import InputError
from ninefold.report import Table

from tokenprune.cli._options import (
    Batch,
    Decode,
    Generations,
    Judged,
    Length,
    Long,
    LongLength,
    Model,
    Population,
    Pruner,
    Router,
    Sparsity,
    Starts,
    Steps,
    Tail,
    Text,
    Windows,
    load_model,
    naming,
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
    *, model: Model = "smollm2", sparsity: Sparsity = 0.3, router: Router = "dynamic", starts: Starts = "observation",
    calibration: Text = "embedded", windows: Windows = 42, length: Length = 128, scored: Tail = 24, long: Long = None,
    long_length: LongLength = 256, steps: Steps = 50, batch: Batch = 4, generations: Generations = 4,
    population: Population = 12, decode: Decode = "off", fitness: Judged = "kl", opts: Shared,
) -> Table | None:  # fmt: skip
    """Search, train and refine into the run folder -o; killed anywhere, the same line goes on.

    By default, schedules are judged on 1,008 scored tokens of text and on 20 long-context tasks.
    """
    asked = locals() | {"start": None}
    return _stages(["search", "train", "refine"], asked)


def search(
    *, model: Model = "smollm2", sparsity: Sparsity = 0.3, router: Router = "dynamic", starts: Starts = "observation",
    calibration: Text = "embedded", windows: Windows = 42, length: Length = 128, scored: Tail = 24, long: Long = None,
    long_length: LongLength = 256, generations: Generations = 4, population: Population = 12, decode: Decode = "off",
    fitness: Judged = "kl", opts: Shared,
) -> Table | None:  # fmt: skip
    """Stage 1: search a schedule, with a router that needs no net, into the run folder -o."""
    return _stages(["search"], locals() | {"start": None})


def train(
    pruner: Pruner, *, model: Model = "smollm2", starts: Starts = "", calibration: Text = "embedded",
    windows: Windows = 42, length: Length = 128, scored: Tail = 24, long: Long = None, long_length: LongLength = 256,
    steps: Steps = 50, batch: Batch = 4, opts: Shared,
) -> Table | None:  # fmt: skip
    """Stage 2: train the router of PRUNER into the run folder -o; without --starts, from where it is."""
    return _stages(["train"], {"start": pruner, **_but(locals(), "pruner")})


def refine(
    pruner: Pruner, *, model: Model = "smollm2", calibration: Text = "embedded", windows: Windows = 42,
    length: Length = 128, scored: Tail = 24, long: Long = None, long_length: LongLength = 256,
    generations: Generations = 4, population: Population = 12, fitness: Judged = "kl", opts: Shared,
) -> Table | None:  # fmt: skip
    """Stage 3: search again from the schedule of PRUNER with its router, into the run folder -o."""
    return _stages(["refine"], {"start": pruner, **_but(locals(), "pruner")})


def _but(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def starts_of(words: str, router: str) -> list[str]:
    """Starts named with commas between, or all of those that the router has."""
    from tokenprune.pruner._config import STARTS

    known = list(STARTS) if router == "dynamic" else ["static", "random"]
    if words == "all":
        return known
    found = [one.strip() for one in words.split(",") if one.strip()]
    for one in found:
        if one not in known:
            raise InputError("--starts", got=repr(one), expected=f"all, or some of {', '.join(known)}")
    return found


def _stages(names: list[str], asked: dict[str, Any]) -> Table | None:
    """Stages in the folder -o; None in all but the first process of torchrun.

    Args:
        names: of the stages.
        asked: the verb's options by name; `start`, the pruner to go on from or None.
    """
    from contextlib import nullcontext
    from dataclasses import replace

    from ninefold.run import Run

    from tokenprune import SearchConfig, TokenPruner, TrainConfig
    from tokenprune.evaluation._roles import for_fitting, with_tasks
    from tokenprune.evaluation._roles import held_out as held_out_windows
    from tokenprune.pruner._pipeline import Pipeline

    opts: Shared = asked.pop("opts")
    start, fitness = asked["start"], asked.get("fitness", "kl")
    settings = {"stages": names, "seed": opts.seed, **asked, "start": str(start) if start else None}
    of_search = SearchConfig(population=asked.get("population", 12), generations=asked.get("generations", 8))
    out = opts.need_out()
    with joined() as (rank, _), progress(len(names), "starting") as bar:
        config = None if start else _config(asked, opts.seed)
        language, tokenizer = load_model(asked["model"], opts)
        pruner = TokenPruner.from_pretrained(start, language) if start else TokenPruner(language, config)
        starts = starts_of(asked.get("starts", ""), pruner.config.router) if start else []
        if config is not None and config.router == "dynamic":
            starts = starts_of(asked["starts"], config.router)
        of_training = TrainConfig(steps=asked.get("steps", 50), batch=asked.get("batch", 4))
        if pruner.observing:  # as `TokenPruner.training` has it
            of_training = replace(of_training, guide=0.0, losses_on="inference")
        cut: Any = {"count": asked["windows"], "length": asked["length"], "scored": asked["scored"]}
        roles = for_fitting(asked["calibration"], tokenizer, roles=3, seed=opts.seed, **cut)
        with naming(length="--long-length"):
            data, texts, validation = (
                with_tasks(one, role, tokenizer, each=asked["long"], length=asked["long_length"], seed=opts.seed + at)
                for at, (one, role) in enumerate(zip(roles, ("training", "training", "validation"), strict=True))
            )
        held_out = held_out_windows(asked["calibration"], tokenizer, **cut)
        if held_out is not None and sum(map(len, held_out.sequences)) > asked["long_length"]:
            held_out = with_tasks(held_out, "test", tokenizer, each=asked["long"], length=asked["long_length"],
                                  seed=opts.seed + 3)  # fmt: skip
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

        with Run(out, settings) if rank == 0 else nullcontext() as run:
            work = Pipeline(
                run, pruner, data, texts, search=of_search, train=of_training, fitness=fitness, advance=advance,
                held_out=held_out, validation=validation, starts=starts,
            )  # fmt: skip
            pruner = work.stages(names)
    if run is None:
        return None
    table = Table(["block", "sparsity"], [[block, s] for block, s in enumerate(pruner.schedule)], title="Schedule")
    table.notes = [f"{name}: {_short(value)}" for name, value in pruner.metrics.items() if name != "held_out"]
    table.notes.append(work.unseen.note() if work.unseen else "held out: nothing, the text is too short for it")
    table.notes.append(f"pruner: {run.path / 'pruner'}")
    return table


def _config(asked: dict[str, Any], seed: int) -> Any:
    """Settings of a pruner that is made anew: a dynamic router reads an observation window if it may start as one."""
    from tokenprune import FTPConfig

    more: dict[str, Any] = {}
    if asked["router"] == "dynamic":
        starts = starts_of(asked["starts"], "dynamic") or ["static"]
        more = {"router_start": starts[0], "scores": "observation" if "observation" in starts else "last"}
    with naming(target_sparsity="--sparsity", router="--router", decode="--decode"):
        return FTPConfig(
            target_sparsity=asked["sparsity"], router=asked["router"], decode=asked["decode"], seed=seed, **more
        )


def _short(value: Any) -> str:
    """A number, or several by name, as one reads them."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(one)}" for name, one in value.items())
    if isinstance(value, str):
        return value
    return f"{value:.4g}"
