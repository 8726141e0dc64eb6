"""Verbs that learn: fit a model, search its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.errors import ArtifactError

from recsys.cli._app import Model, Settings, Trials, app
from recsys.cli._source import Source

if TYPE_CHECKING:
    from ninefold.report import Table


@verb(app, uses=("seed", "device", "threads", "quiet", "force", "out"), out="own")
def fit(
    model: Model = "ease", settings: Settings = None, *, source: Source, opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Fit a model and write its folder to -o. Rerun the same command to resume from the last epoch.

    Under torchrun --no-python, several processes train one network, and the first of them writes it.

    Example: `recsys fit shop.csv --time time --model ease --set l2=100 -o model`
    """
    from ninefold import distributed
    from ninefold.files import refuse_existing

    from recsys.neural._checkpoint import fit_key
    from recsys.recommender._registry import make_model
    from recsys.recommender._store import load

    out = opts.need_out()
    chosen = make_model(model, settings or [], opts.seed, opts.device)
    data = source.load()
    if not opts.force and (out / "model.json").exists():  # killed between the last write and the end: it is done
        try:
            if load(out).key_ == fit_key(repr(chosen), chosen.seen_by(data)):
                return {"model": repr(chosen), "folder": out, "events": len(data)}
        except ArtifactError:
            pass
    refuse_existing(out, opts.force, "recsys.model")
    chosen.fit(data, checkpoint=out.with_name(f".{out.name}.checkpoint"))
    if distributed.first():
        chosen.save(out, force=opts.force)
    return {"model": repr(chosen), "folder": out, "events": len(data)}


@verb(app, uses=("seed", "device", "threads", "quiet", "out"), out="run")
def tune(
    model: Model = "ease", settings: Settings = None, trials: Trials = 12,
    metric: Annotated[str, typer.Option("--metric", help="Metric to maximise; errors are minimised.")] = "ndcg@10",
    next_item: Annotated[bool, typer.Option("--next", help="Score the next item at each step of a user.")] = False,
    *, source: Source, opts: Shared,
) -> Table:  # fmt: skip
    """Search a model's parameters on the latest fifth of the events; with -o DIR a killed search resumes.

    Example: `recsys tune parts/train.parquet --time time --model ease --trials 4`
    """
    from recsys import tune as search
    from recsys.recommender._registry import make_model

    chosen = make_model(model, settings or [], opts.seed, opts.device)
    options: dict[str, Any] = {"metric": metric, "trials": trials, "seed": opts.seed, "next_item": next_item}
    return search(chosen, source.load(), **options, run=opts.out).table()
