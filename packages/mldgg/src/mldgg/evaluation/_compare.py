"""A comparison in a run folder: each fit is one unit of work, a killed run goes on after the last finished one."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ninefold.files import atomic_file
from ninefold.report import save_figure
from ninefold.run import Run

from mldgg.domains import Task, metric_of
from mldgg.evaluation._evaluate import Evaluation, Score, choose, scores_of
from mldgg.evaluation._methods import Entry
from mldgg.evaluation._tune import Choice


def compare(
    run: Run,
    methods: Sequence[Entry],
    tasks: Sequence[Task],
    *,
    shots: Sequence[int],
    seeds: int,
    trials: int,
    selection: str,
    advance: Callable[[], object] = lambda: None,
) -> Evaluation:
    """Score methods on tasks, a line of metrics.jsonl a score (no seconds: a resumed run equals a whole one).

    Leaves scores.parquet and, with matplotlib, a picture for each number of labels in the run folder. Arguments as in
    `evaluate`.
    """
    metric = metric_of(task.target for task in tasks)
    lines = _whole_units(run, len(shots))
    result = Evaluation(spaces={entry.name: entry.printed_space() for entry in methods})
    for task in tasks:
        for entry in methods:
            choice: Choice | None = None
            for seed in range(seeds):
                known = [
                    line
                    for line in lines
                    if (line["task"], line["method"], line["seed"]) == (task.name, entry.name, seed)
                ]
                found = [Score(**{**line, "seconds": 0.0}) for line in known if line.pop("options", None) is not None]
                if not found:
                    choice = choice or choose(entry, task, trials, selection, metric, shots)
                    found = scores_of(entry, task, choice, shots, seed, metric)
                    for one in found:
                        values = asdict(one)
                        del values["seconds"]
                        run.log(**values, options=_plain(choice.options))
                result.scores += found
                advance()
    _report(run, result, shots)
    return result


def _whole_units(run: Run, size: int) -> list[dict[str, Any]]:
    """Lines of finished fits; those of a fit that was cut short are forgotten."""
    lines = run.metrics()
    whole = len(lines) - len(lines) % size
    run.rewind(whole)
    return lines[:whole]


def _plain(options: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in options.items()}


def _report(run: Run, result: Evaluation, shots: Sequence[int]) -> None:
    columns = {
        name: [getattr(one, name) for one in result.scores] for name in ("task", "method", "shots", "seed", "value")
    }
    with atomic_file(run.path / "scores.parquet") as temporary:
        pq.write_table(pa.table(columns), temporary)
    if importlib.util.find_spec("matplotlib"):
        from mldgg.evaluation._figures import accuracy_bars

        for one in shots:
            save_figure(accuracy_bars(result, one), run.figures / f"{one}-labels.png")
