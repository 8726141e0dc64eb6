"""Comparisons from events to files: report.md, report.json, per_user.parquet and a picture."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet
from ninefold import artifacts
from ninefold.errors import InputError
from ninefold.report import Table, to_json

from recsys.data._dataset import Dataset
from recsys.evaluation._compare import Comparison, check_request, compare
from recsys.evaluation._tune import tune
from recsys.recommender._base import Recommender
from recsys.recommender._registry import make_model, model_class


def requested_models(
    names: Sequence[str],
    metrics: Sequence[str],
    *,
    targets: str = "warm",
    seeds: int = 1,
    trials: int = 0,
    seed: int = 0,
    device: str = "cpu",
    settings: Sequence[str] = (),
) -> list[Recommender]:
    """The models of a comparison, not fitted; refuses what `compare_events` would refuse, before events are read.

    Args:
        names: as in `recsys.recommender._registry`.
        metrics, targets, seeds: see `compare`.
        trials: see `compare_events`.
        seed: of the models.
        device: of models that torch trains.
        settings: such as "weight=count", of each model that has the parameter.
    """
    check_request(metrics, targets, seeds)
    if trials < 0:
        raise InputError("trials", got=trials, expected="0 (take the defaults) or more")
    made, used = [], set()
    for name in names:
        own = [one for one in settings if one.partition("=")[0] in model_class(name)().get_params()]
        used |= set(own)
        made.append(make_model(name, own, seed=seed, device=device))
    for one in settings:
        if one not in used:
            raise InputError(f"setting {one!r}", got="a parameter of none of the models", expected="of one at least")
    for model in made:
        model.check_extras()
    return made


def compare_events(
    data: Dataset, models: Sequence[Recommender], metrics: Sequence[str], *, cut: str | None = None, trials: int = 0,
    seed: int = 0, **options: Any,
) -> Comparison:  # fmt: skip
    """Split by time (leave-last-out without times), tune each model on train alone if asked, and compare.

    Args:
        data: all events.
        models: as from `requested_models`.
        metrics: the first one orders the table and is what `tune` maximises.
        cut: see `Split.time`.
        trials: of `tune` for each model; 0 takes the models as they are.
        seed: of the search.
        options: of `compare`.
    """
    if cut is not None and data.time is None:
        raise InputError("cut", got=repr(cut), expected="none for events without times (--time)")
    train, test = data.split.leave_last_out() if data.time is None else data.split.time(cut)
    shared = {name: one for name, one in options.items() if name in ("targets", "next_item")}
    tuned = [
        tune(one, train, metric=metrics[0], trials=trials, seed=seed, **shared).best
        if trials and getattr(one, "space", None) else one for one in models
    ]  # fmt: skip
    return compare(tuned, train, test, metrics, **options)


def bars(result: Comparison) -> Any | None:
    """A picture of the first metric with its intervals; None if matplotlib is missing."""
    if importlib.util.find_spec("matplotlib") is None:
        return None
    from ninefold.report import BLUE, GREY, figure

    metric = result.metrics[0]
    names = list(result.evaluations)[::-1]
    made, axes = figure(height=1.2 + 0.42 * len(names))
    spans = [result.evaluations[name].interval(metric) for name in names]
    means = [result.evaluations[name].mean(metric) for name in names]
    errors = [[mean - low for mean, (low, _) in zip(means, spans, strict=True)],
              [high - mean for mean, (_, high) in zip(means, spans, strict=True)]]  # fmt: skip
    colours = [GREY if "opular" in name else BLUE for name in names]
    axes.barh(names, means, xerr=errors, color=colours, ecolor="#1c2128", capsize=3)
    axes.set_xlabel(f"{metric}, full catalogue, 95 % interval over users")
    return made


def write_report(result: Comparison, table: Table, folder: str | Path, *, force: bool = False) -> None:
    """Write a comparison to a folder; one that is there is refused, unless `force`."""
    about = {"kind": "recsys.report", "format_version": 1, "package": "recsys"}
    with artifacts.write_folder(folder, **about, force=force) as place:
        (place / "report.md").write_text(table.to_markdown() + "\n", encoding="utf-8")
        (place / "report.json").write_text(to_json(table) + "\n", encoding="utf-8")
        pyarrow.parquet.write_table(result.per_user(), place / "per_user.parquet")
        made = bars(result)
        if made is not None:
            made.savefig(place / "report.png", format="png")
